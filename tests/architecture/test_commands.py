"""The commands a newcomer types: each is explained, and making the environment twice is free.

It may not build an environment; a clean clone's ``.ci/run`` does that for real.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.repository import ROOT


def run(*command: str) -> subprocess.CompletedProcess[str]:
    # These tests often run below `make test`, and a make within a make says so.
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, env=outside
    )


def test_every_target_is_explained_by_plain_make() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    explained = set(re.findall(r"^  make ([a-z-]+) +\S", run("make").stdout, re.MULTILINE))
    assert {"demo", "test", "check"} <= targets
    assert targets == explained
    declared = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert declared is not None
    assert set(declared[1].split()) == targets, "a file of that name would hide the target"


def test_an_environment_that_is_up_to_date_is_left_alone() -> None:
    stamp = ROOT / ".venv" / ".built-from"
    if Path(sys.prefix) != ROOT / ".venv" or not stamp.exists():
        pytest.skip("these tests run in an environment that `make venv` did not make")
    before = stamp.stat().st_mtime_ns
    done = run("make", "venv")
    assert done.stdout + done.stderr == ""
    assert stamp.stat().st_mtime_ns == before


@pytest.mark.parametrize("script", ["run", "venv"])
def test_the_scripts_parse_and_may_be_run(script: str) -> None:
    path = ROOT / ".ci" / script
    assert path.stat().st_mode & 0o111
    run("bash", "-n", str(path))
