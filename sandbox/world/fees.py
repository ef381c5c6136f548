"""Application fees and their refunds.

It may not refund the payment they were taken from.
"""

from sandbox.errors import invalid
from sandbox.shapes import AccountId, JsonObject
from sandbox.world.core import World
from sandbox.world.money import Leg, convert, draw, exchange, move
from sandbox.world.shelves import Record


def record_fee(
    world: World,
    *,
    fee_id: str,
    account: AccountId,
    amount_minor: int,
    currency: str,
    charge: str,
    originating: str | None,
    balance_transaction: str,
    lot: str | None,
) -> Record:
    """Keep the fee that a payment brought the platform; its money has moved already."""
    body: JsonObject = {
        "id": fee_id,
        "object": "application_fee",
        "account": account,
        "amount": amount_minor,
        "amount_refunded": 0,
        "application": world.application,
        "balance_transaction": balance_transaction,
        "charge": charge,
        "created": world.now(),
        "currency": currency,
        "fee_source": {"charge": charge, "type": "charge"},
        "livemode": False,
        "originating_transaction": originating,
        "refunded": False,
    }
    record = world.put("application_fee", world.platform, body, links=(charge, account), lot=lot)
    world.emit("application_fee.created", record, shown=present(world, record))
    return record


def present(world: World, record: Record) -> JsonObject:
    """A fee as Stripe answers it: with its first refunds."""
    refunds = [item.body for item in reversed(world.shelves.linked("fee_refund", record.id))]
    return {
        **record.body,
        "refunds": {
            "object": "list",
            "data": refunds[:10],
            "has_more": len(refunds) > 10,
            "total_count": len(refunds),
            "url": f"/v1/application_fees/{record.id}/refunds",
        },
    }


def refund_fee(
    world: World, fee: Record, amount_minor: int, *, metadata: JsonObject | None = None
) -> Record:
    """Give part of a fee back to the account it was taken from."""
    body = fee.body
    left = body["amount"] - body["amount_refunded"]
    if left == 0:
        raise invalid(
            f"Application fee {fee.id} has already been refunded.",
            code="application_fee_already_refunded",
        )
    if amount_minor < 1 or amount_minor > left:
        raise invalid(
            f"Application fee {fee.id} has {left} {body['currency']} left to refund; "
            f"{amount_minor} was asked for.",
            param="amount",
        )
    payment = world.shelves.get(body["charge"])
    settled = world.shelves.get(payment.body["balance_transaction"]).body["currency"]
    back, rate = convert(world, amount_minor, body["currency"], settled)
    refund_id = world.new_id("fr")
    taken = draw(world, fee.hidden["lot"], amount_minor)
    _, due = world.books.lot_pending(payment.id)
    txns = move(
        world,
        [
            *(
                Leg(
                    owner=world.platform,
                    amount_minor=-portion.amount_minor,
                    currency=body["currency"],
                    type="application_fee_refund",
                    source=refund_id,
                    available_on=portion.available_on,
                    lot=fee.hidden["lot"] if portion.available_on else None,
                )
                for portion in taken
            ),
            Leg(
                owner=payment.owner,
                amount_minor=back,
                currency=settled,
                type="adjustment",
                source=refund_id,
                available_on=due,
                lot=payment.id if due else None,
                rate=rate,
                category="fee",
                description=f"Application fee refund for {payment.id}",
            ),
        ],
        exchange(body["currency"], amount_minor, settled, back),
    )
    record = world.put(
        "fee_refund",
        world.platform,
        {
            "id": refund_id,
            "object": "fee_refund",
            "amount": amount_minor,
            "balance_transaction": txns[0].id,
            "created": world.now(),
            "currency": body["currency"],
            "fee": fee.id,
            "metadata": metadata or {},
        },
        links=(fee.id,),
    )
    with world.changing(fee, "application_fee.refunded", present=present) as changed:
        changed["amount_refunded"] += amount_minor
        changed["refunded"] = changed["amount_refunded"] == changed["amount"]
    return record
