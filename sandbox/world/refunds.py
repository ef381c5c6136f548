"""Refunds to buyers: what they take back from whom, and what becomes of them later.

It may not decide whether a refund is wise; it does what Stripe does when asked.
"""

from dataclasses import dataclass
from enum import StrEnum

from sandbox.errors import invalid
from sandbox.shapes import JsonObject
from sandbox.world import fees, transfers
from sandbox.world.accounts import DAY
from sandbox.world.agenda import Plan
from sandbox.world.books import Party
from sandbox.world.builders import RefundFate, build_refund
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A refund somebody asks for; `amount_minor` None means all that is left."""

    amount_minor: int | None = None
    reverse_transfer: bool = False
    refund_application_fee: bool = False
    reason: str | None = None
    metadata: JsonObject | None = None
    instructions_email: str | None = None


def create(world: World, charge: Record, request: Request) -> Record:
    """Refund a charge; raises Stripe's refusals and then changes nothing."""
    amount = _check(world, charge, request)
    transfer = _transfer_of(world, charge)
    taken = _reversal_amount(charge, transfer, amount) if request.reverse_transfer else 0
    refund_id = world.new_id("re" if charge.hidden["card"] else "pyr")
    # The one step that may still refuse comes first, so that a refusal leaves no trace.
    reversal = (
        transfers.reverse(world, transfer, taken, source_refund=refund_id)
        if transfer and taken
        else None
    )
    body = build_refund(
        world,
        refund_id=refund_id,
        amount_minor=amount,
        currency=charge.body["currency"],
        charge=charge.id,
        balance_transaction=None,
    )
    body.update(
        metadata=request.metadata or {},
        payment_intent=charge.body["payment_intent"],
        reason=request.reason,
        transfer_reversal=None if reversal is None else reversal.id,
    )
    if charge.hidden["card"]:
        body["destination_details"] = {
            "card": {
                "reference_status": "pending",
                "reference_type": "acquirer_reference_number",
                "type": "refund",
            },
            "type": "card",
        }
    if request.instructions_email is not None:
        body["instructions_email"] = request.instructions_email
    if request.refund_application_fee:
        _refund_fee(world, charge, amount)
    refund = world.put(
        "refund",
        charge.owner,
        body,
        links=(charge.id, charge.body["payment_intent"]),
        counted=True,
    )
    _send(world, charge, refund)
    world.emit("refund.created", refund)
    with world.changing(charge, "charge.refunded") as changed:
        changed["amount_refunded"] += amount
        changed["refunded"] = changed["amount_refunded"] == changed["amount"]
    if refund.body["status"] == State.FAILED:
        _uncount(world, charge, refund)
        world.emit("refund.failed", refund)
    return refund


def _check(world: World, charge: Record, request: Request) -> int:
    body = charge.body
    if "card" not in charge.hidden or body["status"] != "succeeded":
        raise invalid(f"Charge {charge.id} can't be refunded.", code="charge_not_refundable")
    if body["disputed"] and any(
        not dispute.body["is_charge_refundable"]
        for dispute in world.shelves.linked("dispute", charge.id)
    ):
        raise invalid(
            f"Charge {charge.id} has been charged back; cannot issue a refund.",
            code="charge_disputed",
        )
    left = body["amount"] - body["amount_refunded"]
    if left == 0:
        raise invalid(
            f"Charge {charge.id} has already been refunded.", code="charge_already_refunded"
        )
    amount = left if request.amount_minor is None else request.amount_minor
    if amount < 1:
        raise invalid("This value must be greater than or equal to 1.", param="amount")
    if amount > left:
        raise invalid(
            f"Refund amount ({amount} {body['currency']}) is greater than unrefunded amount on "
            f"charge ({left} {body['currency']})",
            param="amount",
        )
    if request.reverse_transfer and _transfer_of(world, charge) is None:
        raise invalid(
            f"Cannot reverse transfer on charge {charge.id}: it has no associated transfer.",
            param="reverse_transfer",
        )
    if request.refund_application_fee and body["application_fee"] is None:
        raise invalid(
            f"Charge {charge.id} has no application fee to refund.",
            param="refund_application_fee",
        )
    destination = body["transfer_data"] is not None
    if request.refund_application_fee and destination and not request.reverse_transfer:
        raise invalid(
            "The application fee of a destination charge can only be refunded together with its "
            "transfer: set reverse_transfer=true.",
            param="refund_application_fee",
        )
    return int(amount)


def _transfer_of(world: World, charge: Record) -> Record | None:
    transfer_id = charge.body.get("transfer")
    return world.shelves.get(transfer_id) if transfer_id else None


def _reversal_amount(charge: Record, transfer: Record | None, amount_minor: int) -> int:
    """A·T/C rounded half up; the refund that completes the charge takes what is left of T."""
    if transfer is None:
        return 0
    body = transfer.body
    left: int = body["amount"] - body["amount_reversed"]
    if charge.body["amount_refunded"] + amount_minor == charge.body["amount"]:
        return left
    share = (2 * amount_minor * body["amount"] + charge.body["amount"]) // (
        2 * charge.body["amount"]
    )
    return min(left, int(share))


def _refund_fee(world: World, charge: Record, amount_minor: int) -> None:
    fee = world.shelves.get(charge.body["application_fee"])
    left = fee.body["amount"] - fee.body["amount_refunded"]
    whole = charge.body["amount_refunded"] + amount_minor == charge.body["amount"]
    total = charge.body["amount"]
    share = (2 * amount_minor * fee.body["amount"] + total) // (2 * total)
    back = left if whole else min(left, share)
    if back:
        fees.refund_fee(world, fee, back)


def _send(world: World, charge: Record, refund: Record) -> None:
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
    _uncount(world, charge, refund)


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
    _uncount(world, charge, refund)


def _uncount(world: World, charge: Record, refund: Record) -> None:
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
