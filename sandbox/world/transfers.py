"""Transfers between the platform and connected accounts, and their reversals.

It may not refund buyers.
"""

from dataclasses import dataclass, replace

from sandbox.errors import balance_insufficient, invalid
from sandbox.shapes import AccountId, JsonObject
from sandbox.world.accounts import account_of, carries_losses, settlement_currency
from sandbox.world.builders import build_charge
from sandbox.world.core import World
from sandbox.world.fees import record_fee
from sandbox.world.money import Leg, convert, exchange, move
from sandbox.world.shelves import Record


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
