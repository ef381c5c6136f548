"""The connect reserve: Stripe holds the platform's money for connected accounts in the red.

It follows the balances and may not change any but the platform's.
"""

from collections import defaultdict

from sandbox.world.accounts import carries_losses
from sandbox.world.books import Party
from sandbox.world.core import World
from sandbox.world.money import Leg, Outside, move


def follow(world: World) -> None:
    """Make the reserve what the connected accounts together lack, per currency."""
    lacking: defaultdict[str, int] = defaultdict(int)
    for owner, currency in sorted(world.books.in_the_red):
        if not world.is_platform(owner) and carries_losses(world, owner):
            lacking[currency] -= world.books.total(owner, currency)
    for currency in sorted({*lacking, *world.reserved}):
        change = lacking[currency] - world.reserved.get(currency, 0)
        if change:
            world.reserved[currency] = lacking[currency]
            move(
                world,
                [
                    Leg(
                        owner=world.platform,
                        amount_minor=-change,
                        currency=currency,
                        type="reserve_transaction",
                        source=None,
                        description="Connect reserve for connected accounts' negative balances",
                    )
                ],
                [Outside(party=Party.RESERVE, amount_minor=change, currency=currency)],
            )
