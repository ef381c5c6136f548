"""Keeps time: marks each chore's round as due. APScheduler lives here and nowhere else.

It may not do a chore or touch a request: a tick that is marked twice, or late, does no harm.
"""

from collections.abc import Callable

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from handlers.chores import CHORES, mark_round
from handlers.services import Services
from store.database import DatabaseUnavailableError

_log = structlog.get_logger(__name__)


def build_scheduler(services: Services) -> BackgroundScheduler:
    """Return the scheduler, not started. It lives in memory: the rounds themselves are stored."""
    scheduler = BackgroundScheduler(timezone="UTC", job_defaults={"coalesce": True})
    for name, chore in CHORES.items():
        # Ticks come more often than rounds: a worker that starts late still marks a missed one.
        seconds = max(1.0, chore.every.total_seconds() / 10)
        scheduler.add_job(
            _tick(services, name),
            IntervalTrigger(seconds=seconds, timezone="UTC"),
            id=name,
            max_instances=1,
            next_run_time=services.clock(),
        )
    return scheduler


def _tick(services: Services, name: str) -> Callable[[], None]:
    def tick() -> None:
        try:
            if mark_round(services, name):
                _log.info("chore.due", chore=name)
        except DatabaseUnavailableError as error:
            _log.warning("chore.not_marked", chore=name, reason=str(error))

    return tick
