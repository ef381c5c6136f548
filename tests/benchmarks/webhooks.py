"""How many webhooks per second are accepted and durably stored, beside a view that does nothing.

It may not judge by one run: targets take turns within each round, so that a busy machine is busy
for all of them, and the ratio of the medians is what counts.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from store.database import Database
from store.inbox import counts
from store.migrate import upgrade
from tests.benchmarks.load import LoadResult, drive
from tests.support.databases import PostgresDatabases
from tests.support.postgres import PostgresUnavailableError, running_server
from tests.support.web import running_web

REQUIRED_RATIO: Final = 0.30
IDLE: Final = "a view that does nothing"
WORKERS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One running server; `database_url` is `None` for the yardstick, which stores nothing."""

    name: str
    port: int
    database_url: str | None


def main() -> int:
    """Run the rounds and print the table; 1 when a ratio is below the required one."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder, ExitStack() as stack:
        targets = list(_targets(Path(folder), stack))
        results: dict[str, list[LoadResult]] = {target.name: [] for target in targets}
        for number in range(arguments.rounds):
            # Another one begins each time: nobody always runs on the coolest or busiest machine.
            turn = number % len(targets)
            for target in targets[turn:] + targets[:turn]:
                result = drive(
                    target.port, connections=arguments.connections, seconds=arguments.seconds
                )
                results[target.name].append(result)
        for target in targets:
            _check_stored(target, results[target.name])
        return _report(results)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--connections", type=int, default=32)
    return parser.parse_args()


def _targets(folder: Path, stack: ExitStack) -> Iterator[Target]:
    for name, url in _databases(folder, stack):
        place = folder / name
        place.mkdir(exist_ok=True)
        app = None if url else "tests.benchmarks.idle_app:app"
        server = stack.enter_context(
            running_web(url or "sqlite:///unused.db", place, workers=WORKERS, app=app)
        )
        yield Target(name=name if url else IDLE, port=server.port, database_url=url)


def _databases(folder: Path, stack: ExitStack) -> Iterator[tuple[str, str | None]]:
    yield "idle", None
    (folder / "sqlite").mkdir()
    url = f"sqlite:///{folder / 'sqlite' / 'bench.db'}"
    upgrade(url)
    yield "sqlite", url
    try:
        # Durable: with fsync off it would win by not doing its job.
        server = stack.enter_context(running_server(durable=True))
    except PostgresUnavailableError as error:
        sys.stderr.write(f"Without PostgreSQL: {error}\n")
        return
    databases = PostgresDatabases(server.url())
    stack.callback(databases.close)
    yield "postgresql", stack.enter_context(_migrated(databases))


@contextmanager
def _migrated(databases: PostgresDatabases) -> Iterator[str]:
    with databases.migrated() as url:
        yield url


def _check_stored(target: Target, results: Sequence[LoadResult]) -> None:
    """Every answer must have been a 2xx, and every 2xx must be a row."""
    statuses = frozenset().union(*(result.statuses for result in results))
    if statuses - {200, 204}:
        raise RuntimeError(f"{target.name} answered {sorted(statuses)}")
    if target.database_url is None:
        return
    database = Database(target.database_url)
    with database.reading() as unit:
        stored = sum(counts(unit).by_state.values())
    database.dispose()
    answered = sum(result.answered for result in results)
    if stored != answered:
        raise RuntimeError(f"{target.name} answered {answered} deliveries and stored {stored}")


def _report(results: Mapping[str, Sequence[LoadResult]]) -> int:
    rates = {
        name: statistics.median(result.per_second for result in rounds)
        for name, rounds in results.items()
    }
    too_slow = False
    for name, rounds in results.items():
        ratio = rates[name] / rates[IDLE]
        too_slow |= ratio < REQUIRED_RATIO
        p50, p99 = (
            statistics.median(result.percentile_ms(percent) for result in rounds)
            for percent in (50, 99)
        )
        sys.stdout.write(
            f"{name:26} {rates[name]:7.0f}/s   ratio {ratio:4.2f}   "
            f"p50 {p50:5.1f} ms   p99 {p99:6.1f} ms\n"
        )
    sys.stdout.write(f"required ratio: {REQUIRED_RATIO:.2f}\n")
    return 1 if too_slow else 0


if __name__ == "__main__":
    sys.exit(main())
