"""Made-up notifications, one of each kind: for previews and for tests of a channel.

It may not be stored: nothing in a sample has happened.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from refunds.guard import GuardState
from refunds.ids import mint
from refunds.money import Currency, Money
from refunds.notifications import Kind, buyer_text
from store.dispatches import Told
from store.tables.requests import Mode

_AMOUNT: Final = Money(123_450, Currency("usd"))
_SHORTFALL: Final = 40_000
_WHY: Final[Mapping[Kind, str]] = {
    Kind.HELD: "The account has 834.50 USD to spend and needs 1,234.50 USD: 400.00 USD short.",
    Kind.RELEASED: "Stripe says that re_sample over 1,234.50 USD is pending.",
    Kind.COVERED: "Released uncovered: the account still owes 400.00 USD.",
    Kind.SUCCEEDED: "Stripe says that re_sample over 1,234.50 USD has succeeded.",
    Kind.FAILED: "Stripe says that re_sample over 1,234.50 USD has failed (declined).",
    Kind.REVIEW: "Stripe refused the refund: the charge can't be refunded.",
    Kind.REJECTED: "The charge is refunded already.",
    Kind.CANCELED: "Canceled by ada: the buyer changed their mind.",
    Kind.CLOSED: "Closed by ada: paid by bank transfer.",
    Kind.DEADLINE_NEAR: "It is still held, and its deadline comes within a day.",
    Kind.DEADLINE_PASSED: "It was held for as long as the policy lets it.",
    Kind.STRIPE_PENDING: "Stripe holds re_sample over 1,234.50 USD and gives it up in 7 days.",
    Kind.RECOVERY_STEP: "400.00 USD were taken back from the account.",
    Kind.GUARD_CHANGED: "Its minimum balance was raised by 1,234.50 USD while refunds wait.",
    Kind.EVENT_DEAD_LETTERED: "evt_sample (refund.updated) could not be processed: see the log.",
    Kind.MONEY_UNEXPECTED: "re_sample names ra_sample, which does not explain it.",
    Kind.DIGEST: "The state of refunds, once a day.",
    Kind.TEST: "Somebody ran: sluice notify test",
}
_STANDS: Final[Mapping[Kind, str]] = {
    Kind.HELD: "held",
    Kind.RELEASED: "submitted",
    Kind.COVERED: "succeeded",
    Kind.SUCCEEDED: "succeeded",
    Kind.FAILED: "failed",
    Kind.REVIEW: "review",
    Kind.REJECTED: "rejected",
    Kind.CANCELED: "canceled",
    Kind.CLOSED: "closed",
    Kind.DEADLINE_NEAR: "held",
    Kind.DEADLINE_PASSED: "review",
    Kind.STRIPE_PENDING: "submitted",
    Kind.RECOVERY_STEP: "succeeded",
}
_EXPOSURE: Final = {"amount": _SHORTFALL, "currency": "usd"}


def sample(kind: Kind, now: datetime) -> Told:
    """Return a notification of this kind, made up."""
    data = _DATA[kind](now) if kind in _DATA else _request(kind, now)
    payload: dict[str, Any] = {
        "type": kind,
        "timestamp": now.isoformat().replace("+00:00", "Z"),
        "data": data,
        "why": _WHY[kind],
    }
    if kind in (Kind.COVERED, Kind.RECOVERY_STEP):
        payload["exposure"] = _EXPOSURE
    if kind not in _DATA:
        payload["buyer_text"] = buyer_text(kind, _AMOUNT)
    return Told(
        id=mint("ntf", now),
        kind=kind,
        at=now,
        subject=data["id"],
        account=data.get("account"),
        mode=Mode.LIVE,
        payload=payload,
    )


def _request(kind: Kind, now: datetime) -> dict[str, Any]:
    stands = _STANDS[kind]
    seconds = int(now.timestamp())
    return {
        "id": "rr_sample",
        "object": "refund_request",
        "created": seconds - 3600,
        "status": stands,
        "livemode": False,
        "mode": "live",
        "payment_intent": "pi_sample",
        "charge": "ch_sample",
        "charge_type": "destination",
        "account": "acct_sample",
        "amount": _AMOUNT.amount_minor,
        "currency": _AMOUNT.currency,
        "amounts": {stands: _AMOUNT.amount_minor},
        "released_amount": 0,
        "refunds": [],
        "need": {"amount": _AMOUNT.amount_minor, "currency": "usd", "fx_buffer": 0},
        "spendable": _AMOUNT.amount_minor - _SHORTFALL,
        "shortfall": _SHORTFALL,
        "decision": {"outcome": "hold", "rule": "cover", "why": _WHY[kind], "at": seconds},
        "next_steps": ["Wait: it is released by itself as soon as the balance covers it."],
        "deadline": int((now + timedelta(days=1)).timestamp()),
        "eta": None,
        "eta_confidence": None,
        "reason": None,
        "metadata": {"order": "7"},
    }


def _guard(now: datetime) -> dict[str, Any]:
    return {
        "id": "acct_sample",
        "object": "payout_guard",
        "account": "acct_sample",
        "state": GuardState.ON,
        "why": "1 open refund request: 50.00 USD more than the account's own minimum stay in it.",
        "since": int(now.timestamp()),
        "settings": [
            {"setting": "usd", "own": None, "written": 5_000, "drifted": False, "found": None}
        ],
    }


def _event(now: datetime) -> dict[str, Any]:
    seconds = int(now.timestamp())
    return {
        "id": "evt_sample",
        "object": "inbox_event",
        "type": "refund.updated",
        "account": None,
        "livemode": False,
        "created": seconds - 2400,
        "received": seconds - 2400,
        "attempts": 12,
        "last_error": "see the log",
    }


def _refund(now: datetime) -> dict[str, Any]:
    del now
    return {
        "id": "re_sample",
        "object": "refund",
        "charge": "ch_sample",
        "amount": _AMOUNT.amount_minor,
        "currency": _AMOUNT.currency,
        "status": "succeeded",
        "attempt": "ra_sample",
        "refund_request": "rr_sample",
    }


def _digest(now: datetime) -> dict[str, Any]:
    return {
        "id": f"{now:%Y-%m-%d}",
        "object": "digest",
        "date": f"{now:%Y-%m-%d}",
        "held_requests": 3,
        "held": [{"amount": 300_000, "currency": "usd"}, {"amount": 12_000, "currency": "eur"}],
        "oldest_held": {"id": "rr_sample", "created": int(now.timestamp()) - 400_000},
        "in_review": 1,
        "covered": [],
        "recovered": [_EXPOSURE],
        "exposure": [_EXPOSURE],
        "dead_letters": 0,
        "undelivered": 0,
    }


def _test(now: datetime) -> dict[str, Any]:
    del now
    return {"id": "test", "object": "test"}


_DATA: Final = {
    Kind.GUARD_CHANGED: _guard,
    Kind.EVENT_DEAD_LETTERED: _event,
    Kind.MONEY_UNEXPECTED: _refund,
    Kind.DIGEST: _digest,
    Kind.TEST: _test,
}
"""What isn't about a request."""
