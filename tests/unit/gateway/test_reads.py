"""What the other reads make of Stripe's objects, and how lists are read to their end.

The rows hold shapes Stripe documents and some it doesn't; nothing here may need a sandbox.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import client
from gateway.port import ListingTooLongError, RejectedReadError, UnavailableError
from refunds.facts import AccountStanding, EventFacts
from refunds.ids import AccountId, ChargeId, DisputeId, EventId, RefundId, TransferId
from refunds.money import Currency, Money
from tests.unit.gateway.canned import (
    NOW,
    THEN,
    Canned,
    Reply,
    Request,
    always,
    dispute,
    event,
    gateway_over,
    listing,
    refund,
    reversal,
)

ACCOUNT = AccountId("acct_1")
USD, EUR = Currency("usd"), Currency("eur")
SINCE = datetime.fromtimestamp(THEN, UTC)


def test_a_balance_is_read_per_currency() -> None:
    body = {
        "object": "balance",
        "available": [
            {"amount": -1200, "currency": "usd", "source_types": {"card": -1200}},
            {"amount": 30, "currency": "eur"},
        ],
        "pending": [{"amount": 5000, "currency": "usd"}],
        "connect_reserved": [{"amount": 700, "currency": "usd"}],
        "livemode": False,
    }
    transport = Canned(always(200, body))
    balance = gateway_over(transport).read_balance(ACCOUNT)
    assert balance.available == {USD: -1200, EUR: 30}
    assert balance.pending == {USD: 5000}
    assert balance.connect_reserved == {USD: 700}
    assert (balance.account, balance.livemode, balance.read_at) == (ACCOUNT, False, NOW)
    assert transport.requests[0].headers["Stripe-Account"] == "acct_1"


def test_the_platforms_own_balance_is_read_without_an_account() -> None:
    body = {"available": [], "pending": [], "livemode": True}
    transport = Canned(always(200, body))
    balance = gateway_over(transport).read_balance(None)
    assert "Stripe-Account" not in transport.requests[0].headers
    assert (balance.available, balance.connect_reserved, balance.livemode) == ({}, {}, True)


@pytest.mark.parametrize(
    "body",
    [
        {"pending": [], "livemode": False},
        {"available": None, "pending": [], "livemode": False},
        {"available": [None], "pending": [], "livemode": False},
        {"available": [{"amount": 1.5, "currency": "usd"}], "pending": [], "livemode": False},
        {"available": [{"amount": 1}], "pending": [], "livemode": False},
        {"available": [], "pending": []},
    ],
)
def test_a_balance_with_a_hole_in_it_is_no_balance(body: Mapping[str, object]) -> None:
    with pytest.raises(UnavailableError, match="no usable balance"):
        gateway_over(Canned(always(200, body))).read_balance(ACCOUNT)


def test_an_account_is_read() -> None:
    body = {
        "id": "acct_1",
        "country": "DE",
        "email": "shop@shop.example",
        "default_currency": "EUR",
        "charges_enabled": True,
        "payouts_enabled": False,
        "requirements": {"disabled_reason": "rejected.fraud"},
        "controller": {"losses": {"payments": "application"}, "is_controller": True},
        "settings": {"payouts": {"schedule": {"interval": "daily"}}},
    }
    account = gateway_over(Canned(always(200, body))).read_account(ACCOUNT)
    assert (account.account, account.country, account.default_currency) == (ACCOUNT, "DE", EUR)
    assert (account.charges_enabled, account.payouts_enabled) == (True, False)
    assert (account.losses_payments, account.payout_interval) == ("application", "daily")
    assert account.platform_controlled
    assert account.email == "shop@shop.example"
    assert "shop@" not in repr(account)
    assert account.standing is AccountStanding.REJECTED


@pytest.mark.parametrize(
    "body",
    [
        {"id": "acct_1"},
        {
            "id": "acct_1",
            "requirements": None,
            "controller": {"losses": None, "is_controller": None},
            "settings": {"payouts": None},
            "country": None,
            "default_currency": None,
        },
    ],
)
def test_what_an_account_does_not_show_is_left_open(body: Mapping[str, object]) -> None:
    account = gateway_over(Canned(always(200, body))).read_account(ACCOUNT)
    assert (account.country, account.default_currency, account.payout_interval) == (None,) * 3
    assert (account.charges_enabled, account.platform_controlled) == (False, False)
    assert account.email is None
    assert account.standing is AccountStanding.ACTIVE


def test_a_dispute_is_read() -> None:
    body = dispute(charge={"id": "ch_1"}, status="warning_needs_response")
    found = gateway_over(Canned(always(200, body))).read_dispute(DisputeId("dp_1"))
    assert (found.dispute, found.charge, found.inquiry) == ("dp_1", "ch_1", True)
    # Refundable only where Stripe says so.
    assert not found.charge_refundable


def test_a_refund_is_read_in_its_account() -> None:
    transport = Canned(always(200, refund(pending_reason="insufficient_funds", status="pending")))
    found = gateway_over(transport).read_refund(RefundId("re_1"), ACCOUNT)
    assert (found.account, found.pending_reason) == (ACCOUNT, "insufficient_funds")
    assert transport.requests[0].path == "/v1/refunds/re_1"
    assert transport.requests[0].headers["Stripe-Account"] == "acct_1"


class Paged:
    """Answers like a list of Stripe's: newest first, with both cursors."""

    def __init__(self, newest_first: list[dict[str, object]], *, page: int) -> None:
        self._items = newest_first
        self._page = page

    def __call__(self, request: Request) -> Reply:
        ids = [item["id"] for item in self._items]
        assert request.fields["limit"] == "100"
        if "ending_before" in request.fields:
            end = ids.index(request.fields["ending_before"])
            start = max(0, end - self._page)
            return Reply(200, listing(*self._items[start:end], has_more=start > 0))
        start = 0
        if "starting_after" in request.fields:
            start = ids.index(request.fields["starting_after"]) + 1
        end = start + self._page
        return Reply(200, listing(*self._items[start:end], has_more=end < len(ids)))


