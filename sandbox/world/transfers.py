"""Transfers between the platform and connected accounts, and their reversals.

It may not refund buyers.
"""

from dataclasses import dataclass, replace

from sandbox.errors import ApiError, balance_insufficient, invalid
from sandbox.shapes import AccountId, JsonObject
from sandbox.world.accounts import account_of, carries_losses, settlement_currency
from sandbox.world.builders import build_charge, build_refund
from sandbox.world.core import World
from sandbox.world.fees import record_fee
from sandbox.world.money import Leg, Portion, convert, draw, exchange, move, own_pending
from sandbox.world.shelves import Record
from sandbox.world.switches import Short


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A transfer that somebody wants; amounts in minor units of `currency`."""

    sender: AccountId
    destination: AccountId
    amount_minor: int
    currency: str
    fee_minor: int = 0
    available_on: int | None = None
    lot: str | None = None
    """The sender's payment whose pending money is sent on."""
    source_transaction: str | None = None
    transfer_group: str | None = None
    description: str | None = None
    metadata: JsonObject | None = None


def present(world: World, record: Record) -> JsonObject:
    """A transfer as Stripe answers it: with its first reversals."""
    reversals = [item.body for item in reversed(reversals_of(world, record))]
    return {
        **record.body,
        "reversals": {
            "object": "list",
            "data": reversals[:10],
            "has_more": len(reversals) > 10,
            "total_count": len(reversals),
            "url": f"/v1/transfers/{record.id}/reversals",
        },
    }


def reversals_of(world: World, transfer: Record) -> list[Record]:
    """The reversals of a transfer, oldest first."""
    return world.shelves.linked("transfer_reversal", transfer.id)


def make(world: World, wish: Wish) -> Record:
    """Move money between two accounts; an application fee stays with the platform."""
    transfer_id, payment_id = world.new_id("tr"), world.new_id("py")
    fee_id = world.new_id("fee") if wish.fee_minor else None
    settles_in = settlement_currency(world, wish.destination, wish.currency)
    arriving, rate = convert(world, wish.amount_minor, wish.currency, settles_in)
    fee, _ = convert(world, wish.fee_minor, wish.currency, settles_in)
    sent, arrived, *earned = move(
        world,
        [
            Leg(
                owner=wish.sender,
                amount_minor=-wish.amount_minor,
                currency=wish.currency,
                type="transfer",
                source=transfer_id,
                available_on=wish.available_on,
                lot=wish.lot,
            ),
            Leg(
                owner=wish.destination,
                amount_minor=arriving,
                currency=settles_in,
                type="payment",
                source=payment_id,
                application_fee_minor=fee,
                available_on=wish.available_on,
                lot=payment_id,
                rate=rate,
            ),
            *_fee_leg(world, wish, fee_id),
        ],
        exchange(wish.currency, wish.amount_minor - wish.fee_minor, settles_in, arriving - fee),
    )
    transfer = world.put(
        "transfer",
        wish.sender,
        {
            "id": transfer_id,
            "object": "transfer",
            "amount": wish.amount_minor,
            "amount_reversed": 0,
            "balance_transaction": sent.id,
            "created": world.now(),
            "currency": wish.currency,
            "description": wish.description,
            "destination": wish.destination,
            "destination_payment": payment_id,
            "livemode": False,
            "metadata": wish.metadata or {},
            "reversed": False,
            "source_transaction": wish.source_transaction,
            "source_type": "card",
            "transfer_group": wish.transfer_group,
        },
        links=(wish.source_transaction,),
        lot=wish.lot,
    )
    payment = _put_payment(world, wish, transfer, payment_id, arrived.id)
    if fee_id is not None:
        record_fee(
            world,
            fee_id=fee_id,
            account=wish.destination,
            amount_minor=wish.fee_minor,
            currency=wish.currency,
            charge=payment_id,
            originating=wish.source_transaction,
            balance_transaction=earned[0].id,
            lot=wish.lot,
        )
        payment.body.update(application_fee=fee_id, application_fee_amount=wish.fee_minor)
    world.emit("transfer.created", transfer, shown=present(world, transfer))
    return transfer


def _fee_leg(world: World, wish: Wish, fee_id: str | None) -> list[Leg]:
    if fee_id is None:
        return []
    return [
        Leg(
            owner=world.platform,
            amount_minor=wish.fee_minor,
            currency=wish.currency,
            type="application_fee",
            source=fee_id,
            available_on=wish.available_on,
            lot=wish.lot,
        )
    ]


def _put_payment(
    world: World, wish: Wish, transfer: Record, payment_id: str, balance_transaction: str
) -> Record:
    body = build_charge(
        world,
        charge_id=payment_id,
        amount_minor=wish.amount_minor,
        currency=wish.currency,
        balance_transaction=balance_transaction,
        method=None,
    )
    body.update(
        source_transfer=transfer.id,
        transfer_group=wish.transfer_group,
        application=world.application if wish.fee_minor else None,
    )
    return world.put("charge", wish.destination, body)


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


def send(world: World, wish: Wish, charge: Record | None) -> Record:
    """A transfer by API: from what is available, or from one payment's money (`charge`)."""
    if wish.amount_minor < 1:
        raise invalid("This value must be greater than or equal to 1.", param="amount")
    if not world.is_platform(wish.sender):
        _check_account_debit(world, wish)
    if charge is None:
        available = world.books.available(wish.sender, wish.currency)
        if wish.amount_minor > available:
            raise balance_insufficient(
                f"You have insufficient available funds in your Stripe account: {available} "
                f"{wish.currency} is available and {wish.amount_minor} would be sent."
            )
        return make(world, wish)
    if charge.body["currency"] != wish.currency:
        raise invalid("The currency must be that of source_transaction.", param="currency")
    sent = sum(item.body["amount"] for item in world.shelves.linked("transfer", charge.id))
    if sent + wish.amount_minor > charge.body["amount"]:
        raise invalid(
            f"Transfers from charge {charge.id} can't be more than its amount: "
            f"{charge.body['amount'] - sent} {wish.currency} is left.",
            param="amount",
        )
    _, due = world.books.lot_pending(charge.id)
    if charge.body["transfer_group"] is None:
        charge.body["transfer_group"] = f"group_{charge.id}"
    return make(
        world,
        replace(
            wish,
            available_on=due,
            lot=charge.id if due else None,
            source_transaction=charge.id,
            transfer_group=wish.transfer_group or charge.body["transfer_group"],
        ),
    )


def _check_account_debit(world: World, wish: Wish) -> None:
    """A platform may debit a connected account only where it carries its losses.

    Documentation: "Debit connected accounts".
    """
    account = account_of(world, wish.sender)
    if not carries_losses(world, wish.sender):
        raise invalid(
            f"Account {account.id} can't be debited: the platform isn't liable for its losses."
        )
    if wish.currency != account.body["default_currency"]:
        raise invalid(
            f"Account {account.id} can only be debited in {account.body['default_currency']}.",
            param="currency",
        )
    if account.body["country"] != account_of(world, world.platform).body["country"]:
        raise invalid(f"Account {account.id} is in another region than its platform.")
