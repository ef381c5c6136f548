"""`balance_settings.updated`: somebody changed how an account is paid out, perhaps we ourselves.

It may not say whose change it was; the guard reads the settings and compares.
"""

from datetime import datetime

from handlers.events.reaction import (
    Event,
    Handler,
    UnusableEventError,
    Verdict,
    done,
    ignored,
    look_at_nothing,
)
from handlers.signals import announce_work
from store.database import Unit
from store.guard_marks import mark_guard


def _apply(unit: Unit, event: Event, _facts: None, now: datetime) -> Verdict:
    # The object has no id: the event alone says whose settings they are.
    if event.account is None:
        raise UnusableEventError("The event names no connected account.")
    if not mark_guard(unit, event.account, now, event.type, look=True):
        return ignored("No payout guard was ever wanted for this account.")
    announce_work(unit)
    return done("The account's payout guard looks at its settings.")


HANDLER = Handler(types=("balance_settings.updated",), look=look_at_nothing, apply=_apply)
