"""What each way Stripe can fail means for a step and for a read.

It looks at mapping only; nothing here may depend on what a call was for.
"""

import inspect
import itertools
from collections.abc import Callable, Iterator

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import MESSAGE_LIMIT, NoVerdict, Refusal, classify, read_error, readable
from gateway.port import NotFoundError, ReadError, RejectedReadError, UnavailableError
from refunds.ids import AccountId, IdempotencyKey, RefundId
from refunds.steps import RefusalKind, Refused, StepKind, StripeCall, Trouble, Unknown
from tests.unit.gateway.canned import Canned, always, error, gateway_over

CALL = StripeCall(
    kind=StepKind.REFUND,
    params={"charge": "ch_1", "amount": 5000},
    target=None,
    account=None,
    idempotency_key=IdempotencyKey("sluice-ra_1-1"),
)

IDEMPOTENCY = "idempotency_error"


@pytest.mark.parametrize(
    "status, body, trouble",
    [
        (401, error(kind="invalid_request_error"), Trouble.DENIED),
        (403, error("account_invalid"), Trouble.DENIED),
        (409, error("idempotency_key_in_use", kind=IDEMPOTENCY), Trouble.CONFLICT),
        (409, error(), Trouble.CONFLICT),
        (429, error("rate_limit"), Trouble.RATE_LIMITED),
        (400, error("rate_limit"), Trouble.RATE_LIMITED),
        (429, error("lock_timeout"), Trouble.CONFLICT),
        (400, error(kind=IDEMPOTENCY), Trouble.KEY_MISMATCH),
        (500, error(kind="api_error"), Trouble.SERVER_ERROR),
        (400, error(kind="api_error"), Trouble.SERVER_ERROR),
        (424, error(), Trouble.SERVER_ERROR),
        (503, b"<html>down for maintenance</html>", Trouble.SERVER_ERROR),
        # In Stripe's place: proxies, load balancers, captive portals.
        (502, {"error": "Bad Gateway"}, Trouble.SERVER_ERROR),
        (400, {"error": "invalid_request"}, Trouble.SERVER_ERROR),
        (400, {"error": None}, Trouble.SERVER_ERROR),
        (400, {"error": {"code": 400, "message": "Bad"}}, Trouble.SERVER_ERROR),
        (400, b"<html>Bad Request</html>", Trouble.SERVER_ERROR),
        (413, b"", Trouble.SERVER_ERROR),
        (404, b"not here", Trouble.SERVER_ERROR),
        (403, b"<html>Forbidden</html>", Trouble.DENIED),
        # 2xx that answer nothing.
        (200, b"", Trouble.SERVER_ERROR),
        (200, b"\xff\xfe", Trouble.SERVER_ERROR),
        (200, b"null", Trouble.SERVER_ERROR),
        (200, b'"re_1"', Trouble.SERVER_ERROR),
        (200, b"[" * 100_000, Trouble.SERVER_ERROR),
        (200, {}, Trouble.UNREADABLE),
        (200, {"id": "re_1", "object": "refund"}, Trouble.UNREADABLE),
    ],
)
def test_no_verdict_keeps_the_key(status: int, body: object, trouble: Trouble) -> None:
    gateway = gateway_over(Canned(always(status, body)))
    outcome = gateway.execute(CALL)
    assert isinstance(outcome, Unknown)
    assert outcome.trouble is trouble
    with pytest.raises(UnavailableError) as caught:
        gateway.read_refund(RefundId("re_1"))
    assert caught.value.trouble is trouble


@pytest.mark.parametrize(
    "status, body, kind",
    [
        (400, error("balance_insufficient"), RefusalKind.INSUFFICIENT_FUNDS),
        (402, error("insufficient_funds", kind="card_error"), RefusalKind.INSUFFICIENT_FUNDS),
        (
            400,
            error(message="Insufficient funds in your Stripe balance to refund this amount."),
            RefusalKind.INSUFFICIENT_FUNDS,
        ),
        (
            400,
            error("some_new_code", "The account has INSUFFICIENT AVAILABLE FUNDS."),
            RefusalKind.INSUFFICIENT_FUNDS,
        ),
        (
            400,
            error(message="This account does not have enough balance."),
            RefusalKind.INSUFFICIENT_FUNDS,
        ),
        (402, error("card_declined", "Your card has insufficient funds."), RefusalKind.OTHER),
        (404, error("resource_missing", "No such charge"), RefusalKind.OTHER),
        (400, error("charge_disputed"), RefusalKind.CHARGE_DISPUTED),
        (400, error("refund_disputed_payment"), RefusalKind.CHARGE_DISPUTED),
        (400, error("charge_already_refunded"), RefusalKind.ALREADY_REFUNDED),
        (400, error("parameter_invalid_integer"), RefusalKind.OTHER),
        (400, error(message="insufficient permissions for this account"), RefusalKind.OTHER),
        (402, error("processing_error", kind="card_error"), RefusalKind.OTHER),
        (418, error(kind="teapot_error"), RefusalKind.OTHER),
    ],
)
def test_a_refusal_says_what_it_means(status: int, body: object, kind: RefusalKind) -> None:
    outcome = gateway_over(Canned(always(status, body))).execute(CALL)
    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.http_status) == (kind, status)
    assert outcome.stripe_request == "req_canned"


def test_a_replayed_refusal_is_still_a_refusal() -> None:
    replay = always(400, error("balance_insufficient"), {"Idempotent-Replayed": "true"})
    outcome = gateway_over(Canned(replay)).execute(CALL)
    assert isinstance(outcome, Refused)


