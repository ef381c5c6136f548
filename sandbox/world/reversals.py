"""Reversals: taking a transfer's money back from the account it went to.

It may not refund buyers.
"""

from sandbox.errors import ApiError, invalid
from sandbox.shapes import AccountId, JsonObject
from sandbox.world.accounts import carries_losses
from sandbox.world.builders import build_refund
from sandbox.world.core import World
from sandbox.world.money import Leg, Portion, convert, draw, exchange, move, own_pending
from sandbox.world.shelves import Record
from sandbox.world.switches import Short
from sandbox.world.transfers import present


def require_funds(
    world: World, owner: AccountId, currency: str, amount_minor: int, *, lot: str | None
) -> None:
    """Refuse when an account can't pay from a payment's pending part and what it has available."""
    rest = amount_minor - (own_pending(world, lot) if lot else 0)
    available = world.books.available(owner, currency)
    if rest <= 0 or rest <= available:
        return
    if world.switches.short is Short.NEGATIVE and carries_losses(world, owner):
        return
    raise ApiError(
        400,
        f"Insufficient funds in your Stripe balance to do this: account {owner} has "
        f"{available} {currency} available and {amount_minor} {currency} would be taken.",
        code=world.switches.short_code,
    )


def reverse(
    world: World,
    transfer: Record,
    amount_minor: int,
    *,
    source_refund: str | None = None,
    metadata: JsonObject | None = None,
) -> Record:
    """Take money back from a transfer's destination; refuses what the switch `short` refuses."""
    body = transfer.body
    left = body["amount"] - body["amount_reversed"]
    if amount_minor < 1 or amount_minor > left:
        raise invalid(
            f"Reversal amount ({amount_minor} {body['currency']}) is greater than unreversed "
            f"amount on transfer ({left} {body['currency']})",
            param="amount",
        )
    payment = world.shelves.get(body["destination_payment"])
    settled = world.shelves.get(payment.body["balance_transaction"]).body["currency"]
    debit, rate = convert(world, amount_minor, body["currency"], settled)
    require_funds(world, payment.owner, settled, debit, lot=payment.id)

    reversal_id, repayment_id = world.new_id("trr"), world.new_id("pyr")
    portions = draw(world, payment.id, debit)
    debits = [
        Leg(
            owner=payment.owner,
            amount_minor=-portion.amount_minor,
            currency=settled,
            type="payment_refund",
            source=repayment_id,
            available_on=portion.available_on,
            lot=payment.id if portion.available_on else None,
            rate=rate,
        )
        for portion in portions
    ]
    refilled = _credits(transfer, amount_minor, debit, portions, reversal_id)
    txns = move(
        world, [*debits, *refilled], exchange(settled, debit, body["currency"], amount_minor)
    )
    reversal = world.put(
        "transfer_reversal",
        transfer.owner,
        {
            "id": reversal_id,
            "object": "transfer_reversal",
            "amount": amount_minor,
            "balance_transaction": txns[len(debits)].id,
            "created": world.now(),
            "currency": body["currency"],
            "destination_payment_refund": repayment_id,
            "metadata": metadata or {},
            "source_refund": source_refund,
            "transfer": transfer.id,
        },
        links=(transfer.id,),
    )
    _repay(world, payment, reversal, repayment_id, txns[0].id)
    with world.changing(transfer, "transfer.reversed", present=present) as changed:
        changed["amount_reversed"] += amount_minor
        changed["reversed"] = changed["amount_reversed"] == changed["amount"]
    return reversal


def _credits(
    transfer: Record, amount_minor: int, debit: int, portions: list[Portion], reversal_id: str
) -> list[Leg]:
    """What the sender gets back, pending as far as pending money was taken."""
    legs = []
    given = 0
    for number, portion in enumerate(portions, start=1):
        share = amount_minor * portion.amount_minor // debit
        part = amount_minor - given if number == len(portions) else share
        given += part
        legs.append(
            Leg(
                owner=transfer.owner,
                amount_minor=part,
                currency=transfer.body["currency"],
                type="transfer_refund",
                source=reversal_id,
                available_on=portion.available_on,
                lot=transfer.hidden["lot"] if portion.available_on else None,
            )
        )
    return legs


def _repay(world: World, payment: Record, reversal: Record, repayment_id: str, txn: str) -> None:
    """The `pyr_…` refund inside the destination account that a reversal is there."""
    body = build_refund(
        world,
        refund_id=repayment_id,
        amount_minor=reversal.body["amount"],
        currency=reversal.body["currency"],
        charge=payment.id,
        balance_transaction=txn,
    )
    body["source_transfer_reversal"] = reversal.id
    repayment = world.put("refund", payment.owner, body, links=(payment.id,))
    world.emit("refund.created", repayment)
    with world.changing(payment, "charge.refunded") as changed:
        changed["amount_refunded"] += body["amount"]
        changed["refunded"] = changed["amount_refunded"] == changed["amount"]
