"""`payout.*`: a payout that came back refills the balance a held refund waits for.

It may not stop or start a payout.
"""

from datetime import datetime
from typing import Final

from handlers.due import money_came_in
from handlers.events.reaction import Event, Handler, Verdict, done, ignored, look_at_nothing
from store.database import Unit

_CREATED: Final = "payout.created"


def _apply(unit: Unit, event: Event, _facts: None, now: datetime) -> Verdict:
    if event.type == _CREATED:
        return done("A payout takes money out of the balance: nothing to release.")
    lanes = money_came_in(unit, event.account, now=now, cause=event.type)
    if not lanes:
        return ignored("No request waits for this balance.")
    return done(f"The payout's money came back. Lanes due for a release run: {lanes}.")


HANDLER = Handler(
    types=(_CREATED, "payout.failed", "payout.canceled"), look=look_at_nothing, apply=_apply
)
