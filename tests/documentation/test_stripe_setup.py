"""docs/stripe-setup.md is what happens: its offline terminals are opened and typed into.

The sandbox, the service and the official Stripe CLI run as the page starts them, on free ports.
"""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from tests.support.repository import ROOT
from tests.support.stripe_cli import StripeCliMissingError, install
from tests.support.web import free_port

PAGE: Final = (ROOT / "docs" / "stripe-setup.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SETUP, STRIPE, SLUICE, LISTEN, *WORLD = BLOCKS


def test_the_page_has_the_blocks_that_are_run_here() -> None:
    assert SETUP == "make venv stripe-cli\n"
    assert STRIPE.endswith("sluice sandbox\n")
    assert SLUICE.endswith("sluice serve\n")
    assert ".tools/stripe listen" in LISTEN
    assert len(WORLD) == 4


def test_the_permissions_are_those_of_the_calls_the_gateway_makes() -> None:
    called = {
        path
        for file in (ROOT / "gateway").rglob("*.py")
        for path in re.findall(r'"(/v1/[^"]*)"', file.read_text(encoding="utf-8"))
    }
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "`/v1/" in line]
    listed = {path for row in rows for path in re.findall(r"`(/v1/[^`]*)`", row)}
    assert listed == {re.sub(r"\{_.*?\}", "{id}", path) for path in called}


class Terminals:
    """Shells in one working folder, with the page's ports replaced by free ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sandbox_port, self.web_port = free_port(), free_port()
        for name in (".venv", ".tools", "fixtures"):
            (folder / name).symlink_to(ROOT / name)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "PORT": str(self.web_port),
            "WEB_CONCURRENCY": "1",
            "STRIPE_CLI_TELEMETRY_OPTOUT": "1",
            "NO_COLOR": "1",
            "LC_ALL": "C.UTF-8",
        }
        (folder / "home").mkdir()

    def typed(self, text: str) -> str:
        """What the page says, for the ports of this run."""
        ours = text.replace("12111", str(self.sandbox_port)).replace("8000", str(self.web_port))
        return ours.replace("sluice sandbox", f"sluice sandbox --port {self.sandbox_port}")

    @contextmanager
    def open(self, name: str, text: str, ready: Callable[[Path], bool]) -> Iterator[Path]:
        """A terminal that goes on: from the moment it is ready until the block ends."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", f"set -eo pipefail\n{self.typed(text)}"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            deadline = time.monotonic() + 40
            while not ready(log):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            yield log
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=20)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def run(self, text: str) -> str:
        """A terminal that is typed into until all is done; answers what it printed."""
        done = subprocess.run(
            ["bash", "-c", f"set -eo pipefail\n{self.typed(text)}"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def sluice(self, command: str) -> Any:
        """What a command of ours answers as JSON."""
        prepare = WORLD[0].partition("stripe() {")[0]
        return json.loads(self.run(f"{prepare}sluice {command} --json"))

    def answers(self, path: str) -> bool:
        """Whether the service answers 200 there."""
        try:
            return requests.get(f"http://127.0.0.1:{self.web_port}{path}", timeout=5).ok
        except requests.RequestException:
            return False


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Terminals]:
    """Stripe, Sluice and the forwarding CLI, as the page's first three terminals start them."""
    try:
        install()
    except StripeCliMissingError as error:
        if os.environ.get("SLUICE_REQUIRE_STRIPE_CLI") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))
    folder = tmp_path / "project"
    folder.mkdir()
    desk = Terminals(folder)
    with ExitStack() as stack:
        stack.enter_context(
            desk.open("stripe", STRIPE, lambda log: "Sandbox ready" in log.read_text())
        )
        stack.enter_context(desk.open("sluice", SLUICE, lambda _: desk.answers("/readyz")))
        stack.enter_context(desk.open("listen", LISTEN, lambda log: "Ready!" in log.read_text()))
        yield desk


# A dozen commands of ours, three servers and the CLI: a busy machine needs its time.
@pytest.mark.timeout(300)
def test_the_offline_story_happens_as_told(terminals: Terminals) -> None:
    told_there = terminals.run("".join(WORLD))
    # Each of the two was held when it was asked for, and went out when the money was there.
    turns = re.findall(r"cover → (hold|release)", told_there)
    assert turns == ["hold", "release"] * 2

    requested = terminals.sluice("requests")["data"]
    assert [item["status"] for item in requested] == ["succeeded", "succeeded"]
    assert sorted(item["amount"] for item in requested) == [1500, 3500]

    state = requests.get(
        f"http://127.0.0.1:{terminals.sandbox_port}/_sandbox/state", timeout=10
    ).json()
    ours = [item for item in state["objects"]["refund"] if item["metadata"].get("sluice_request")]
    assert sorted(item["amount"] for item in ours) == [1500, 3500]
    assert state["books"]["problems"] == []
    assert state["refused"] == []

    (account,) = {item["account"] for item in requested}
    told = [
        item["id"]
        for item in state["objects"]["event"]
        if item["type"] == "balance.available" and item.get("account") == account
    ]
    # The one that was sent again is one row, counted twice; the CLI forwards in its own time.
    deadline = time.monotonic() + 20
    while terminals.sluice(f"events show {told[-1]}")["deliveries"] < 2:
        assert time.monotonic() < deadline, "the event that was sent again did not arrive"
    assert terminals.sluice(f"events show {told[-1]}")["deliveries"] == 2
    assert terminals.sluice(f"events show {told[0]}")["deliveries"] == 1
