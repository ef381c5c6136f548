"""Processes from the fork server are processes like others: their own, and gone when they end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.launch import Process, launch
from tests.support.repository import ROOT
from tests.support.terminal import process_environment
from tests.support.waiting import eventually

END_SECONDS: Final = 20


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Process]:
    """A command that goes on until it is stopped."""
    process = start(tmp_path, "sandbox", "--port", "0")
    eventually(lambda: "ready at" in said(tmp_path), "it is ready")
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=END_SECONDS)


def start(folder: Path, *arguments: str, **settings: str) -> Process:
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        return launch(
            "sluice",
            *arguments,
            folder=folder,
            environment=process_environment(settings) | {"PYTHONUNBUFFERED": "1"},
            stdout=out,
            stderr=err,
        )


def said(folder: Path) -> str:
    return (folder / "out").read_text() + (folder / "err").read_text()


def test_it_is_a_process_of_its_own_that_leads_its_group(sandbox: Process, tmp_path: Path) -> None:
    assert sandbox.pid != os.getpid()
    assert os.getsid(sandbox.pid) == os.getpgid(sandbox.pid) == sandbox.pid
    assert Path(f"/proc/{sandbox.pid}/cwd").resolve() == tmp_path.resolve()
    assert sandbox.poll() is None


# Not SIGINT or SIGQUIT: a shell lets what it starts in the background ignore these.
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGUSR1])
def test_a_signal_reaches_it_and_its_code_says_so(sandbox: Process, number: int) -> None:
    sandbox.send_signal(number)
    assert sandbox.wait(timeout=END_SECONDS) == -number
    assert sandbox.poll() == -number
    sandbox.send_signal(number)  # to nobody: its number may be another's by now


def test_it_is_interrupted_as_by_ctrl_c_and_ends_in_good_order(
    sandbox: Process, tmp_path: Path
) -> None:
    with pytest.raises(subprocess.TimeoutExpired, match="sandbox"):
        sandbox.wait(timeout=0.1)
    sandbox.send_signal(signal.SIGINT)
    assert sandbox.wait(timeout=END_SECONDS) == 0
    assert "Sandbox stopped." in said(tmp_path)


def test_each_has_its_own_settings_and_no_trace_of_the_one_before(tmp_path: Path) -> None:
    for number, name in enumerate(("one.db", "two.db", None)):
        folder = tmp_path / str(number)
        folder.mkdir()
        settings = {} if name is None else {"DATABASE_URL": f"sqlite:///{name}"}
        assert start(folder, "migrate", **settings).wait(timeout=END_SECONDS) == 0
        found = {each.name for each in folder.glob("*.db")}
        assert found == {name or "sluice.db"}


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        (("--version",), 0, "version"),
        (("events", "show", "evt_1"), 1, "sluice migrate"),
        (("no-such-command",), 2, "No such command"),
    ],
)
def test_its_exit_code_and_output_are_those_of_the_console_script(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    real, forked = tmp_path / "real", tmp_path / "forked"
    for folder in (real, forked):
        folder.mkdir()
    assert start(forked, *arguments).wait(timeout=END_SECONDS) == code
    done = subprocess.run(
        [str(Path(sys.executable).with_name("sluice")), *arguments],
        cwd=real,
        env=process_environment({}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code
    assert words in said(forked)
    assert said(forked) == done.stdout + done.stderr


OWNER: Final = """
import sys, time
from pathlib import Path
from tests.integration.runtime.test_launch import start
print(start(Path(sys.argv[1]), "sandbox", "--port", "0").pid, flush=True)
time.sleep(600)
"""


def test_nothing_outlives_a_test_process_that_is_killed(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    with owner.stdout:
        pid = int(owner.stdout.readline())
    os.kill(pid, 0)
    owner.kill()
    owner.wait()
    deadline = time.monotonic() + END_SECONDS
    while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < deadline, "it lives on"
        time.sleep(0.05)
