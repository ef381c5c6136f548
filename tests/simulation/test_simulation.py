"""A hundred worlds end well, the same seed tells the same story, and planted bugs are seen."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.crowd import FROM, SEEDS, play_crowd
from tests.simulation.planted import PLANTED, Planted
from tests.simulation.run import simulate
from tests.support.databases import PostgresDatabases, SqliteTemplate
from tests.support.repository import ROOT


@pytest.mark.timeout(900)
def test_a_hundred_seeds_end_well() -> None:
    told: list[str] = []
    fine = play_crowd(range(FROM, FROM + SEEDS), os.cpu_count() or 1, told.append)
    broken = "\n".join(line for line in told if "nothing broken" not in line)
    assert fine, broken
    assert len(told) == SEEDS


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1_001, 1_002, 1_003])
def test_a_few_seeds_end_well_on_postgresql(
    seed: int, postgres_databases: PostgresDatabases
) -> None:
    with postgres_databases.migrated() as url:
        outcome = simulate(seed, url)
    assert not outcome.broken, outcome.told()


@pytest.mark.timeout(300)
def test_the_same_seed_tells_the_same_story_byte_for_byte() -> None:
    def told(hash_seed: str) -> bytes:
        return subprocess.run(
            [sys.executable, "-m", "tests.simulation.run", "7"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            check=True,
        ).stdout

    first = told("1")
    assert first.count(b"\n") > 200, "a story of some length"
    assert first == told("2")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("bug", PLANTED.values(), ids=PLANTED)
def test_the_simulation_catches_planted_bugs(
    bug: Planted, sqlite_template: SqliteTemplate, tmp_path: Path
) -> None:
    called = 0
    # The seed that is known to see it comes first, so that only a changed play costs a search.
    for seed in (bug.seed, *range(FROM, FROM + SEEDS)):
        place = tmp_path / f"{seed}"
        place.mkdir(exist_ok=True)
        with bug.plant() as calls:
            outcome = simulate(seed, sqlite_template.copy_to(place))
        called += calls.number
        if any(bug.shows in each for each in outcome.broken):
            assert calls.number, f"never called, so something else is broken: {outcome.told()}"
            return
    pytest.fail(f"no seed of {SEEDS} noticed it, though it was called {called} times")
