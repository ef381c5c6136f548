"""What the platform stood in for is taken back later, as the balance allows and never twice."""

from dataclasses import replace

import pytest
import stripe
from sqlmodel import col, select

from handlers.accounts import view_account
from handlers.operate import Action, act
from handlers.recovery import _look_at, _prepare, collect
from handlers.recovery_outcome import settle_due_recovery
from handlers.recovery_pause import pause_recovery, resume_recovery
from handlers.recovery_view import view_debt
from refunds.attempt import AttemptState
from refunds.ids import AccountId, TransferId
from refunds.money import Currency
from refunds.policy import PolicyBook, RecoveryStep
from store.database import Unit
from store.installation import actions_on
from store.legs import known_transfers
from store.recovery import owed_by
from store.tables.recovery import RecoveryAttempt
from store.tables.requests import Mode
from tests.integration.handlers.test_policy_keys import movement, swept, under
from tests.support.split_play import named
from tests.support.stage import KEY, Stage

USD = Currency("usd")


@pytest.fixture
def account(stage: Stage) -> str:
    """An account that owes 40.00 of a refund of 50.00, and has nothing."""
    return owing(stage)


def owing(stage: Stage) -> str:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 1000)
    request = stage.wish(charge)
    stage.work()
    act(stage.services, Action.RELEASE, request, note="we stand in", actor="ada")
    stage.work()
    assert exposure(stage, account) == 4000
    return account


def test_it_is_taken_back_bit_by_bit_as_money_comes_in(stage: Stage, account: str) -> None:
    assert collected(stage) == "0 reversals"
    stage.has(account, 1500)
    assert collected(stage) == "1 reversal"
    assert (exposure(stage, account), movement(stage, account)[-1]) == (2500, -1500)
    assert collected(stage) == "0 reversals"
    stage.has(account, 9000)
    assert collected(stage) == "1 reversal"
    assert (exposure(stage, account), movement(stage, account)[-1]) == (0, -2500)
    stage.has(account, 9000)
    assert collected(stage) == "0 reversals"
    assert movement(stage, account)[-3:] == [-1000, -1500, -2500]


def test_without_the_step_nothing_is_taken_back(stage: Stage, account: str) -> None:
    stage.has(account, 9000)
    under(stage, recovery=(RecoveryStep.WAIT,))
    assert collected(stage) == "0 reversals"
    under(stage)
    assert collected(stage) == "1 reversal"


def test_buyers_come_first_and_the_minimum_balance_stays(stage: Stage, account: str) -> None:
    charge = stage.paid(account, 6000)
    stage.has(account, 0)
    stage.wish(charge)
    stage.work()
    # 60.00 wait, 5.00 must stay: of 70.00 only 5.00 can be taken back.
    under(stage, minimum_balance={USD: 500})
    stage.has(account, 7000)
    assert collected(stage) == "1 reversal"
    assert exposure(stage, account) == 3500


def test_a_transfer_that_somebody_else_reversed_gives_no_more(stage: Stage, account: str) -> None:
    [transfer] = stage.sandbox.control("GET", "state")["objects"]["transfer"]
    stage.has(account, 9000)
    reverse(stage, str(transfer["id"]), 3500)
    # 50.00 came, 10.00 were reversed with the refund and 35.00 by another hand: 5.00 are owed.
    assert collected(stage) == "1 reversal"
    assert (exposure(stage, account), movement(stage, account)[-1]) == (0, -500)
    assert collected(stage) == "0 reversals"


def test_an_answer_that_is_lost_takes_nothing_twice(stage: Stage, account: str) -> None:
    stage.has(account, 1500)
    stage.fault("lost_response", path="/v1/transfers/*/reversals")
    collected(stage)
    assert states(stage) == [AttemptState.PREPARED]
    assert exposure(stage, account) == 4000
    # The money that may have left is kept until it is known, and nobody tries a second time.
    with stage.services.database.reading() as unit:
        assert view_account(unit, AccountId(account))["reserved"] == [
            {"amount": 1500, "currency": "usd"}
        ]
    stage.has(account, 9000)
    assert collected(stage) == "0 reversals"
    stage.later(seconds=12)
    assert settle_due_recovery(stage.services)
    assert states(stage) == [AttemptState.DONE]
    assert exposure(stage, account) == 2500
    assert not settle_due_recovery(stage.services)
    keys = [c["idempotency_key"] for c in stage.calls() if c["path"].endswith("/reversals")]
    assert len(keys[1:]) == 2
    assert len(set(keys[1:])) == 1