@given(count=st.integers(0, 12), page=st.integers(1, 5))
def test_every_refund_of_a_charge_is_listed_once(count: int, page: int) -> None:
    transport = Canned(Paged([refund(id=f"re_{n}") for n in range(count)], page=page))
    found = gateway_over(transport).list_refunds(ChargeId("ch_1"))
    assert [item.refund for item in found] == [f"re_{n}" for n in range(count)]
    assert {request.fields["charge"] for request in transport.requests} == {"ch_1"}


def test_every_reversal_of_a_transfer_is_listed() -> None:
    transport = Canned(Paged([reversal(id=f"trr_{n}", amount=n) for n in range(1, 8)], page=3))
    found = gateway_over(transport).list_reversals(TransferId("tr_1"))
    assert [item.amount for item in found] == [Money(n, USD) for n in range(1, 8)]
    assert {request.path for request in transport.requests} == {"/v1/transfers/tr_1/reversals"}


def test_a_list_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_REFUNDS_OF_A_CHARGE", 250)
    page = listing(*(refund() for _ in range(100)), has_more=True)
    transport = Canned(always(200, page))
    with pytest.raises(ListingTooLongError, match="more than 250"):
        gateway_over(transport).list_refunds(ChargeId("ch_1"))
    assert len(transport.requests) == 3


def test_a_list_as_long_as_the_bound_is_whole_and_one_longer_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "MAX_REFUNDS_OF_A_CHARGE", 6)
    six, seven = (
        gateway_over(Canned(Paged([refund(id=f"re_{n}") for n in range(count)], page=3)))
        for count in (6, 7)
    )
    assert len(six.list_refunds(ChargeId("ch_1"))) == 6
    with pytest.raises(ListingTooLongError):
        seven.list_refunds(ChargeId("ch_1"))


@pytest.mark.parametrize(
    "body",
    [
        {"object": "list"},
        {"data": None},
        {"data": [None]},
        listing(has_more=True),
        listing(refund(id=None), has_more=True),
        {"data": [], "has_more": "no"},
    ],
)
def test_half_a_list_is_not_taken_for_a_whole_one(body: Mapping[str, object]) -> None:
    """ "No refunds" would let a fresh key be used."""
    with pytest.raises(UnavailableError):
        gateway_over(Canned(always(200, body))).list_refunds(ChargeId("ch_1"))