@pytest.mark.parametrize(
    "sent, seconds",
    [("2", 2.0), ("0.5", 0.5), ("soon", None), ("nan", None), ("-1", None), ("inf", None)],
)
def test_retry_after_is_taken_where_it_is_a_number(sent: str, seconds: float | None) -> None:
    outcome = gateway_over(Canned(always(429, error(), {"retry-after": sent}))).execute(CALL)
    assert isinstance(outcome, Unknown)
    assert outcome.retry_after_seconds == seconds


@pytest.mark.parametrize("status", [200, 502])
def test_stripes_request_id_survives_a_body_that_cannot_be_read(status: int) -> None:
    outcome = gateway_over(Canned(always(status, b"<html>"))).execute(CALL)
    assert outcome.stripe_request == "req_canned"


@pytest.mark.parametrize(
    "status, code, raised",
    [
        (404, "resource_missing", NotFoundError),
        (404, None, NotFoundError),
        (400, "resource_missing", NotFoundError),
        (400, "parameter_unknown", RejectedReadError),
        (402, None, RejectedReadError),
    ],
)
def test_a_refused_read_says_whether_asking_again_helps(
    status: int, code: str | None, raised: type[ReadError]
) -> None:
    gateway = gateway_over(Canned(always(status, error(code))))
    with pytest.raises(raised, match=r"No\.") as caught:
        gateway.read_account(AccountId("acct_1"))
    assert type(caught.value) is raised
    assert caught.value.stripe_request == "req_canned"


def _all_errors(base: type[stripe.StripeError]) -> Iterator[type[stripe.StripeError]]:
    for child in base.__subclasses__():
        yield child
        yield from _all_errors(child)


def _build(kind: Callable[..., stripe.StripeError], **said: object) -> stripe.StripeError:
    """Make an error as the SDK would: the arguments differ from class to class."""
    accepted = inspect.signature(kind).parameters
    given: dict[str, object] = {"message": "No.", "description": "No.", "code": None}
    given |= {"param": None, "sig_header": "v1=0"} | said
    return kind(**{name: value for name, value in given.items() if name in accepted})


SDK_ERRORS = sorted(set(_all_errors(stripe.StripeError)), key=lambda kind: kind.__qualname__)

NO_VERDICT_BY_CLASS = {
    "APIConnectionError": Trouble.CONNECTION,
    "IdempotencyError": Trouble.KEY_MISMATCH,
    "RateLimitError": Trouble.RATE_LIMITED,
    "AuthenticationError": Trouble.DENIED,
    "PermissionError": Trouble.DENIED,
}


def test_the_walk_over_the_sdk_finds_its_errors() -> None:
    names = {kind.__name__ for kind in SDK_ERRORS}
    assert NO_VERDICT_BY_CLASS.keys() <= names
    assert {"APIError", "CardError", "InsufficientFundsError", "OAuthError"} <= names


@pytest.mark.parametrize("kind", SDK_ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_of_the_sdk_without_a_status_is_no_verdict(
    kind: type[stripe.StripeError],
) -> None:
    found = classify(_build(kind))
    assert isinstance(found, NoVerdict)
    assert found.trouble is NO_VERDICT_BY_CLASS.get(kind.__name__, Trouble.SERVER_ERROR)


@pytest.mark.parametrize("kind", SDK_ERRORS, ids=lambda kind: kind.__name__)
def test_no_error_of_the_sdk_becomes_a_refusal_unless_stripe_itself_said_4xx(
    kind: type[stripe.StripeError],
) -> None:
    """A refusal allows a fresh key: taking one of these for a refusal would pay twice."""
    never = NO_VERDICT_BY_CLASS.keys() | {"SignatureVerificationError"}
    statuses = (200, 302, 400, 401, 402, 403, 404, 408, 409, 422, 424, 425, 429, 500, 503)
    bodies: tuple[object, ...] = (
        None,
        {},
        {"error": "text"},
        {"error": {}},
        error(),
        error(kind=IDEMPOTENCY),
    )
    definitive = {400, 402, 404, 422}
    for status, body in itertools.product(statuses, bodies):
        said_by_stripe = status in definitive and body == error()
        found = classify(_build(kind, http_status=status, json_body=body))
        expected = Refusal if said_by_stripe and kind.__name__ not in never else NoVerdict
        assert type(found) is expected, (status, body)


def test_an_insufficient_funds_type_of_the_newer_api_is_known_too() -> None:
    outcome = gateway_over(Canned(always(400, error(kind="insufficient_funds")))).execute(CALL)
    assert isinstance(outcome, Refused)
    assert outcome.kind is RefusalKind.INSUFFICIENT_FUNDS


@given(st.text(max_size=2000), st.sampled_from(["sk_test_", "sk_live_", "rk_live_", "whsec_"]))
def test_no_message_carries_a_key_or_grows_without_bound(text: str, prefix: str) -> None:
    said = readable(f"{text}{prefix}51SecretSecret {text}")
    assert "51SecretSecret" not in said
    assert len(said) <= MESSAGE_LIMIT


@pytest.mark.parametrize(
    "status, code, gone",
    [
        (403, "account_invalid", True),
        # The key lacks a permission: that says nothing about the account.
        (403, "more_permissions_required", False),
        (403, None, False),
        (401, "account_invalid", False),
    ],
)
def test_only_stripes_own_word_means_that_there_is_no_such_account(
    status: int, code: str | None, gone: bool
) -> None:
    found = NoVerdict(
        trouble=Trouble.DENIED, message="no", http_status=status, stripe_request=None, code=code
    )
    raised = read_error(found, AccountId("acct_1"))
    assert isinstance(raised, UnavailableError)
    assert raised.no_such_account is gone
