"""Direct charges: read, judged, refunded and settled in the account the payment lives in."""

from dataclasses import replace
from typing import Any

import pytest
from sqlmodel import col, select

from handlers.operate import Action, act
from handlers.reconcile import reconcile
from handlers.release import run_due_lane
from handlers.sweep import sweep
from refunds.errors import PaymentNotFoundError
from refunds.ids import AccountId, RequestId
from refunds.money import Currency
from refunds.policy import Direct, PolicyBook
from store.attempts import attempts_of
from store.observations import disconnect_account
from store.tables.attempts import Reservation
from store.tables.lanes import CircuitRow
from store.tables.requests import RefundRequest
from tests.support.stage import Stage


def balance(stage: Stage, account: str, currency: str = "usd") -> int:
    facts = stage.services.gateway.read_balance(
        None if account == "platform" else AccountId(account)
    )
    return facts.available_in(Currency(currency))


def refund_calls(stage: Stage) -> list[dict[str, Any]]:
    return [call for call in stage.calls() if call["path"] == "/v1/refunds"]


def promised(stage: Stage) -> dict[str, int]:
    with stage.services.database.reading() as unit:
        rows = unit.exec(select(Reservation).where(col(Reservation.closed_at).is_(None)))
        return {row.holder: row.amount_minor for row in rows}


def holding(stage: Stage) -> None:
    """Hold direct charges like all others."""
    book = PolicyBook(default={"direct": Direct.HOLD})
    stage.services = replace(stage.services, policies=book)


def look_again(stage: Stage) -> None:
    """What the timer does, and the runs it leads to."""
    sweep(stage.services, lambda: None)
    stage.work()


def wish(
    stage: Stage, charge: str, account: str, amount: int | None = None, **more: Any
) -> RequestId:
    return stage.wish(charge, amount, account=AccountId(account), **more)


def test_a_covered_one_is_refunded_in_its_account_and_costs_the_platform_nothing(
    stage: Stage,
) -> None:
    account = stage.account()
    charge = stage.paid_direct(account, 5000)
    stage.has(account, 7000)
    stage.has("platform", 0)
    request = wish(stage, charge, account, 3000)
    view = stage.view(request)
    assert (view["charge_type"], view["account"]) == ("direct", account)
    assert view["need"] == {"amount": 3000, "currency": "usd", "fx_buffer": 0}
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    assert [call["account"] for call in refund_calls(stage)] == [account]
    assert (balance(stage, account), balance(stage, "platform")) == (4000, 0)
    assert promised(stage) == {}


