"""The books as read for an audit: whole, in batches of any size, and broken ones seen as broken.

It may not lean on how batches are cut; every request, refund, charge and run must be in one.
"""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from refunds.facts import RefundFacts, RefundStatus
from refunds.ids import AccountId, ChargeId, RefundId, RunId
from refunds.invariants import RunBooks, violations
from refunds.lifecycle import Bucket, Status
from refunds.money import Currency, Money
from store.attempts import add_attempt, add_run
from store.charges import save_charge
from store.database import Database, Unit
from store.ledger import Because, move, move_along
from store.observations import add_refund
from store.reports import counts_by_status, held_sums, load_books
from store.requests import add_request, get_request
from store.tables.attempts import ReleaseAttempt, ReleaseRun
from store.tables.requests import RefundRequest
from tests.support.facts import EUR, NOON, USD, charged

BECAUSE = Because(at=NOON, cause="test", why="A story.")
HELD = (Bucket.OPENED, Bucket.REQUESTED, Bucket.HELD)
SHOP = AccountId("acct_shop")


def add_held(unit: Unit, name: str, amount_minor: int, currency: Currency = USD) -> None:
    """A charge of 10,000 and a request on hold on it."""
    facts = replace(charged(10_000, currency), charge=ChargeId(f"ch_{name}"))
    save_charge(unit, facts)
    row = request(f"rr_{name}", facts.charge, amount_minor, currency)
    add_request(unit, row)
    move_along(unit, get_request(unit, row.id), HELD, amount_minor, BECAUSE)


def request(
    name: str, charge: str | None, amount_minor: int | None, currency: str | None
) -> RefundRequest:
    return RefundRequest(
        id=name,
        created=NOON,
        idempotency_key=f"key-{name}",
        wish_digest="digest",
        actor="test",
        payment=charge or "pi_later",
        livemode=False,
        charge_id=charge,
        lane=SHOP if charge else None,
        account=SHOP if charge else None,
        amount_minor=amount_minor,
        currency=currency,
        deadline=NOON + timedelta(days=7),
    )


def observed(name: str, amount_minor: int, status: RefundStatus) -> RefundFacts:
    return RefundFacts(
        refund=RefundId(f"re_{name}_{status}"),
        charge=ChargeId(f"ch_{name}"),
        payment_intent=None,
        account=None,
        amount=Money(amount_minor, USD),
        status=status,
        pending_reason=None,
        failure_reason=None,
        reversal=None,
        metadata={},
        created=NOON,
        read_at=NOON,
    )


def add_released(unit: Unit, run: str, name: str, *, account_minor: int, cost_minor: int) -> None:
    """An attempt of a run, with what it promised of the account's and the platform's money."""
    unit.add(
        attempt := ReleaseAttempt(
            id=f"ra_{name}",
            request_id=f"rr_{name}",
            run_id=run,
            charge_id=f"ch_{name}",
            lane=SHOP,
            amount_minor=cost_minor,
            currency="usd",
            prepared_at=NOON,
            next_try_at=NOON,
        )
    )
    reserve = [(str(SHOP), Money(account_minor, USD)), ("platform", Money(cost_minor, USD))]
    add_attempt(unit, attempt, (), reserve)


def add_spending_run(unit: Unit, run: str, *, spendable: int, platform: int) -> None:
    add_run(
        unit,
        ReleaseRun(
            id=run,
            lane=SHOP,
            cause="test",
            worker="worker-1",
            fence=1,
            started_at=NOON,
            spendable={SHOP: {"usd": spendable}},
            platform_spendable={"usd": platform},
        ),
    )


@pytest.mark.parametrize("batch", [1, 2, 3, 200])
def test_every_row_is_in_one_batch_whatever_their_size(database: Database, batch: int) -> None:
    with database.unit_of_work() as unit:
        for name in "abcde":
            add_held(unit, name, 1_000)
        second = request("rr_a2", "ch_a", 500, "usd")
        add_request(unit, second)
        move_along(unit, get_request(unit, "rr_a2"), HELD, 500, BECAUSE)
        for name in ("later1", "later2", "later3"):
            add_request(unit, request(f"rr_{name}", None, None, None))
        add_refund(
            unit,
            observed("b", 2_000, RefundStatus.SUCCEEDED),
            ChargeId("ch_b"),
            request=None,
            attempt=None,
        )
    with database.reading() as unit:
        batches = list(load_books(unit, batch))
    requests = [each for books in batches for each in books.requests]
    assert Counter(each.request for each in requests) == Counter(
        ["rr_a", "rr_a2", "rr_b", "rr_c", "rr_d", "rr_e", "rr_later1", "rr_later2", "rr_later3"]
    )
    assert {each.charge for books in batches for each in books.charges} == {
        f"ch_{name}" for name in "abcde"
    }
    assert [each.refund for books in batches for each in books.refunds] == ["re_b_succeeded"]
    # A charge's requests stand beside it: 1,000 + 500 of one charge are judged together.
    beside = next(books for books in batches if "ch_a" in {each.charge for each in books.charges})
    assert {"rr_a", "rr_a2"} <= {each.request for each in beside.requests}
    assert all(violations(books) == [] for books in batches)


