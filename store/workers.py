"""Signs of life of the workers, so that the web can tell whether anybody works.

It may not decide what follows from a missing worker.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, func
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import select

from store.database import Unit
from store.tables.base import table_of
from store.tables.operations import WorkerHeartbeat

FORGET_AFTER: Final = timedelta(days=1)
"""When the row of a worker that fell silent is removed: every restart makes a new one."""

_HEARTBEATS: Final = table_of(WorkerHeartbeat)
_BEAT: Final[Mapping[str, Any]] = {
    dialect: statement.on_conflict_do_update(
        index_elements=["worker"], set_={"beat_at": statement.excluded.beat_at}
    )
    for dialect, statement in (
        ("sqlite", sqlite.insert(_HEARTBEATS)),
        ("postgresql", postgresql.insert(_HEARTBEATS)),
    )
}


def beat(unit: Unit, worker: str, now: datetime) -> None:
    """Record that `worker` is alive at `now`; its first beat is when it started."""
    connection = unit.connection()
    connection.execute(
        _BEAT[connection.dialect.name], {"worker": worker, "started_at": now, "beat_at": now}
    )
    connection.execute(delete(_HEARTBEATS).where(_HEARTBEATS.c.beat_at < now - FORGET_AFTER))


def live_workers(unit: Unit, now: datetime, *, within: timedelta) -> int:
    """Return how many workers gave a sign of life no longer than `within` before `now`."""
    query = select(func.count()).where(_HEARTBEATS.c.beat_at >= now - within)
    found = unit.connection().execute(query).scalar_one()
    assert isinstance(found, int)
    return found


def retire(unit: Unit, worker: str) -> None:
    """Forget a worker that ends in good order."""
    unit.connection().execute(delete(_HEARTBEATS).where(_HEARTBEATS.c.worker == worker))
