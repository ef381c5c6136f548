"""Stripe's refusals as exceptions with the status, type, code and message Stripe answers.

It describes refusals only and may not decide when one is due.
"""

from sandbox.shapes import JsonObject


class ApiError(Exception):
    """A refusal in Stripe's error shape (documentation: API reference, "Errors")."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        decline_code: str | None = None,
        extra: JsonObject | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers or {}
        self.error: JsonObject = {"message": message, "type": kind}
        for name, value in (("code", code), ("param", param), ("decline_code", decline_code)):
            if value is not None:
                self.error[name] = value
        if code is not None:
            self.error["doc_url"] = f"https://docs.stripe.com/error-codes#{code.replace('_', '-')}"
        self.error.update(extra or {})

    def body(self) -> JsonObject:
        """The JSON body of the answer."""
        return {"error": dict(self.error)}


def invalid(message: str, *, code: str | None = None, param: str | None = None) -> ApiError:
    """400: the request can't be met as it stands."""
    return ApiError(400, message, code=code, param=param)


def missing(kind: str, object_id: str, *, in_path: bool = True, param: str = "id") -> ApiError:
    """No such object: 404 when the path names it, 400 when a parameter does."""
    return ApiError(
        404 if in_path else 400,
        f"No such {kind}: '{object_id}'",
        code="resource_missing",
        param=param,
    )


def balance_insufficient(message: str) -> ApiError:
    """400: the account whose balance is drawn on hasn't got the money."""
    return invalid(message, code="balance_insufficient")


def account_invalid(key: str, account: str) -> ApiError:
    """403: the platform's key has no access to that account."""
    return ApiError(
        403,
        f"The provided key '{redact(key)}' does not have access to account '{account}' (or that "
        "account does not exist). Application access may have been revoked.",
        code="account_invalid",
    )


def unauthorized(message: str, *, code: str | None = None) -> ApiError:
    """401: no key, an unknown one, or a revoked one."""
    return ApiError(401, message, code=code)


def redact(key: str) -> str:
    """A key as Stripe shows it in messages: its prefix and its last four characters."""
    prefix = "_".join(key.split("_")[:2])
    return f"{prefix}_{'*' * 12}{key[-4:]}" if len(key) > len(prefix) + 4 else "*" * len(key)
