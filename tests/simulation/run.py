"""Plays one simulation from its seed: a random world, random moves, an ending, a verdict.

`python -m tests.simulation.run [--brief] SEED…` replays some and tells what happened. It may not
depend on anything but the seed and the kind of database.
"""

import logging
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import structlog

import refunds.ids
from refunds.invariants import violations
from store.database import DatabaseUnavailableError
from store.reports import load_books
from tests.simulation.company import Company, hire
from tests.simulation.ending import calm_down, make_rich
from tests.simulation.plot import MOVES, Play
from tests.simulation.scene import build_scene
from tests.simulation.stuck import stuck
from tests.simulation.verdict import Verdict
from tests.support.databases import SqliteTemplate

MOVES_PER_SEED: Final = 100
_ALARMS: Final = ("event.error", "money.unexpected")
"""What no simulated world explains: a log line of this name is a violation by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one seed."""

    seed: int
    broken: tuple[str, ...]
    trace: tuple[str, ...]

    def told(self) -> str:
        """The whole story, with the command that repeats it."""
        said = "\n".join(f"BROKEN  {each}" for each in self.broken)
        story = "\n".join(self.trace)
        replay = f"Replay it with: make simulate SEED={self.seed}"
        return f"{story}\n{said}\n{replay}" if said else story


def simulate(seed: int, url: str) -> Outcome:
    """Play a seed on a fresh, migrated database; stops at the first violation."""
    scene = build_scene(seed)
    alarms: list[str] = []
    with _minted_by(seed), _listening(alarms):
        company = hire(scene, url, seed)
        try:
            _play(Play(random.Random(f"{seed}:plot"), scene, company), alarms)
        finally:
            company.dismiss()
    broken = tuple(dict.fromkeys([*company.watch.broken, *alarms]))
    return Outcome(seed=seed, broken=broken, trace=tuple(scene.trace.lines))


def _play(play: Play, alarms: list[str]) -> None:
    watch = play.company.watch
    for move in play.chance.choices(list(MOVES), list(MOVES.values()), k=MOVES_PER_SEED):
        move(play)
        watch.on_world()
        if watch.broken or alarms:
            return
    calm_down(play)
    _judge(play.company, rich=False)
    if watch.broken or alarms:
        return
    make_rich(play)
    _judge(play.company, rich=True)


def _judge(company: Company, *, rich: bool) -> None:
    watch = company.watch
    if watch.broken:
        return
    with watch.database.reading() as unit:
        watch.broken += [found for books in load_books(unit) for found in violations(books)]
        verdict = Verdict(company.scene, unit, company.policy)
        watch.broken += [*stuck(unit, verdict.refunds), *verdict.at_rest()]
        if rich:
            watch.broken += verdict.all_released()


class _Choices:
    """Stands in for `secrets` where ids are minted, so that a seed gives the same ids again."""

    def __init__(self, seed: int) -> None:
        self.choice = random.Random(f"{seed}:ids").choice


@contextmanager
def _minted_by(seed: int) -> Iterator[None]:
    with patch.object(refunds.ids, "secrets", _Choices(seed)):
        yield


@contextmanager
def _listening(alarms: list[str]) -> Iterator[None]:
    """Keep the logs quiet, and note the lines that tell of a bug."""

    def keep(_logger: object, _level: str, line: MutableMapping[str, Any]) -> Any:
        ours = isinstance(line.get("exc_info"), DatabaseUnavailableError)
        if line["event"] in _ALARMS and not ours:
            alarms.append(f"log: {dict(line)}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[keep], cache_logger_on_first_use=False)
    # It tells of interludes that the world refused; the trace does, too.
    doors = logging.getLogger("sandbox.api.door")
    level = doors.level
    doors.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        doors.setLevel(level)
        structlog.configure(**before)


def play_all(seeds: Sequence[int], tell: Callable[[str], None], *, story: bool) -> int:
    """Play seeds one after another and tell how each went; return how many were broken.

    With `story` all that happened is told of each; otherwise of broken ones only.
    """
    broken = 0
    with tempfile.TemporaryDirectory() as folder:
        template = SqliteTemplate(Path(folder))
        place = Path(folder) / "here"
        for seed in seeds:
            place.mkdir()
            outcome = simulate(seed, template.copy_to(place))
            fine = f"seed {seed}: {len(outcome.trace)} lines, nothing broken"
            tell(outcome.told() if outcome.broken or story else fine)
            broken += bool(outcome.broken)
            shutil.rmtree(place)
    return broken


def main(words: Sequence[str]) -> int:
    """Play the seeds named in `words`, and tell of each what happened, or briefly how it went."""
    seeds = [int(each) for each in words if each != "--brief"]

    def tell(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    return 1 if play_all(seeds, tell, story="--brief" not in words) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
