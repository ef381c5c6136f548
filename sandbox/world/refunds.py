"""Refunds to buyers: what they take back from whom, and what becomes of them later.

It may not decide whether a refund is wise; it does what Stripe does when asked.
"""

from dataclasses import dataclass

from sandbox.errors import invalid
from sandbox.shapes import JsonObject
from sandbox.world import fees, refund_course, reversals
from sandbox.world.builders import build_refund
from sandbox.world.core import World
from sandbox.world.shelves import Record


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
        reversals.reverse(world, transfer, taken, source_refund=refund_id)
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
    refund_course.begin(world, charge, refund)
    world.emit("refund.created", refund)
    with world.changing(charge, "charge.refunded") as changed:
        changed["amount_refunded"] += amount
        changed["refunded"] = changed["amount_refunded"] == changed["amount"]
    if refund.body["status"] == refund_course.State.FAILED:
        refund_course.uncount(world, charge, refund)
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
