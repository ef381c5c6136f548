"""Facts: what is derived from Stripe's words, known ones and ones we have not met yet.

It may not parse Stripe's objects; that is the gateway's.
"""

import pytest

from refunds.facts import (
    AccountStanding,
    BalanceFacts,
    DisputeFacts,
    EventFacts,
    RefundFacts,
    RefundStatus,
)
from refunds.ids import DisputeId, RefundId
from refunds.money import Money
from tests.support.facts import (
    ACCOUNT,
    CHARGE,
    EUR,
    NOON,
    USD,
    account_facts,
    charged,
    transferred,
)


@pytest.mark.parametrize(
    "status, live",
    [
        (RefundStatus.PENDING, True),
        (RefundStatus.REQUIRES_ACTION, True),
        (RefundStatus.SUCCEEDED, True),
        (RefundStatus.UNKNOWN, True),  # a word we don't know must not free the charge
        (RefundStatus.FAILED, False),
        (RefundStatus.CANCELED, False),
    ],
)
def test_a_refund_counts_until_stripe_says_it_came_to_nothing(
    status: RefundStatus, *, live: bool
) -> None:
    refund = RefundFacts(
        refund=RefundId("re_lamp"),
        charge=CHARGE,
        payment_intent=None,
        account=None,
        amount=Money(5_000, USD),
        status=status,
        pending_reason=None,
        failure_reason=None,
        reversal=None,
        metadata={},
        created=NOON,
        read_at=NOON,
    )
    assert refund.live is live


@pytest.mark.parametrize(
    "status, charge_refundable, inquiry, closed, blocks",
    [
        # An inquiry took no money: refunding the charge ends it, where Stripe still lets us.
        ("warning_needs_response", True, True, False, False),
        ("warning_under_review", True, True, False, False),
        ("warning_needs_response", False, True, False, True),
        ("warning_closed", False, True, True, False),
        # A chargeback took the money: a refund would pay the buyer twice.
        ("needs_response", False, False, False, True),
        ("needs_response", True, False, False, True),
        ("under_review", False, False, False, True),
        ("won", False, False, True, False),
        ("lost", False, False, True, False),
        ("charge_refunded", False, False, True, False),
        ("prevented", False, False, True, False),
        # A word this version has not met stops the refund.
        ("paused_by_committee", True, False, False, True),
    ],
)
def test_what_a_dispute_means_for_a_refund(
    status: str, *, charge_refundable: bool, inquiry: bool, closed: bool, blocks: bool
) -> None:
    dispute = DisputeFacts(
        dispute=DisputeId("dp_lamp"),
        charge=CHARGE,
        status=status,
        charge_refundable=charge_refundable,
    )
    assert (dispute.inquiry, dispute.closed, dispute.blocks) == (inquiry, closed, blocks)


def test_what_is_left_of_a_charge_and_whose_balance_it_draws_on() -> None:
    assert charged(10_000, refunded_minor=3_000).remaining_minor == 7_000
    assert charged(10_000).account is None
    assert charged(10_000, transfer=transferred(10_000)).account == ACCOUNT


def test_a_currency_a_balance_does_not_list_is_empty() -> None:
    balance = BalanceFacts(
        account=ACCOUNT, available={USD: -700}, pending={}, livemode=False, read_at=NOON
    )
    assert (balance.available_in(USD), balance.available_in(EUR)) == (-700, 0)
    assert balance.connect_reserved == {}


@pytest.mark.parametrize(
    "disabled_reason, standing",
    [
        (None, AccountStanding.ACTIVE),
        ("", AccountStanding.ACTIVE),
        ("rejected.fraud", AccountStanding.REJECTED),
        ("rejected.terms_of_service", AccountStanding.REJECTED),
        ("rejected.other", AccountStanding.REJECTED),
        ("listed", AccountStanding.REJECTED),
        # Shut for now, not for good; a paused account still has its balance.
        ("platform_paused", AccountStanding.ACTIVE),
        ("requirements.past_due", AccountStanding.ACTIVE),
        ("under_review", AccountStanding.ACTIVE),
        ("unlisted", AccountStanding.ACTIVE),
    ],
)
def test_only_an_account_shut_for_good_counts_as_rejected(
    disabled_reason: str | None, standing: AccountStanding
) -> None:
    assert account_facts(disabled_reason=disabled_reason).standing is standing


def test_an_events_body_never_shows_in_a_log() -> None:
    event = EventFacts(
        event="evt_lamp",
        type="balance.available",
        account=ACCOUNT,
        livemode=False,
        created=NOON,
        api_version=None,
        body=b'{"buyer": "secret@example.com"}',
    )
    assert "secret" not in repr(event)
    assert "evt_lamp" in repr(event)