@pytest.mark.parametrize(
    "tampering, complaint",
    [
        ("UPDATE request_bucket SET amount_minor = 900 WHERE bucket = 'held'", "projection says"),
        ("UPDATE refund_request SET amount_minor = 900", "in its buckets, not 900"),
        ("UPDATE refund_request SET status = 'succeeded'", "status succeeded isn't that of"),
        ("UPDATE charge SET amount_minor = 900", "claimed of 900"),
    ],
)
def test_books_that_were_tampered_with_are_seen(
    database: Database, tampering: str, complaint: str
) -> None:
    with database.unit_of_work() as unit:
        add_held(unit, "a", 1_000)
    with database.unit_of_work() as unit:
        unit.connection().execute(text(tampering))
    with database.reading() as unit:
        found = [each for books in load_books(unit) for each in violations(books)]
    assert any(complaint in each for each in found), found


@pytest.mark.parametrize(
    "status, in_order",
    [
        # 9,000 on hold and 2,000 refunded by another hand are more than 10,000.
        (RefundStatus.SUCCEEDED, False),
        (RefundStatus.PENDING, False),
        (RefundStatus.UNKNOWN, False),
        (RefundStatus.REQUIRES_ACTION, False),
        # What failed never left.
        (RefundStatus.FAILED, True),
        (RefundStatus.CANCELED, True),
    ],
)
def test_a_live_refund_counts_against_its_charge(
    database: Database, status: RefundStatus, in_order: bool
) -> None:
    with database.unit_of_work() as unit:
        add_held(unit, "a", 9_000)
        charge = ChargeId("ch_a")
        add_refund(unit, observed("a", 2_000, status), charge, request=None, attempt=None)
    with database.reading() as unit:
        found = [each for books in load_books(unit) for each in violations(books)]
    assert (found == []) is in_order


def test_a_run_is_shown_with_what_it_promised_of_each_balance(database: Database) -> None:
    with database.unit_of_work() as unit:
        for name in "abc":
            add_held(unit, name, 3_000)
        add_spending_run(unit, "run_1", spendable=5_000, platform=9_000)
        add_spending_run(unit, "run_2", spendable=2_000, platform=9_000)
        add_released(unit, "run_1", "a", account_minor=2_500, cost_minor=3_000)
        add_released(unit, "run_1", "b", account_minor=2_500, cost_minor=3_000)
        add_released(unit, "run_2", "c", account_minor=3_000, cost_minor=3_000)
    with database.reading() as unit:
        batches = list(load_books(unit, batch=1))
    runs = {(each.run, each) for books in batches for each in books.runs}

    def of(run: str, spendable_minor: int, released_minor: int) -> tuple[RunId, RunBooks]:
        name = RunId(run)
        return name, RunBooks(
            run=name, currency=USD, spendable_minor=spendable_minor, released_minor=released_minor
        )

    assert runs == {
        of("run_1", 5_000, 5_000),  # the account: 2,500 + 2,500
        of("run_1", 9_000, 6_000),  # the platform: 3,000 + 3,000
        of("run_2", 2_000, 3_000),  # more than there was
        of("run_2", 9_000, 3_000),
    }
    found = [each for books in batches for each in violations(books)]
    assert [each for each in found if each.startswith("run_")] == [
        "run_2: released 3000 of 2000 spendable (usd)"
    ]


def test_counts_and_sums_for_the_status_page(database: Database) -> None:
    with database.unit_of_work() as unit:
        add_held(unit, "a", 1_000)
        add_held(unit, "b", 2_500)
        add_held(unit, "c", 700, EUR)
        add_held(unit, "d", 9_999)
        row = get_request(unit, "rr_d")
        move(unit, row, Bucket.HELD, Bucket.CANCELED, 9_999, BECAUSE)
    with database.reading() as unit:
        counts, sums = counts_by_status(unit), held_sums(unit)
    assert sums == [Money(700, EUR), Money(3_500, USD)]
    assert counts == dict.fromkeys(Status, 0) | {Status.HELD: 3, Status.CANCELED: 1}


def test_an_empty_installation_has_empty_books(database: Database) -> None:
    with database.reading() as unit:
        assert list(load_books(unit)) == []
        assert held_sums(unit) == []
        assert set(counts_by_status(unit).values()) == {0}