@pytest.mark.parametrize("effect, state", [(True, "done"), (False, "never_executed")])
def test_a_day_later_the_list_of_reversals_says_what_happened(
    stage: Stage, account: str, *, effect: bool, state: str
) -> None:
    stage.has(account, 1500)
    kind = "lost_response" if effect else "http_500"
    stage.fault(kind, path="/v1/transfers/*/reversals")
    collected(stage)
    stage.later(hours=25)
    assert settle_due_recovery(stage.services)
    assert states(stage) == [state]
    assert exposure(stage, account) == (2500 if effect else 4000)


def test_a_refusal_frees_the_money_and_is_not_repeated_at_once(stage: Stage, account: str) -> None:
    stage.has(account, 1500)
    stage.fault(
        "interlude",
        path="/v1/transfers/*/reversals",
        after_effect=False,
        steps=[{"path": f"/_sandbox/accounts/{account}/payout", "body": {"amount": 1500}}],
    )
    collected(stage)
    assert states(stage) == [AttemptState.REFUSED]
    stage.has(account, 1500)
    assert collected(stage) == "0 reversals"
    stage.later(hours=7)
    stage.has(account, 1500)
    assert collected(stage) == "1 reversal"
    assert exposure(stage, account) == 2500


def test_a_run_does_without_what_is_being_taken_back(stage: Stage, account: str) -> None:
    stage.has(account, 1500)
    stage.fault("lost_response", path="/v1/transfers/*/reversals")
    collected(stage)
    # Its effect is there already, which we don't know: 20.00 are read, 15.00 of them are kept.
    charge = stage.paid(account, 600)
    stage.has(account, 2000)
    request = stage.wish(charge)
    swept(stage, account)
    assert (stage.view(request)["status"], stage.view(request)["spendable"]) == ("held", 500)


def test_two_rounds_at_once_take_it_back_once(stage: Stage, account: str) -> None:
    stage.has(account, 9000)
    found = _look_at(stage.services, AccountId(account))
    assert found is not None
    with stage.services.database.reading() as unit:
        [owed] = owed_by(unit, AccountId(account), 10)
    charge = stage.services.gateway.read_payment(owed.charge)
    assert _prepare(stage.services, found, owed, charge) is not None
    assert _prepare(stage.services, found, owed, charge) is None


def test_a_pause_that_comes_after_the_look_is_honoured(stage: Stage, account: str) -> None:
    stage.has(account, 9000)
    found = _look_at(stage.services, AccountId(account))
    assert found is not None
    with stage.services.database.reading() as unit:
        [owed] = owed_by(unit, AccountId(account), 10)
    charge = stage.services.gateway.read_payment(owed.charge)
    pause_recovery(stage.services, AccountId(account), note="an invoice", actor="ada")
    assert _prepare(stage.services, found, owed, charge) is None
    resume_recovery(stage.services, AccountId(account), note="not paid", actor="bob")
    with stage.services.database.reading() as unit:
        done = [(a.actor, a.action, a.note, a.after) for a in actions_on(unit, account)]
    assert done == [
        ("ada", "recovery.pause", "an invoice", {"paused": True}),
        ("bob", "recovery.resume", "not paid", {"paused": False}),
    ]
    assert _prepare(stage.services, found, owed, charge) is not None


def test_what_was_asked_for_before_a_pause_is_followed_to_its_outcome(
    stage: Stage, account: str
) -> None:
    stage.has(account, 1500)
    stage.fault("lost_response", path="/v1/transfers/*/reversals")
    collected(stage)
    pause_recovery(stage.services, None, note="an audit", actor="ada")
    assert waits_for(stage, account) == "outcome"
    stage.later(seconds=12)
    assert settle_due_recovery(stage.services)
    assert exposure(stage, account) == 2500
    assert waits_for(stage, account) == "paused"


def test_the_list_says_why_each_debt_waits(stage: Stage, account: str) -> None:
    assert waits_for(stage, account) == "balance"
    under(stage, recovery=(RecoveryStep.WAIT,))
    assert waits_for(stage, account) == "policy"
    under(stage)
    stage.has(account, 1500)
    stage.fault(
        "interlude",
        path="/v1/transfers/*/reversals",
        after_effect=False,
        steps=[{"path": f"/_sandbox/accounts/{account}/payout", "body": {"amount": 1500}}],
    )
    collected(stage)
    assert waits_for(stage, account) == "refused"
    stage.later(hours=7)
    assert waits_for(stage, account) == "balance"
    stage.services = replace(stage.services, mode=Mode.SHADOW, policies=PolicyBook())
    assert waits_for(stage, account) == "shadow"


