"""The long-running commands as real processes: what goes where, who ends whom, and how fast."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import pytest
import urllib3

from refunds.ids import RequestId
from runtime.processes import free_port
from tests.integration.cli.test_refund import short_payment
from tests.support.terminal import KEY, SECRET, Terminal, command_line

START_SECONDS: Final = 60.0
DRAIN_SECONDS: Final = 10.0
"""What SIGTERM may take. Two seconds more are allowed below, for a busy machine to notice."""

_Found = TypeVar("_Found")


class Running:
    """A command that goes on, with its output in files."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path, err: Path) -> None:
        self.process = process
        self._out, self._err = out, err

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def until(self, what: str, look: Callable[[], _Found | None]) -> _Found:
        """Poll until `look` finds something."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if found := look():
                return found
            assert self.process.poll() is None, f"it ended before {what}:\n{self.err}"
            time.sleep(0.05)
        raise AssertionError(f"waited in vain for {what}:\n{self.out}\n{self.err}")

    def end(self, number: signal.Signals) -> tuple[int, float]:
        """Send a signal; return the exit code and how long it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(timeout=DRAIN_SECONDS + 5)
        return code, time.monotonic() - began


@contextmanager
def running(terminal: Terminal, *arguments: str) -> Iterator[Running]:
    """Run a command until the block ends."""
    out, err = terminal.folder / "stdout", terminal.folder / "stderr"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            command_line(*arguments),
            cwd=terminal.folder,
            env=terminal.environment(),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
    command = Running(process, out, err)
    try:
        yield command
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=DRAIN_SECONDS + 5)
    for secret in (KEY, SECRET):
        assert secret not in command.out + command.err


def children_of(log: str) -> dict[str, int]:
    """The process ids that `serve` wrote into its log when it started its children."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return {each["name"]: each["pid"] for each in lines if each["event"] == "process.started"}


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def answers(url: str) -> bool:
    try:
        return urllib3.request("GET", url, timeout=5, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


@pytest.fixture
def port(sqlite_terminal: Terminal) -> int:
    """A free port, which the terminal's settings name."""
    port = free_port()
    sqlite_terminal.settings |= {"PORT": str(port), "HOST": "127.0.0.1", "WEB_CONCURRENCY": "1"}
    return port


def test_data_goes_to_stdout_and_remarks_to_stderr(terminal: Terminal) -> None:
    charge = short_payment(terminal.stage)
    asked = terminal.process("refund", charge, "--json")
    assert (asked.code, asked.data["status"]) == (0, "held")
    assert asked.err.startswith("Idempotency key: ")
    refused = terminal.process("refund", charge, "--json")
    assert (refused.code, refused.data["error"]["code"]) == (1, "refund_request_open")
    assert "already has the open refund request" in refused.err
    wrong = terminal.process("refund", charge, "--amount", "1.5")
    assert (wrong.code, wrong.out) == (2, "")
    assert "minor units" in wrong.err


def test_working_once_ends_when_nothing_is_due(terminal: Terminal) -> None:
    charge = short_payment(terminal.stage, left=5000)
    request = terminal.sluice("refund", charge, "--json").data["id"]
    answer = terminal.process("worker", "--once")
    assert answer.code == 0
    assert "Nothing is due any more" in answer.out
    assert terminal.stage.view(RequestId(request))["status"] == "succeeded"
    assert all(json.loads(line)["event"] for line in answer.err.splitlines())


def test_a_worker_drains_on_a_signal(sqlite_terminal: Terminal) -> None:
    with running(sqlite_terminal, "worker") as worker:
        worker.until("it has begun", lambda: "worker.started" in worker.err)
        code, seconds = worker.end(signal.SIGTERM)
    assert code == 0
    assert seconds < DRAIN_SECONDS + 2
    assert "worker.stopped" in worker.err


def test_a_worker_that_starts_while_stripe_is_away_waits_for_it(sqlite_terminal: Terminal) -> None:
    sqlite_terminal.settings["STRIPE_API_BASE"] = f"http://127.0.0.1:{free_port()}"
    assert sqlite_terminal.process("worker", "--once").code == 1
    with running(sqlite_terminal, "worker") as worker:
        worker.until("it says what it waits for", lambda: "worker.waits_for_stripe" in worker.err)
        code, seconds = worker.end(signal.SIGTERM)
    assert (code, seconds < DRAIN_SECONDS) == (0, True)


def test_serve_runs_both_and_ends_both(sqlite_terminal: Terminal, port: int) -> None:
    with running(sqlite_terminal, "serve") as serve:
        serve.until("both are ready", lambda: answers(f"http://127.0.0.1:{port}/readyz"))
        assert f"Serving at http://127.0.0.1:{port}" in serve.err
        children = children_of(serve.err)
        assert set(children) == {"web", "worker"}
        code, seconds = serve.end(signal.SIGTERM)
    assert code == 0
    assert seconds < DRAIN_SECONDS + 2
    assert serve.out == ""
    assert not any(map(is_alive, children.values()))


@pytest.mark.parametrize("victim, other", [("worker", "web"), ("web", "worker")])
def test_when_one_dies_serve_ends_the_other_and_says_so(
    sqlite_terminal: Terminal, port: int, victim: str, other: str
) -> None:
    with running(sqlite_terminal, "serve") as serve:
        serve.until("both are ready", lambda: answers(f"http://127.0.0.1:{port}/readyz"))
        children = children_of(serve.err)
        os.kill(children[victim], signal.SIGKILL)
        code = serve.process.wait(timeout=DRAIN_SECONDS + 5)
    assert code == 1
    assert f"The {victim} process ended with code -9" in serve.err
    assert not is_alive(children[other])


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("STRIPE_WEBHOOK_SECRETS", None, "STRIPE_WEBHOOK_SECRETS is not set"),
        ("STRIPE_API_KEY", None, "STRIPE_API_KEY is not set"),
        ("DATABASE_URL", "sqlite:///new.db", "sluice migrate"),
        ("PORT", "99999", "PORT"),
    ],
)
def test_serve_says_what_is_missing_before_it_starts_anything(
    sqlite_terminal: Terminal, name: str, value: str | None, words: str
) -> None:
    sqlite_terminal.settings[name] = value
    answer = sqlite_terminal.sluice("serve")
    assert answer.code == 1
    assert words in answer.words
    assert "process.started" not in answer.err


def test_the_sandbox_serves_until_it_is_stopped(sqlite_terminal: Terminal) -> None:
    with running(sqlite_terminal, "sandbox", "--port", "0") as sandbox:
        found = sandbox.until(
            "it is ready", lambda: re.search(r"ready at (http://\S+)", sandbox.out)
        )
        assert answers(f"{found[1]}/_sandbox/state")
        code, _ = sandbox.end(signal.SIGINT)
    assert code == 0
    assert "Sandbox stopped." in sandbox.out
