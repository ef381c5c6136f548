"""Money by decree: what a story needs and no API call gives, still double-entry.

It moves money only against the party `stage`, so that the books show every decree.
"""

from sandbox.errors import invalid
from sandbox.world.books import Party
from sandbox.world.core import World
from sandbox.world.money import Leg, Outside, move
from sandbox.world.shelves import Record


def add(
    world: World,
    account: Record,
    amount_minor: int,
    currency: str,
    *,
    available_on: int | None = None,
) -> Record:
    """Give an account money, or take some with a negative amount; pending if due in the future."""
    if amount_minor == 0:
        raise invalid("The amount must not be 0.", param="amount")
    (txn,) = move(
        world,
        [
            Leg(
                owner=account.body["id"],
                amount_minor=amount_minor,
                currency=currency,
                type="adjustment",
                source=None,
                available_on=available_on,
                description="Sandbox: money by decree",
            )
        ],
        [Outside(party=Party.STAGE, amount_minor=-amount_minor, currency=currency)],
    )
    return txn


def set_available(world: World, account: Record, amount_minor: int, currency: str) -> None:
    """Make an account's available balance exactly this."""
    missing = amount_minor - world.books.available(account.body["id"], currency)
    if missing:
        add(world, account, missing, currency)


def set_pending(
    world: World, account: Record, amount_minor: int, currency: str, available_on: int
) -> None:
    """Make an account's pending balance exactly this; the difference is due at `available_on`."""
    missing = amount_minor - world.books.pending(account.body["id"], currency)
    if missing:
        add(world, account, missing, currency, available_on=available_on)