NEWEST_FIRST = [event(n) for n in range(9, 0, -1)]


def _ids(events: object) -> list[str]:
    assert isinstance(events, list)
    return [item.event for item in events if isinstance(item, EventFacts)]


@pytest.mark.parametrize("page", [1, 2, 9, 100])
@pytest.mark.parametrize("known", [None, "evt_1", "evt_4", "evt_9"])
def test_events_come_oldest_first(page: int, known: str | None) -> None:
    transport = Canned(Paged(NEWEST_FIRST, page=page))
    cursor = EventId(known) if known else None
    events = gateway_over(transport).list_events(
        ["balance.available", "refund.updated"], ACCOUNT, since=SINCE, ending_before=cursor
    )
    first = int(known.removeprefix("evt_")) + 1 if known else 1
    assert _ids(events) == [f"evt_{n}" for n in range(first, 10)]
    for request in transport.requests:
        assert request.headers["Stripe-Account"] == "acct_1"
        assert request.fields["types[0]"] == "balance.available"
        assert request.fields["types[1]"] == "refund.updated"
        assert request.fields["created[gte]"] == str(THEN)


def test_too_many_events_after_a_known_one_end_early_and_can_be_gone_on_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "MAX_EVENTS_OF_A_LISTING", 4)
    gateway = gateway_over(Canned(Paged(NEWEST_FIRST, page=2)))
    seen, cursor = [], "evt_1"
    while found := _ids(
        gateway.list_events(["a.b"], None, since=SINCE, ending_before=EventId(cursor))
    ):
        seen += found
        cursor = found[-1]
    assert seen == [f"evt_{n}" for n in range(2, 10)]


def test_too_many_events_without_a_known_one_are_not_cut_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What would be missing is the oldest, and nobody would come back for it."""
    monkeypatch.setattr(client, "MAX_EVENTS_OF_A_LISTING", 4)
    with pytest.raises(ListingTooLongError):
        gateway_over(Canned(Paged(NEWEST_FIRST, page=2))).list_events(["a.b"], None, since=SINCE)


@pytest.mark.parametrize("count", [0, 21])
def test_stripe_lists_events_of_one_to_twenty_types(count: int) -> None:
    """No type at all would ask for every event there is."""
    transport = Canned(Paged(NEWEST_FIRST, page=2))
    with pytest.raises(RejectedReadError, match="1 to 20 types"):
        gateway_over(transport).list_events(["a.b"] * count, None, since=SINCE)
    assert transport.requests == []


@pytest.mark.parametrize(
    "named, listed_in, expected",
    [
        (None, None, None),
        (None, "acct_1", "acct_1"),
        ("acct_1", "acct_1", "acct_1"),
        ("acct_2", None, "acct_2"),
    ],
)
def test_an_events_body_reads_like_a_delivery(
    named: str | None, listed_in: str | None, expected: str | None
) -> None:
    body = event(1) if named is None else event(1, account=named)
    account = AccountId(listed_in) if listed_in else None
    gateway = gateway_over(Canned(always(200, listing(body))))
    (found,) = gateway.list_events(["balance.available"], account, since=SINCE)
    assert (found.event, found.type, found.livemode) == ("evt_1", "balance.available", False)
    assert (found.account, found.api_version) == (expected, "2026-10-28.endive")
    assert found.created == SINCE + timedelta(seconds=1)
    stored = json.loads(found.body)
    assert stored.get("account") == expected
    assert stored["data"]["object"]["note"] == "grüße"
    assert "grüße" not in repr(found)


def test_an_event_about_an_object_the_sdk_trips_over_is_listed_all_the_same() -> None:
    settings = {
        "object": "balance_settings",
        "payments": {"payouts": {"automatic_transfer_rules_by_currency": None}},
    }
    body = event(1, type="balance_settings.updated", data={"object": settings})
    gateway = gateway_over(Canned(always(200, listing(body))))
    (found,) = gateway.list_events(["balance_settings.updated"], None, since=SINCE)
    assert json.loads(found.body)["data"]["object"] == settings