def test_each_account_of_a_split_payment_pays_back_its_own_part(stage: Stage) -> None:
    first, second = stage.account(), stage.account()
    charge, (one, two) = stage.paid_split(10_000, [(first, 6000), (second, 3000)])
    request = stage.wish(charge, transfers=named((one, None), (two, None)))
    stage.work()
    act(stage.services, Action.RELEASE, request, note="we stand in", actor="ada")
    stage.work()
    assert (exposure(stage, first), exposure(stage, second)) == (6000, 3000)
    stage.has(second, 1000)
    assert collected(stage) == "1 reversal"
    assert (exposure(stage, first), exposure(stage, second)) == (6000, 2000)
    stage.has(first, 7000)
    stage.has(second, 7000)
    assert collected(stage) == "2 reversals"
    assert (exposure(stage, first), exposure(stage, second)) == (0, 0)
    assert collected(stage) == "0 reversals"


def test_a_split_payment_is_taken_back_in_the_currency_it_settled_in(stage: Stage) -> None:
    euros = stage.account(default_currency="eur", country="DE")
    charge, (one,) = stage.paid_split(10_000, [(euros, 6000)])
    stage.has(euros, 0)
    request = stage.wish(charge, 5000)
    act(stage.services, Action.RELEASE, request, note="we stand in", actor="ada")
    stage.work()
    need = stage.view(request)["need"]
    assert need is not None
    assert need["currency"] == "eur"
    owed_minor = exposure_in(stage, euros, "eur")
    # 5000 · 6000 / 10000 = 3000 of the transfer's dollars.
    assert owed_minor == need["amount"]
    stage.has(euros, 30_000)
    for _ in range(3):
        collected(stage)
    assert exposure_in(stage, euros, "eur") <= 1
    # Rounded down to what the euros are worth, never more than the refund took.
    assert 2990 <= stage.services.gateway.read_transfer(TransferId(one)).reversed_minor <= 3000
    with stage.services.database.reading() as unit:
        [known] = known_transfers(unit, charge)
    assert known.settlement is not None
    assert known.settlement.amount.currency == "eur"


def test_an_account_that_hides_how_it_settled_gives_nothing_in_a_guessed_currency(
    stage: Stage,
) -> None:
    euros = stage.account(default_currency="eur", country="DE")
    body = {"charge_type": "destination", "account": euros, "amount": 5000}
    paid = stage.sandbox.control("POST", "payments", body)
    stage.has(euros, 0)
    request = stage.wish(str(paid["charge"]["id"]))
    act(stage.services, Action.RELEASE, request, note="we stand in", actor="ada")
    stage.work()
    stage.has(euros, 30_000)
    found = _look_at(stage.services, AccountId(euros))
    assert found is not None
    with stage.services.database.reading() as unit:
        [owed] = owed_by(unit, AccountId(euros), 10)
    read = stage.services.gateway.read_payment(owed.charge)
    assert read.transfer is not None
    hidden = replace(read, transfer=replace(read.transfer, settlement=None))
    assert _prepare(stage.services, found, owed, hidden) is None


def test_shadow_mode_takes_nothing_back(stage: Stage, account: str) -> None:
    stage.has(account, 9000)
    stage.services = replace(stage.services, mode=Mode.SHADOW, policies=PolicyBook())
    assert "shadow" in collected(stage)
    assert not settle_due_recovery(stage.services)


def collected(stage: Stage) -> str:
    return collect(stage.services, lambda: None)


def exposure_in(stage: Stage, account: str, currency: str) -> int:
    with stage.services.database.reading() as unit:
        owed = view_account(unit, AccountId(account))["exposure"]
    assert {each["currency"] for each in owed} <= {currency}
    return sum(each["amount"] for each in owed)


def exposure(stage: Stage, account: str) -> int:
    with stage.services.database.reading() as unit:
        found = view_account(unit, AccountId(account))["exposure"]
    return sum(each["amount"] for each in found)


def waits_for(stage: Stage, account: str) -> str:
    with stage.services.database.reading() as unit:
        return view_debt(stage.services, unit, AccountId(account))["waits_for"]


def states(stage: Stage) -> list[AttemptState]:
    with stage.services.database.reading() as unit:
        return [row.state for row in _rows(unit)]


def _rows(unit: Unit) -> list[RecoveryAttempt]:
    return list(unit.exec(select(RecoveryAttempt).order_by(col(RecoveryAttempt.id))))


def reverse(stage: Stage, transfer: str, amount: int) -> None:
    """Another hand reverses a part of a transfer."""
    client = stripe.StripeClient(KEY, base_addresses={"api": stage.sandbox.base_url})
    client.v1.transfers.reversals.create(transfer, params={"amount": amount})
