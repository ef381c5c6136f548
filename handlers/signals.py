"""Tells whoever listens in this process that work was committed. blinker lives here, nowhere else.

It may not carry the work: a signal that nobody hears costs a look at the clock, never a refund.
"""

from typing import Final

from blinker import Signal

from store.database import Unit

work_due: Final = Signal("work became due")
"""Sent without arguments, after the commit, outside any transaction.

Receivers are held weakly: connect a function of a module, or a method of something that lives.
"""


def announce_work(unit: Unit) -> None:
    """Send `work_due` once this unit is committed; never when it is rolled back."""
    unit.after_commit(_send)


def _send() -> None:
    work_due.send()
