"""`balance.available`: money may have become available; who waits for it gets a run.

It may not believe the figures in the event: they are a snapshot that may be days old.
"""

from datetime import datetime

from handlers.due import money_came_in
from handlers.events.reaction import Event, Handler, Verdict, done, ignored, look_at_nothing
from store.database import Unit


def _apply(unit: Unit, event: Event, _facts: None, now: datetime) -> Verdict:
    lanes = money_came_in(unit, event.account, now=now, cause=event.type)
    if not lanes:
        return ignored("No request waits for this balance.")
    return done(f"Lanes due for a release run: {lanes}.")


HANDLER = Handler(types=("balance.available",), look=look_at_nothing, apply=_apply)
