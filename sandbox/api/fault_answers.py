"""The refusals that faults and limits answer with.

It builds answers and may not choose which request meets them.
"""

from sandbox import errors
from sandbox.errors import ApiError
from sandbox.faults import Kind, Rule


def rate_limited(should_retry: bool | None, *, reason: str = "global-rate") -> ApiError:
    """429: too many requests; the header tells whether a retry may help."""
    return ApiError(
        429,
        "Too many requests in a short time: slow down and try again.",
        code="rate_limit",
        headers={"Stripe-Rate-Limited-Reason": reason, **_retry_header(should_retry)},
    )


def _retry_header(should_retry: bool | None) -> dict[str, str]:
    return {} if should_retry is None else {"Stripe-Should-Retry": str(should_retry).lower()}


def answer_of(rule: Rule, key: str) -> ApiError | None:
    """The refusal that a fault answers with, if it answers with one."""
    headers = _retry_header(rule.should_retry)
    if rule.kind is Kind.HTTP_429:
        return rate_limited(rule.should_retry)
    if rule.kind in (Kind.HTTP_500, Kind.HTTP_503):
        status = 500 if rule.kind is Kind.HTTP_500 else 503
        return ApiError(
            status, "Something went wrong on Stripe's side.", kind="api_error", headers=headers
        )
    if rule.kind is Kind.LOCK_TIMEOUT:
        return ApiError(
            429,
            "Another request is working on this object; try again in a moment.",
            code="lock_timeout",
            headers=headers,
        )
    if rule.kind is Kind.REVOKED_KEY:
        return errors.unauthorized(
            f"Expired API Key provided: {errors.redact(key)}", code="api_key_expired"
        )
    return None
