"""What becomes of a call that moves money: done, refused, lost, repeated, overtaken.

The sandbox's own books say what happened; the gateway only says what is known.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from gateway.client import StripeGateway
from refunds.facts import RefundFacts, RefundStatus, ReversalFacts
from refunds.ids import AccountId, ChargeId, IdempotencyKey, TransferId
from refunds.money import Currency, Money
from refunds.steps import Done, RefusalKind, Refused, StepKind, StripeCall, Trouble, Unknown
from tests.integration.gateway.conftest import Stand

USD = Currency("usd")


def refund_call(charge: str, amount: int, **params: str | int | bool) -> StripeCall:
    return StripeCall(
        kind=StepKind.REFUND,
        params={
            "charge": charge,
            "amount": amount,
            "metadata": {"sluice_request": "rr_1", "sluice_attempt": "ra_1"},
            **params,
        },
        target=None,
        account=None,
        idempotency_key=IdempotencyKey(f"sluice-{charge}-1"),
    )


@pytest.fixture
def account(stand: Stand) -> AccountId:
    """A connected account, and a platform that can pay refunds."""
    stand.order("accounts/platform/earn", amount=100_000)
    return stand.account()


@pytest.fixture
def paid(stand: Stand, account: AccountId) -> str:
    """A destination charge of 100.00 USD whose money is there."""
    return str(stand.pay_to(account, 10_000)["charge"]["id"])


@pytest.fixture
def call(paid: str) -> StripeCall:
    """The refund of half of it, taken back from the account."""
    return refund_call(paid, 5_000, reverse_transfer=True)


def test_a_refund_debits_the_account(
    gateway: StripeGateway, account: AccountId, paid: str, call: StripeCall
) -> None:
    outcome = gateway.execute(call)
    assert isinstance(outcome, Done)
    assert isinstance(outcome.object, RefundFacts)
    assert (outcome.replayed, outcome.stripe_request is None) == (False, False)
    assert outcome.object.amount == Money(5_000, USD)
    assert outcome.object.status is RefundStatus.SUCCEEDED
    assert outcome.object.metadata == {"sluice_request": "rr_1", "sluice_attempt": "ra_1"}
    # The whole charge went to the account; half of it came back.
    assert gateway.read_balance(account).available_in(USD) == 5_000
    facts = gateway.read_payment(paid)
    assert facts.remaining_minor == 5_000
    assert facts.transfer is not None
    assert facts.transfer.reversed_minor == 5_000
    (reversal,) = gateway.list_reversals(facts.transfer.transfer)
    assert reversal.reversal == outcome.object.reversal
    (listed,) = gateway.list_refunds(ChargeId(paid))
    assert replace(listed, read_at=outcome.object.read_at) == outcome.object


def test_the_same_key_again_is_a_replay(
    stand: Stand, gateway: StripeGateway, paid: str, call: StripeCall
) -> None:
    first, second = gateway.execute(call), gateway.execute(call)
    assert isinstance(first, Done)
    assert isinstance(second, Done)
    assert (first.replayed, second.replayed) == (False, True)
    assert isinstance(first.object, RefundFacts)
    assert isinstance(second.object, RefundFacts)
    assert second.object.refund == first.object.refund
    assert len(stand.refunds_of(paid)) == 1


def test_the_same_key_for_something_else_tells_nothing(
    gateway: StripeGateway, call: StripeCall
) -> None:
    gateway.execute(call)
    outcome = gateway.execute(replace(call, params={**call.params, "amount": 4_000}))
    assert isinstance(outcome, Unknown)
    assert outcome.trouble is Trouble.KEY_MISMATCH


@pytest.mark.parametrize("code", ["balance_insufficient", "insufficient_funds", None])
def test_an_account_too_short_is_refused_for_as_long_as_the_key_lives(
    stand: Stand,
    gateway: StripeGateway,
    account: AccountId,
    paid: str,
    call: StripeCall,
    code: str | None,
) -> None:
    stand.order("switches", short_code=code)
    stand.order(f"accounts/{account}/balance", available=4_999)
    refusal = gateway.execute(call)
    assert isinstance(refusal, Refused)
    assert (refusal.kind, refusal.code) == (RefusalKind.INSUFFICIENT_FUNDS, code)
    assert stand.refunds_of(paid) == []
    # The money arrives; the old key goes on saying what it said.
    stand.order(f"accounts/{account}/balance", available=5_000)
    again = gateway.execute(call)
    assert isinstance(again, Refused)
    assert again.kind is RefusalKind.INSUFFICIENT_FUNDS
    fresh = gateway.execute(replace(call, idempotency_key=IdempotencyKey(f"sluice-{paid}-2")))
    assert isinstance(fresh, Done)
    assert gateway.read_balance(account).available_in(USD) == 0


def test_a_disputed_charge_is_refused(
    stand: Stand, gateway: StripeGateway, paid: str, call: StripeCall
) -> None:
    stand.order("disputes", charge=paid)
    outcome = gateway.execute(call)
    assert isinstance(outcome, Refused)
    assert outcome.kind is RefusalKind.CHARGE_DISPUTED


def test_a_charge_refunded_already_is_refused(
    stand: Stand, gateway: StripeGateway, paid: str, call: StripeCall
) -> None:
    stand.order("refunds", charge=paid)
    outcome = gateway.execute(call)
    assert isinstance(outcome, Refused)
    assert outcome.kind is RefusalKind.ALREADY_REFUNDED


@pytest.mark.parametrize(
    "kind, late, trouble",
    [
        ("lost_response", True, Trouble.CONNECTION),
        ("hang", True, Trouble.TIMEOUT),
        ("hang", False, Trouble.TIMEOUT),
        ("http_429", False, Trouble.RATE_LIMITED),
        ("lock_timeout", False, Trouble.CONFLICT),
        ("revoked_key", False, Trouble.DENIED),
    ],
)
def test_without_a_verdict_the_same_key_brings_one_refund(
    stand: Stand,
    impatient: StripeGateway,
    paid: str,
    call: StripeCall,
    kind: str,
    late: bool,
    trouble: Trouble,
) -> None:
    seconds = {"seconds": 0.6} if kind == "hang" else {}
    stand.fault(kind, path="/v1/refunds", method="POST", after_effect=late, **seconds)
    outcome = impatient.execute(call)
    assert isinstance(outcome, Unknown)
    assert outcome.trouble is trouble
    # What the gateway can't know, the books do: late trouble hides a refund that was made.
    assert len(stand.refunds_of(paid)) == int(late)
    again = impatient.execute(call)
    assert isinstance(again, Done)
    assert again.replayed is late
    assert len(stand.refunds_of(paid)) == 1


def test_a_cached_500_stays_without_a_verdict(
    stand: Stand, gateway: StripeGateway, paid: str, call: StripeCall
) -> None:
    stand.fault("http_500", path="/v1/refunds", method="POST", after_effect=True)
    first, second = gateway.execute(call), gateway.execute(call)
    assert isinstance(first, Unknown)
    assert isinstance(second, Unknown)
    assert (first.trouble, second.trouble) == (Trouble.SERVER_ERROR, Trouble.SERVER_ERROR)
    # Only the payment's own list tells what became of it.
    assert [refund["id"] for refund in stand.refunds_of(paid)] == [
        refund.refund for refund in gateway.list_refunds(ChargeId(paid))
    ]


def test_two_workers_with_the_same_key_make_one_refund(
    stand: Stand, gateway: StripeGateway, paid: str, call: StripeCall
) -> None:
    stand.fault("delay", path="/v1/refunds", method="POST", seconds=0.3, after_effect=False)
    with ThreadPoolExecutor(max_workers=4) as pool:
        outcomes = list(pool.map(gateway.execute, [call] * 4))
    assert len(stand.refunds_of(paid)) == 1
    for outcome in outcomes:
        assert isinstance(outcome, Done | Unknown)
        if isinstance(outcome, Unknown):
            assert outcome.trouble is Trouble.CONFLICT
    firsts = [outcome for outcome in outcomes if isinstance(outcome, Done) and not outcome.replayed]
    assert len(firsts) == 1


def test_a_refund_that_waits_for_the_platforms_money(
    stand: Stand, gateway: StripeGateway, account: AccountId, paid: str
) -> None:
    stand.order("accounts/platform/balance", available=0, pending=0)
    outcome = gateway.execute(refund_call(paid, 5_000))
    assert isinstance(outcome, Done)
    assert isinstance(outcome.object, RefundFacts)
    assert outcome.object.status is RefundStatus.PENDING
    assert outcome.object.pending_reason == "insufficient_funds"
    assert outcome.object.live
    assert outcome.object.reversal is None


def test_a_reversal_of_its_own_and_its_replay(
    stand: Stand, gateway: StripeGateway, account: AccountId
) -> None:
    transfer = TransferId(stand.pay_to(account, 10_000)["transfer"]["id"])
    call = StripeCall(
        kind=StepKind.REVERSAL,
        params={"amount": 4_000, "metadata": {"sluice_attempt": "ra_2"}},
        target=transfer,
        account=None,
        idempotency_key=IdempotencyKey(f"sluice-{transfer}-2"),
    )
    stand.fault("lost_response", path="/v1/transfers/*/reversals", method="POST")
    assert isinstance(gateway.execute(call), Unknown)
    outcome = gateway.execute(call)
    assert isinstance(outcome, Done)
    assert outcome.replayed
    assert isinstance(outcome.object, ReversalFacts)
    assert (outcome.object.transfer, outcome.object.amount) == (transfer, Money(4_000, USD))
    assert gateway.list_reversals(transfer) == [outcome.object]
    # 10,000 came in, 4,000 went back.
    assert gateway.read_balance(account).available_in(USD) == 6_000


def test_a_reversal_of_more_than_is_left_is_refused(
    stand: Stand, gateway: StripeGateway, account: AccountId
) -> None:
    transfer = stand.pay_to(account, 10_000)["transfer"]["id"]
    call = StripeCall(
        kind=StepKind.REVERSAL,
        params={"amount": 10_001},
        target=transfer,
        account=None,
        idempotency_key=IdempotencyKey(f"sluice-{transfer}-2"),
    )
    outcome = gateway.execute(call)
    assert isinstance(outcome, Refused)
    assert outcome.kind is RefusalKind.OTHER


def test_a_direct_charge_is_refunded_in_its_account(
    stand: Stand, gateway: StripeGateway, account: AccountId
) -> None:
    charge = stand.pay(5_000, charge_type="direct", account=account)["charge"]["id"]
    call = replace(refund_call(charge, 1_000), account=account)
    outcome = gateway.execute(call)
    assert isinstance(outcome, Done)
    assert isinstance(outcome.object, RefundFacts)
    assert outcome.object.account == account
    assert gateway.read_refund(outcome.object.refund, account).amount == Money(1_000, USD)
