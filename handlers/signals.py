"""Tells whoever listens in this process that work was committed. blinker lives here, nowhere else.

It may not carry the work: a signal that nobody hears costs a look at the clock, never a refund.
"""

from collections.abc import Sequence
from typing import Final

from blinker import Signal

from store.database import Unit

work_due: Final = Signal("work became due")
"""Sent without arguments, after the commit, outside any transaction.

Receivers are held weakly: connect a function of a module, or a method of something that lives.
"""

told: Final = Signal("something was told")
"""Sent with `kinds`, the types of the notifications that a unit wrote, after its commit: to count
what happens in this process, and to wake who sends them.
"""


def announce_work(unit: Unit) -> None:
    """Send `work_due` once this unit is committed; never when it is rolled back."""
    unit.after_commit(_send)


def _send() -> None:
    work_due.send()


def announce_told(kinds: Sequence[str]) -> None:
    """Send `told`. For units that were committed."""
    told.send(kinds=tuple(kinds))
