"""What becomes of a refund after it was made: paid, arrived, failed, canceled, expired.

It may not make refunds.
"""

from enum import StrEnum

from sandbox.errors import invalid
from sandbox.shapes import JsonObject
from sandbox.world.accounts import DAY
from sandbox.world.agenda import Plan
from sandbox.world.books import Party
from sandbox.world.builders import RefundFate
from sandbox.world.core import World
from sandbox.world.money import Leg, Outside, convert, draw, exchange, move, own_pending
from sandbox.world.shelves import Record

EXPIRY_DAYS = 45
"""A refund that waits for funds fails after these (documentation: "Refunds", pending refunds)."""

LATER_SECONDS = 3_600
"""How long a test payment method takes to change its refund's status."""


class State(StrEnum):
    """A refund's status."""

    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


def begin(world: World, charge: Record, refund: Record) -> None:
    """Begin to pay the buyer: now, later, or not, as the payment method and the balance say."""
    body, now = refund.body, world.now()
    fate: RefundFate = charge.hidden["refund_fate"]
    if fate is RefundFate.REQUIRES_ACTION:
        body.update(status=State.REQUIRES_ACTION.value, next_action=_action(refund))
        return
    if _short(world, charge, body["amount"]):
        if not charge.hidden["card"]:
            body.update(status=State.FAILED.value, failure_reason="insufficient_funds")
            return
        body.update(status=State.PENDING.value, pending_reason="insufficient_funds")
        world.waiting_refunds.append(refund.id)
        world.agenda.add(now + EXPIRY_DAYS * DAY, Plan.REFUND_EXPIRES, refund.id)
        return
    pay_out(world, charge, refund)
    if fate is RefundFate.FAIL_NOW:
        _give_back(world, charge, refund)
        body.update(status=State.FAILED.value, failure_reason="declined")
    elif fate in (RefundFate.PENDING, RefundFate.PENDING_FAIL) or not charge.hidden["card"]:
        body.update(status=State.PENDING.value, pending_reason="processing")
        fails = fate is RefundFate.PENDING_FAIL
        plan = Plan.REFUND_FAILS if fails else Plan.REFUND_SUCCEEDS
        world.agenda.add(now + LATER_SECONDS, plan, refund.id)
    elif fate is RefundFate.FAIL_LATE:
        world.agenda.add(now + LATER_SECONDS, Plan.REFUND_FAILS, refund.id)


def _action(refund: Record) -> JsonObject:
    return {
        "type": "display_details",
        "display_details": {
            "email_sent": {
                "email_sent_at": refund.body["created"],
                "email_sent_to": refund.body.get("instructions_email") or "buyer@example.com",
            },
            "expires_at": refund.body["created"] + EXPIRY_DAYS * DAY,
        },
    }


def _settled(world: World, charge: Record) -> str:
    txn = world.shelves.get(charge.body["balance_transaction"])
    return str(txn.body["currency"])


def _short(world: World, charge: Record, amount_minor: int) -> bool:
    currency = _settled(world, charge)
    debit, _ = convert(world, amount_minor, charge.body["currency"], currency)
    rest = debit - own_pending(world, charge.id)
    return rest > 0 and rest > world.books.available(charge.owner, currency)


def pay_out(world: World, charge: Record, refund: Record) -> None:
    """Take the refund's money from the account that was paid."""
    body, currency = refund.body, _settled(world, charge)
    debit, rate = convert(world, body["amount"], body["currency"], currency)
    txns = move(
        world,
        [
            Leg(
                owner=charge.owner,
                amount_minor=-portion.amount_minor,
                currency=currency,
                type="refund" if charge.hidden["card"] else "payment_refund",
                source=refund.id,
                available_on=portion.available_on,
                lot=charge.id if portion.available_on else None,
                rate=rate,
            )
            for portion in draw(world, charge.id, debit)
        ],
        [
            Outside(party=Party.BUYERS, amount_minor=body["amount"], currency=body["currency"]),
            *exchange(currency, debit, body["currency"], body["amount"]),
        ],
    )
    body["balance_transaction"] = txns[0].id


def _give_back(world: World, charge: Record, refund: Record) -> None:
    """The buyer's bank sent the money back: it is the account's again."""
    body, currency = refund.body, _settled(world, charge)
    if body["balance_transaction"] is None:
        return
    credit, rate = convert(world, body["amount"], body["currency"], currency)
    (txn,) = move(
        world,
        [
            Leg(
                owner=charge.owner,
                amount_minor=credit,
                currency=currency,
                type="refund_failure",
                source=refund.id,
                rate=rate,
            )
        ],
        [
            Outside(party=Party.BUYERS, amount_minor=-body["amount"], currency=body["currency"]),
            *exchange(body["currency"], body["amount"], currency, credit),
        ],
    )
    body["failure_balance_transaction"] = txn.id


def succeed(world: World, refund: Record) -> None:
    """A pending refund has reached the buyer."""
    if refund.body["status"] not in (State.PENDING, State.REQUIRES_ACTION):
        return
    charge = world.shelves.get(refund.body["charge"])
    with world.changing(refund, "refund.updated", "charge.refund.updated") as body:
        if body["balance_transaction"] is None:
            pay_out(world, charge, refund)
        body["status"] = State.SUCCEEDED.value
        body.pop("pending_reason", None)
        body.pop("next_action", None)


def fail(world: World, refund: Record, reason: str = "unknown") -> None:
    """The refund never reached the buyer; its money is the account's again, a reversal stays."""
    if refund.body["status"] in (State.FAILED, State.CANCELED):
        return
    charge = world.shelves.get(refund.body["charge"])
    with world.changing(refund, "refund.updated", "charge.refund.updated", "refund.failed") as body:
        _give_back(world, charge, refund)
        body.update(status=State.FAILED.value, failure_reason=reason)
        body.pop("pending_reason", None)
        body.pop("next_action", None)
    uncount(world, charge, refund)


def expire(world: World, refund: Record) -> None:
    """A refund that waited too long for funds fails by itself."""
    if refund.body.get("pending_reason") == "insufficient_funds":
        fail(world, refund, "insufficient_funds")


def cancel(world: World, refund: Record) -> None:
    """Withdraw a refund that still waits for the buyer's action."""
    if refund.body["status"] != State.REQUIRES_ACTION:
        raise invalid(
            f"Refund {refund.id} can't be canceled: its status is {refund.body['status']} and only "
            "a refund that requires action can be canceled.",
            code="refund_not_cancelable",
        )
    charge = world.shelves.get(refund.body["charge"])
    with world.changing(refund, "refund.updated", "charge.refund.updated") as body:
        body["status"] = State.CANCELED.value
        body.pop("next_action", None)
    uncount(world, charge, refund)


def uncount(world: World, charge: Record, refund: Record) -> None:
    """What didn't reach the buyer can be refunded again."""
    if not refund.hidden["counted"]:
        return
    refund.hidden["counted"] = False
    with world.changing(charge, "charge.updated") as body:
        body["amount_refunded"] -= refund.body["amount"]
        body["refunded"] = False


def try_waiting(world: World) -> None:
    """Send the refunds that wait for funds, oldest first, as far as the balance goes."""
    for refund_id in list(world.waiting_refunds):
        refund = world.shelves.get(refund_id)
        if refund.body["status"] != State.PENDING:
            world.waiting_refunds.remove(refund_id)
            continue
        charge = world.shelves.get(refund.body["charge"])
        if not _short(world, charge, refund.body["amount"]):
            world.waiting_refunds.remove(refund_id)
            succeed(world, refund)
