"""The demo's stage: a sandbox, a throw-away database, gunicorn and a worker, each its own process.

It may not tell the story, and leaves no process and no file behind.
"""

import re
import secrets
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import urllib3

from refunds.clock import monotonic_seconds
from refunds.errors import SluiceError
from runtime.processes import PYTHON, WEB, WORKER, Children, Stop, free_port
from runtime.settings import child_environment

START_SECONDS: Final = 60.0
"""How long each process may take until it can be used; a busy machine is slow."""
COMMAND_SECONDS: Final = 60.0
TAIL_LINES: Final = 15
_LOOK_EVERY_SECONDS: Final = 0.02

_SLUICE: Final = (*PYTHON, "-m", "runtime.cli")
_READY: Final = re.compile(r"Sandbox ready at (http://\S+)")
_Found = TypeVar("_Found")


class DemoError(SluiceError):
    """The demo could not go on; the logs of its processes say more."""


class DemoStoppedError(SluiceError):
    """Somebody stopped the demo before its end."""

    def __init__(self) -> None:
        super().__init__("stopped before the end of the story; everything was shut down")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What the story plays on."""

    folder: Path
    sandbox_url: str
    web_url: str
    database_url: str
    secret: str
    settings: Mapping[str, str]
    children: Children
    stop: Stop

    def sluice(self, *arguments: str) -> str:
        """Run a command of the CLI as a process; return what it wrote to stdout."""
        return run_command(self.folder, self.settings, *arguments)

    def as_typed(self, *arguments: str) -> str:
        """Return a command line for a person's shell that does the same."""
        sluice = Path(sys.executable).with_name("sluice")
        shown = sluice.relative_to(Path.cwd()) if sluice.is_relative_to(Path.cwd()) else sluice
        return f"env $(cat {self.folder / 'env'}) {shlex.join([str(shown), *arguments])}"

    def wait_until(
        self, what: str, look: Callable[[], _Found | None], seconds: float = START_SECONDS
    ) -> _Found:
        """Poll until `look` finds something; raise `DemoError` when it takes too long."""
        return _wait(self.children, self.stop, what, look, seconds)


@contextmanager
def open_stage(say: Callable[[str], None], stop: Stop) -> Iterator[Stage]:
    """Yield the stage with everything running; say each step before it is taken."""
    with (
        tempfile.TemporaryDirectory(prefix="sluice-demo-") as name,
        Children() as children,
    ):
        folder = Path(name)
        try:
            yield from _build(folder, children, say, stop)
        except DemoStoppedError:
            raise
        except BaseException:
            for log in sorted(folder.glob("*.log")):
                say(f"The last lines of {log.name}:\n{_tail(log)}")
            raise


def _build(
    folder: Path, children: Children, say: Callable[[str], None], stop: Stop
) -> Iterator[Stage]:
    secret = f"whsec_{secrets.token_hex(24)}"
    database_url = f"sqlite:///{folder / 'demo.db'}"
    port = free_port()
    web_url = f"http://127.0.0.1:{port}"

    say("Starting a sandbox: a local Stripe with Connect balances")
    plain = _settings(database_url, secret, port, "")
    _start(children, folder, plain, "sandbox", (*_SLUICE, "sandbox", "--port", "0"))
    say("Creating a throw-away SQLite database")
    run_command(folder, plain, "migrate")
    sandbox_url = _wait(
        children,
        stop,
        "the sandbox to answer",
        lambda: _ready(folder / "sandbox.log"),
        START_SECONDS,
    )
    settings = _settings(database_url, secret, port, sandbox_url)
    (folder / "env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))

    say("Starting the web (gunicorn) and a worker")
    _start(children, folder, settings, "web", WEB)
    _start(children, folder, settings, "worker", WORKER)
    _wait(
        children,
        stop,
        "web and worker to be ready",
        lambda: answers(f"{web_url}/readyz"),
        START_SECONDS,
    )
    yield Stage(
        folder=folder,
        sandbox_url=sandbox_url,
        web_url=web_url,
        database_url=database_url,
        secret=secret,
        settings=settings,
        children=children,
        stop=stop,
    )


def run_command(folder: Path, settings: Mapping[str, str], *arguments: str) -> str:
    """Run `sluice …` with these settings; raise `DemoError` unless it exits with 0."""
    try:
        done = subprocess.run(  # noqa: S603 - our own command line, never a shell
            (*_SLUICE, *arguments),
            cwd=folder,
            env=child_environment(settings),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DemoError(f"sluice {arguments[0]} took more than {COMMAND_SECONDS:.0f} s") from error
    if done.returncode != 0:
        raise DemoError(
            f"sluice {arguments[0]} exited with {done.returncode}: {done.stderr.strip()}"
        )
    return done.stdout


def answers(url: str) -> bool | None:
    """Return `True` if the URL answers 200, else `None`."""
    try:
        status = urllib3.request("GET", url, timeout=5.0, retries=False).status
    except urllib3.exceptions.HTTPError:
        return None
    return True if status == 200 else None


def _settings(database_url: str, secret: str, port: int, sandbox_url: str) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "STRIPE_API_BASE": sandbox_url,
        # Any test key works at the sandbox; made up here, so that a real one is never used.
        "STRIPE_API_KEY": f"sk_test_demo{secret[-16:]}",
        "STRIPE_WEBHOOK_SECRETS": secret,
        "HOST": "127.0.0.1",
        "PORT": str(port),
        # One web process starts sooner than one per core, and is as real.
        "WEB_CONCURRENCY": "1",
        # A proxy in somebody's environment must not see what is meant for this machine.
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def _start(
    children: Children, folder: Path, settings: Mapping[str, str], name: str, command: Sequence[str]
) -> None:
    with (folder / f"{name}.log").open("ab") as log:
        children.start(
            name, command, environment=child_environment(settings), folder=folder, log=log
        )


def _wait(
    children: Children,
    stop: Stop,
    what: str,
    look: Callable[[], _Found | None],
    seconds: float,
) -> _Found:
    deadline = monotonic_seconds() + seconds
    while True:
        found = look()
        if found is not None:
            return found
        if stop.asked:
            raise DemoStoppedError
        dead = children.first_dead()
        if dead is not None:
            raise DemoError(f"the {dead.name} process ended by itself ({dead.process.returncode})")
        if monotonic_seconds() > deadline:
            raise DemoError(f"waited {seconds:.0f} s for {what}, in vain")
        time.sleep(_LOOK_EVERY_SECONDS)


def _ready(log: Path) -> str | None:
    found = _READY.search(log.read_text(encoding="utf-8", errors="replace"))
    return None if found is None else found[1]


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
    return "\n".join(f"  {line}" for line in lines) or "  (empty)"
