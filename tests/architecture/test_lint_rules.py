"""The banned calls are banned where they should be, and allowed in the one place that owns them.

It may not list every rule: ruff's configuration does, with a reason beside each.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.support.repository import ROOT

CLOCKS: Final = [
    "from datetime import datetime, UTC\nnow = datetime.now(UTC)\n",
    "import datetime\nnow = datetime.datetime.now(datetime.UTC)\n",
    "from datetime import date\nnow = date.today()\n",
    "import time\nnow = time.time()\n",
    "from time import time\nnow = time()\n",
    "import time\nnow = time.time_ns()\n",
]
ENVIRONMENT: Final = [
    "import os\nname = os.environ['HOME']\n",
    "import os\nname = os.getenv('HOME')\n",
    "from os import environ\nname = environ['HOME']\n",
]


def findings(source: str, filename: str) -> set[str]:
    """The rules ruff finds broken, were this source in that file."""
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ruff"),
            *("check", "--no-cache", "--output-format=json", "--stdin-filename", filename, "-"),
        ],
        cwd=ROOT,
        input=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    return {finding["code"] for finding in json.loads(done.stdout)}


@pytest.mark.parametrize("source", CLOCKS)
@pytest.mark.parametrize("room", ["handlers", "refunds", "runtime", "sandbox", "store"])
def test_nobody_else_reads_the_clock(source: str, room: str) -> None:
    assert "TID251" in findings(source, f"{room}/example.py")


@pytest.mark.parametrize("source", ENVIRONMENT)
@pytest.mark.parametrize("room", ["gateway", "handlers", "runtime", "webhooks"])
def test_nobody_else_reads_the_environment(source: str, room: str) -> None:
    assert "TID251" in findings(source, f"{room}/example.py")


def test_the_owners_may() -> None:
    assert "TID251" not in findings(CLOCKS[3], "refunds/clock.py")
    assert "TID251" not in findings(CLOCKS[3], "sandbox/clock.py")
    assert "TID251" not in findings(ENVIRONMENT[0], "runtime/settings.py")


def test_durations_are_measured_freely() -> None:
    source = "import time\nbegan = time.monotonic()\n"
    assert "TID251" not in findings(source, "handlers/example.py")
