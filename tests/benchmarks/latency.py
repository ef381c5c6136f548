"""How long from an accepted webhook to the refund call at Stripe, through gunicorn and a worker.

It may not skip a part of the way; where the time goes is read from the rows written on it.
"""

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlmodel import col, select

from refunds.clock import utc_now
from refunds.ids import EventId, RequestId
from runtime.logs import configure_logs
from sandbox.world.shelves import Record
from store.inbox import get_event
from store.migrate import upgrade
from store.tables.attempts import ReleaseAttempt
from tests.support.databases import PostgresDatabases
from tests.support.deliveries import deliver
from tests.support.postgres import PostgresUnavailableError, running_server
from tests.support.processes import Platform, running_platform
from tests.support.soundness import unfinished
from tests.support.waiting import eventually
from tests.support.web import WebServer

REQUIRED_MEDIAN_MS: Final = 250
ROUND_TIMEOUT_SECONDS: Final = 30
AMOUNT: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One webhook and its refund; spans in milliseconds."""

    total_ms: float
    """From the sender's receipt of the 2xx to the refund at Stripe."""
    waited_ms: float
    """Of that, until the event was processed and its lane marked due."""
    judged_ms: float
    """From there until the intent was committed: balances and charge read, verdict stored."""
    called_ms: float
    """From there to the refund at Stripe."""


class Watch:
    """Notes when the sandbox refunds which charge."""

    def __init__(self, platform: Platform) -> None:
        self._made: dict[str, tuple[float, datetime]] = {}
        self._news = threading.Condition()
        platform.stage.sandbox.world.listeners.append(self._hear)

    def _hear(self, event: Record) -> None:
        # The reversal shows up as a refund, too, in the connected account: another charge.
        if event.body["type"] == "refund.created":
            with self._news:
                self._made[event.body["data"]["object"]["charge"]] = time.monotonic(), utc_now()
                self._news.notify_all()

    def wait(self, charge: str) -> tuple[float, datetime]:
        """Return when the charge was refunded, by the clock for spans and by the calendar."""
        with self._news:
            if not self._news.wait_for(lambda: charge in self._made, ROUND_TIMEOUT_SECONDS):
                raise TimeoutError("the refund was not made in time")
            return self._made[charge]


def main() -> int:
    """Measure both databases and print the table; 1 when a median is above the required one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    configure_logs("ERROR")
    too_slow = False
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder, ExitStack() as stack:
        for name, url in _databases(Path(folder), stack):
            with running_platform(url, Path(folder) / name) as platform:
                too_slow |= _report(name, list(_measure(platform, rounds)))
    sys.stdout.write(f"required median: {REQUIRED_MEDIAN_MS} ms\n")
    return 1 if too_slow else 0


def _databases(folder: Path, stack: ExitStack) -> Iterator[tuple[str, str]]:
    url = f"sqlite:///{folder / 'latency.db'}"
    upgrade(url)
    yield "sqlite", url
    try:
        server = stack.enter_context(running_server(durable=True))
    except PostgresUnavailableError as error:
        sys.stderr.write(f"Without PostgreSQL: {error}\n")
        return
    databases = PostgresDatabases(server.url())
    stack.callback(databases.close)
    yield "postgresql", stack.enter_context(databases.migrated())


def _measure(platform: Platform, rounds: int) -> Iterator[Round]:
    platform.direct = True
    # Not told where to deliver: the event is delivered here, where the 2xx can be timed.
    web = platform.start_web(listening=False)
    platform.start_worker()
    watch = Watch(platform)
    _one(platform, web, watch)  # the first one opens connections and fills caches
    for _ in range(rounds):
        yield _one(platform, web, watch)


def _one(platform: Platform, web: WebServer, watch: Watch) -> Round:
    stage = platform.stage
    account = stage.account()
    charge = stage.paid(account, AMOUNT)
    request = stage.wish(charge)
    eventually(lambda: not unfinished(stage.services.database), "the worker is idle")
    stage.sandbox.control("POST", f"accounts/{account}/earn", {"amount": AMOUNT})
    event = _event_about(platform, account)
    answer = deliver(web, json.dumps(event).encode())
    accepted, accepted_at = time.monotonic(), utc_now()
    if answer.status_code != 200:
        raise RuntimeError(f"the door answered {answer.status_code}")
    called, called_at = watch.wait(charge)
    eventually(lambda: not unfinished(stage.services.database), "everything is settled")
    marked_at, prepared_at = _moments(platform, EventId(event["id"]), request)
    return Round(
        total_ms=(called - accepted) * 1000,
        waited_ms=_span_ms(accepted_at, marked_at),
        judged_ms=_span_ms(marked_at, prepared_at),
        called_ms=_span_ms(prepared_at, called_at),
    )


def _event_about(platform: Platform, account: str) -> dict[str, Any]:
    events = platform.stage.sandbox.control("GET", "state")["objects"]["event"]
    (event,) = [
        each
        for each in events
        if each["type"] == "balance.available" and each.get("account") == account
    ]
    return {name: value for name, value in event.items() if not name.startswith("_")}


def _moments(platform: Platform, event: EventId, request: RequestId) -> tuple[datetime, datetime]:
    attempt = select(ReleaseAttempt).where(col(ReleaseAttempt.request_id) == request)
    with platform.stage.services.database.reading() as unit:
        marked_at = get_event(unit, event).finished_at
        prepared_at = unit.exec(attempt).one().prepared_at
    assert marked_at is not None
    return marked_at, prepared_at


def _span_ms(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds() * 1000


def _report(name: str, rounds: Sequence[Round]) -> bool:
    totals = sorted(each.total_ms for each in rounds)
    median = statistics.median(totals)
    p95 = totals[min(len(totals) - 1, len(totals) * 95 // 100)]
    waited, judged, called = (
        statistics.median(getattr(each, part) for each in rounds)
        for part in ("waited_ms", "judged_ms", "called_ms")
    )
    sys.stdout.write(
        f"{name:12} median {median:6.1f} ms   p95 {p95:6.1f} ms   {len(rounds)} rounds: "
        f"event processed {waited:.1f}, judged {judged:.1f}, prepared and called {called:.1f}\n"
    )
    sys.stdout.flush()
    return median > REQUIRED_MEDIAN_MS


if __name__ == "__main__":
    sys.exit(main())
