"""How much of a refund may go out now, where the policy lets it go out in parts.

This module searches; it may not judge whether a part is covered.
"""

from collections.abc import Callable

from refunds.money import Money
from refunds.policy import Policy


def part_bounds(amount: Money, policy: Policy, parts_sent: int) -> tuple[int, int] | None:
    """Return the least and the most that may go out now of `amount`, minor units; `None`: no part.

    The last part takes the rest, so that one part less than the policy allows may be split off, and
    neither it nor what it leaves is smaller than the policy's minimum.
    """
    if policy.partial is None or parts_sent + 1 >= policy.partial.parts:
        return None
    least_minor = policy.partial.minimum.get(amount.currency)
    if least_minor is None or amount.amount_minor < 2 * least_minor:
        return None
    return least_minor, amount.amount_minor - least_minor


def largest_part(bounds: tuple[int, int], fits: Callable[[int], bool]) -> int | None:
    """Return the largest amount within the bounds that fits; `None` if not even the least does.

    Where an amount fits, every smaller one has to.
    """
    low, high = bounds
    if not fits(low):
        return None
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low
