"""What a release run over one account costs while ten, and while a million others are held.

It may not shorten the run: the lane is claimed, balances are read (at the sandbox, in process),
each request is judged, and the lane is handed back.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from handlers.release import run_due_lane
from refunds.ids import LaneId
from runtime.logs import configure_logs
from store.database import Database
from store.lanes import mark_due
from tests.support.databases import PostgresDatabases, SqliteTemplate
from tests.support.event_stage import EventStage
from tests.support.multiplied import multiply
from tests.support.postgres import PostgresUnavailableError, running_server

MOST_TIMES_SLOWER: Final = 1.5
OWN: Final = 20
"""Requests held in the account that is planned."""
LANES: Final = 10_000
"""Accounts that the others are spread over."""
FEW: Final = 10
WARM_UP: Final = 5
"""Runs that open connections and fill caches, not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """Runs over one account beside so many other held requests; milliseconds."""

    others: int
    runs: Sequence[float]

    @property
    def median_ms(self) -> float:
        """The run in the middle."""
        return statistics.median(self.runs)


class Account:
    """An account with held requests, and more and more others beside it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._database = Database(url)
        self._stage = EventStage(self._database)
        account = self._stage.account()
        self._lane = LaneId(account)
        self._request = self._stage.hold(self._stage.pay(account), 5_000)
        self._stage.run()
        multiply(url, self._request, first=0, count=OWN - 1, lanes=None)
        self._made = OWN

    def __enter__(self) -> "Account":
        return self

    def __exit__(self, *_error: object) -> None:
        self._database.dispose()

    def hold_others(self, count: int) -> float:
        """Hold so many requests of others; return how many seconds that took."""
        began = time.perf_counter()
        multiply(self._url, self._request, first=self._made, count=count, lanes=LANES)
        self._made += count
        return time.perf_counter() - began

    def plan(self) -> float:
        """Run the account's lane; return how many milliseconds that took."""
        with self._database.unit_of_work() as unit:
            mark_due(unit, self._lane, self._stage.now(), "bench")
        began = time.perf_counter()
        assert run_due_lane(self._stage.services)
        taken = (time.perf_counter() - began) * 1_000
        self._stage.later(1)
        return taken


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure on both databases; return 1 where a run is slower than allowed."""
    options = _parse(arguments)
    configure_logs("ERROR")
    slow = False
    for name, urls in _databases():
        with Account(urls[0]) as lonely, Account(urls[1]) as crowded:
            lonely.hold_others(FEW)
            seconds = crowded.hold_others(options.others)
            few, many = _measure(lonely, crowded, options)
        ratio = many.median_ms / few.median_ms
        slow = slow or ratio > MOST_TIMES_SLOWER
        for planned in (few, many):
            quantiles = statistics.quantiles(planned.runs, n=20)
            _say(
                f"{name}: {OWN} held of the account, {planned.others:>9,} of others: "
                f"median {planned.median_ms:.1f} ms, p95 {quantiles[-1]:.1f} ms"
            )
        _say(
            f"{name}: {ratio:.2f} times as long (at most {MOST_TIMES_SLOWER}); "
            f"the others were loaded in {seconds:.0f} s"
        )
    return 1 if slow else 0


def _measure(
    lonely: Account, crowded: Account, options: argparse.Namespace
) -> tuple[Planned, Planned]:
    """Run both by turns, so that whatever else the machine does slows down both alike."""
    few: list[float] = []
    many: list[float] = []
    for number in range(WARM_UP + options.runs):
        for account, runs in ((lonely, few), (crowded, many)):
            taken = account.plan()
            if number >= WARM_UP:
                runs.append(taken)
    return Planned(others=FEW, runs=few), Planned(others=options.others, runs=many)


def _databases() -> Iterator[tuple[str, tuple[str, str]]]:
    """Two of each kind: one for few others, one for many."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder, ExitStack() as stack:
        template = SqliteTemplate(Path(folder))
        yield "SQLite", (_copy(template, folder, "few"), _copy(template, folder, "many"))
        try:
            server = stack.enter_context(running_server())
        except PostgresUnavailableError as error:
            _say(f"PostgreSQL is left out: {error}")
            return
        databases = PostgresDatabases(server.url())
        stack.callback(databases.close)
        few, many = (stack.enter_context(databases.migrated()) for _ in range(2))
        yield "PostgreSQL", (few, many)


def _copy(template: SqliteTemplate, folder: str, name: str) -> str:
    place = Path(folder) / name
    place.mkdir()
    return template.copy_to(place)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.planning", description="Measure what planning a run costs."
    )
    parser.add_argument("--others", type=int, default=1_000_000, help="held requests of others")
    parser.add_argument("--runs", type=int, default=60, help="runs to take the median of")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