def test_a_short_cards_refund_is_sent_at_once_and_stripe_queues_it(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid_direct(account, 5000)
    stage.has(account, 1000)
    request = wish(stage, charge, account)
    stage.work()
    view = stage.view(request)
    assert view["status"] == "submitted"
    assert view["decision"] is not None
    assert view["decision"]["rule"] == "direct_sent"
    assert view["decision"]["why"] == (
        "The account has 10.00 USD spendable, the refund needs 50.00 USD: 40.00 USD short; "
        "Stripe queues the refund until the account has it."
    )
    assert promised(stage) == {account: 5000}


def test_what_stripe_queues_comes_before_what_we_hold(stage: Stage) -> None:
    account = stage.account()
    direct = stage.paid_direct(account, 5000)
    queued = wish(stage, direct, account)
    stage.work()
    held = stage.wish(stage.paid(account, 2000))
    # 60.00 come in, of which Stripe takes 50.00 without our hearing of it: 10.00 are there, and
    # until we know that the 50.00 have left already they are deducted.
    stage.has(account, 6000)
    look_again(stage)
    assert (stage.view(held)["status"], stage.view(held)["spendable"]) == ("held", -4000)
    reconcile(stage.services)
    look_again(stage)
    assert stage.view(queued)["status"] == "succeeded"
    assert (stage.view(held)["status"], stage.view(held)["spendable"]) == ("held", 1000)
    stage.has(account, 2000)
    look_again(stage)
    assert stage.view(held)["status"] == "succeeded"


def test_a_policy_may_hold_them_like_all_others(stage: Stage) -> None:
    holding(stage)
    account = stage.account()
    request = wish(stage, stage.paid_direct(account, 5000), account)
    view = stage.view(request)
    assert view["decision"] is not None
    assert (view["status"], view["decision"]["rule"]) == ("held", "direct_short")
    assert view["next_steps"][-1].startswith("Or release it: Stripe queues")
    stage.has(account, 5000)
    look_again(stage)
    assert stage.view(request)["status"] == "succeeded"


def test_other_methods_are_held_because_stripe_does_not_queue_them(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid_direct(account, 5000, payment_method="pm_usBankAccount_success")
    request = wish(stage, charge, account)
    stage.work()
    assert stage.view(request)["status"] == "held"
    assert stage.calls() == []


def test_a_person_may_send_a_short_one_and_nobody_stands_in_for_it(stage: Stage) -> None:
    holding(stage)
    account = stage.account()
    request = wish(stage, stage.paid_direct(account, 5000), account)
    act(stage.services, Action.RELEASE, request, note="Stripe may wait", actor="ada")
    stage.work()
    view = stage.view(request)
    assert view["status"] == "submitted"
    assert view["decision"] is not None
    assert view["decision"]["why"].endswith("Stripe queues the refund until the account has it.")
    with stage.services.database.reading() as unit:
        (attempt,) = attempts_of(unit, request)
        assert (attempt.uncovered, attempt.queued) == (False, True)


def test_the_fee_goes_back_only_where_asked_and_the_platform_pays_its_share(stage: Stage) -> None:
    # 1000 fee of 10000; 3333 refunded: 333.3 → 334 planned at most, Stripe rounds to 333.
    account = stage.account()
    charge = stage.paid_direct(account, 10_000, application_fee_amount=1000)
    stage.has(account, 10_000)
    stage.has("platform", 333)
    short = wish(stage, charge, account, 3333, refund_application_fee=True)
    view = stage.view(short)
    assert view["decision"] is not None
    assert view["decision"]["rule"] == "platform_short"
    stage.has("platform", 334)
    look_again(stage)
    assert stage.view(short)["status"] == "succeeded"
    assert balance(stage, "platform") == 1
    assert balance(stage, account) == 10_000 - 3333 + 333


def test_an_account_settles_it_in_its_own_currency(stage: Stage) -> None:
    # 100.00 USD settled as 80.00 EUR: half of it needs 40.00 EUR and 0.80 of buffer.
    account = stage.account(default_currency="eur", country="DE")
    charge = stage.paid_direct(account, 10_000, currency="usd")
    stage.has(account, 4080)
    request = wish(stage, charge, account, 5000)
    assert stage.view(request)["need"] == {"amount": 4000, "currency": "eur", "fx_buffer": 80}
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    assert balance(stage, account, "eur") == 80


def test_a_fresh_payments_own_pending_money_pays_its_refund(stage: Stage) -> None:
    holding(stage)
    account = stage.account()
    charge = stage.paid_direct(account, 5000, funds="pending", application_fee_amount=500)
    # 5000 less the platform's 500 and Stripe's 2.9 % + 30 = 175: 4325 pending.
    request = wish(stage, charge, account, 4325)
    assert stage.view(request)["spendable"] == 4325
    stage.work()
    assert stage.view(request)["status"] == "succeeded"


def test_the_payment_is_looked_for_where_the_caller_says_it_lives(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid_direct(account, 5000)
    with pytest.raises(PaymentNotFoundError, match="of a direct charge, name its account"):
        stage.wish(charge)
    with pytest.raises(PaymentNotFoundError, match="seen from acct_"):
        wish(stage, charge, stage.account())


@pytest.mark.parametrize("fault", ["lost_response", "reset"])
def test_an_unknown_outcome_is_settled_in_the_account(stage: Stage, fault: str) -> None:
    account = stage.account()
    charge = stage.paid_direct(account, 5000)
    stage.has(account, 5000)
    request = wish(stage, charge, account)
    stage.fault(fault)
    run_due_lane(stage.services)
    assert stage.view(request)["status"] == "releasing"
    stage.later(minutes=1)
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    assert {call["account"] for call in refund_calls(stage)} == {account}
    assert len({call["idempotency_key"] for call in refund_calls(stage)}) == 1
    assert balance(stage, account) == 0


@pytest.mark.parametrize("fault", ["lost_response", "reset"])
def test_after_a_day_the_accounts_own_list_says_what_happened(stage: Stage, fault: str) -> None:
    account = stage.account()
    charge = stage.paid_direct(account, 5000)
    stage.has(account, 5000)
    request = wish(stage, charge, account)
    stage.fault(fault)
    run_due_lane(stage.services)
    stage.later(hours=25)
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    assert len(stage.refunds()) == 1


def test_a_wish_made_while_stripe_was_away_is_decided_in_its_account(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid_direct(account, 5000)
    stage.has(account, 5000)
    stage.fault("reset", path="/v1/charges/*", method="GET", times=1)
    request = wish(stage, charge, account)
    assert stage.view(request)["decision"] is None
    stage.later(minutes=1)
    stage.work()
    assert stage.view(request)["status"] == "succeeded"


def test_a_wish_for_an_account_out_of_reach_ends_at_its_deadline(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid_direct(account, 5000)
    stage.fault("reset", path="/v1/charges/*", method="GET", times=1)
    request = wish(stage, charge, account)
    stage.sandbox.control("POST", f"accounts/{account}/deauthorize", {})
    stage.later(hours=1)
    stage.work()
    assert stage.view(request)["status"] == "requested"
    stage.later(days=7)
    stage.work()
    view = stage.view(request)
    assert view["decision"] is not None
    assert (view["status"], view["decision"]["rule"]) == ("rejected", "account_deauthorized")


def test_an_account_that_stripe_does_not_know_is_said_at_once(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid_direct(account, 5000)
    with pytest.raises(PaymentNotFoundError, match="nothing of acct_mistyped") as caught:
        wish(stage, charge, "acct_mistyped")
    assert caught.value.param == "account"
    with stage.services.database.reading() as unit:
        assert unit.exec(select(RefundRequest)).all() == []
        assert unit.exec(select(CircuitRow)).all() == []
    # Under the right id the same key is free.
    assert stage.taken(charge, None, key="key-1", account=AccountId(account)).decided


def test_a_key_that_is_turned_away_says_nothing_about_the_account(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid_direct(account, 5000)
    stage.fault("revoked_key", path="/v1/charges/*", method="GET", times=1)
    assert stage.view(wish(stage, charge, account))["status"] == "requested"


def test_of_an_account_that_left_nobody_can_refund_anything(stage: Stage) -> None:
    holding(stage)
    account = stage.account()
    charge = stage.paid_direct(account, 5000)
    held = wish(stage, charge, account, 1000)
    with stage.services.database.unit_of_work() as unit:
        disconnect_account(unit, AccountId(account), stage.now())
    act(stage.services, Action.RELEASE, held, note="they are owed", actor="ada")
    stage.work()
    view = stage.view(held)
    assert view["decision"] is not None
    assert (view["status"], view["decision"]["rule"]) == ("review", "account_deauthorized")
    assert stage.calls() == []
    with pytest.raises(PaymentNotFoundError, match="disconnected"):
        wish(stage, charge, account, 1000, additional=True)
