"""The demo, played as a newcomer plays it: its story, its printed commands, and nothing left."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from runtime.demo.stage import DemoError, open_stage
from runtime.processes import Stop
from tests.support.repository import ROOT
from tests.support.terminal import command_line, process_environment

STORY_SECONDS: Final = 240
"""Nine processes start one after the other: seconds on a quiet machine, minutes on a busy one."""

pytestmark = pytest.mark.timeout(2 * STORY_SECONDS)

# What an operator may have set must not reach the demo: none of these can work.
HOSTILE: Final = {
    "STRIPE_API_KEY": "sk_live_" + "must0not0be0used",
    "STRIPE_API_BASE": "http://127.0.0.1:9",
    "STRIPE_WEBHOOK_SECRETS": "whsec_" + "wrong",
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing",
    "PORT": "1",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the demo puts its temporary files."""
    made = tmp_path / "temporary"
    made.mkdir()
    return made


def environment(folder: Path) -> dict[str, str]:
    return process_environment(HOSTILE) | {"TMPDIR": str(folder)}


def processes_in(folder: Path) -> list[str]:
    """The processes whose working directory is below a folder, by id."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").resolve().is_relative_to(folder) and entry.name != str(os.getpid()):
                found.append(entry.name)
        except OSError:
            continue
    return found


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_the_story_ends_by_itself_and_leaves_nothing(folder: Path) -> None:
    outside = {n: v for n, v in environment(folder).items() if not n.startswith("MAKE")}
    done = subprocess.run(
        ["make", "--silent", "demo"],
        cwd=ROOT,
        env=outside | {"ONCE": "1"},
        capture_output=True,
        text=True,
        timeout=STORY_SECONDS,
        check=False,
    )
    text = " ".join(done.stdout.split())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "need 50.00 USD, spendable 10.00 USD, shortfall 40.00 USD" in text
    assert "Why: The account has 10.00 USD spendable, the refund needs 50.00 USD" in text
    order = ("requested", "held", "money arrives", "webhook accepted", "released", "succeeded")
    timeline = text.split("Timeline")[1]
    places = [timeline.index(word) for word in order]
    assert places == sorted(places)
    taken = re.search(r"to the refund call at Stripe: (\d+) ms \(answered after (\d+) ms\)", text)
    assert taken is not None
    assert int(taken[1]) <= int(taken[2])
    assert "books are in order" in text
    assert "Traceback" not in done.stdout + done.stderr
    assert list(folder.iterdir()) == []
    assert processes_in(folder) == []


@pytest.fixture
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A demo that goes on serving, and the file that its output goes to."""
    log = folder.parent / "demo.txt"
    with log.open("w") as out:
        process = subprocess.Popen(
            command_line("demo"),
            cwd=ROOT,
            env=environment(folder),
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        deadline = time.monotonic() + STORY_SECONDS
        while "curl -X POST" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield process, log
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=20)


def test_what_it_prints_to_try_works_as_printed(
    serving: tuple[subprocess.Popen[str], Path], folder: Path
) -> None:
    process, log = serving
    commands = re.findall(r"^  (env \$\(cat .*|curl .*)$", log.read_text(), re.MULTILINE)
    assert len(commands) == 4
    if shutil.which("curl") is None:
        commands.pop()
    for command in commands:
        # The shell of somebody whose own settings are another installation's.
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=ROOT,
            env=environment(folder) | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
            capture_output=True,
            text=True,
            timeout=STORY_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 0, log.read_text()
    assert "All processes have ended" in log.read_text()
    assert list(folder.iterdir()) == []
    assert processes_in(folder) == []


def test_a_stage_that_cannot_be_built_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setattr("runtime.demo.stage.WEB", ("false",))
    said: list[str] = []
    with pytest.raises(DemoError, match="web process ended"), open_stage(said.append, Stop()):
        raise AssertionError("the stage can't be ready")
    assert any("The last lines of sandbox.log" in words for words in said)
    assert any("Starting the web" in words for words in said), "it says what it does"
    assert list(folder.iterdir()) == []
    assert processes_in(folder) == []
