"""The Balance object, and the event that tells of money that became available.

It reads the books and may not write them.
"""

from sandbox.shapes import AccountId, JsonObject
from sandbox.world.core import World
from sandbox.world.shelves import Record


def build(world: World, owner: AccountId) -> JsonObject:
    """An account's balance now, per currency in minor units."""
    currencies = world.books.currencies(owner)
    default = world.shelves.get(owner).body["default_currency"]
    shown = currencies or [default]
    body: JsonObject = {
        "object": "balance",
        "available": [_money(world.books.available(owner, item), item) for item in shown],
        "livemode": False,
        "pending": [_money(world.books.pending(owner, item), item) for item in shown],
        "refund_and_dispute_prefunding": {
            "available": [{"amount": 0, "currency": default}],
            "pending": [{"amount": 0, "currency": default}],
        },
    }
    if world.is_platform(owner):
        body["connect_reserved"] = [
            {"amount": world.reserved.get(item, 0), "currency": item} for item in shown
        ]
    else:
        body["instant_available"] = [
            _money(
                max(0, world.books.available(owner, item) + world.books.pending(owner, item)), item
            )
            for item in shown
        ]
    return body


def tell_available(world: World, owner: AccountId) -> None:
    """Emit balance.available with the balance as it is now."""
    record = Record(kind="balance", owner=owner, body=build(world, owner))
    world.emit("balance.available", record)


def _money(amount_minor: int, currency: str) -> JsonObject:
    return {"amount": amount_minor, "currency": currency, "source_types": {"card": amount_minor}}
