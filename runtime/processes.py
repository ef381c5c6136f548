"""Child processes: started together, watched together, ended together by their ids.

It may not know what they do; nothing here touches a process that it did not start.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Final, Self

import structlog

from refunds.clock import monotonic_seconds

DRAIN_SECONDS: Final = 10.0
"""How long children may take to end in good order before they are killed."""
LOOK_EVERY_SECONDS: Final = 0.1

PYTHON: Final = (sys.executable, "-P")
"""`-P`: a folder named like one of our packages in the working directory must not shadow it."""
WEB: Final = (*PYTHON, "-m", "gunicorn", "-c", "python:runtime.gunicorn_conf")
WORKER: Final = (*PYTHON, "-m", "runtime.cli", "worker")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One started process, the leader of a group of its own."""

    name: str
    process: subprocess.Popen[bytes]


class Children:
    """A context in which child processes live: none of them outlives it."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        log: IO[bytes] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a process; its output goes to `log`, or to our stderr."""
        process = subprocess.Popen(  # noqa: S603 - our own command line, never a shell
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr if log is None else log,
            stderr=log,
            # A group of its own: Ctrl-C in the terminal reaches us alone, and we end the children
            # in good order.
            start_new_session=True,
        )
        self._children.append(Child(name=name, process=process))
        _log.info("process.started", name=name, pid=process.pid)
        return process

    def first_dead(self) -> Child | None:
        """Return a child that has ended; `None` while all live."""
        return next((each for each in self._children if each.process.poll() is not None), None)

    def end(self) -> bool:
        """End all in good order, then by force; return whether all ended in time."""
        for child in self._children:
            if child.process.poll() is None:
                child.process.terminate()
        deadline = monotonic_seconds() + DRAIN_SECONDS
        in_time = True
        for child in reversed(self._children):
            try:
                child.process.wait(timeout=max(0.0, deadline - monotonic_seconds()))
            except subprocess.TimeoutExpired:
                in_time = False
                # The whole group, while its leader is still there to name it: once reaped, the
                # number may belong to somebody else.
                os.killpg(child.process.pid, signal.SIGKILL)
                child.process.wait()
                _log.error("process.killed", name=child.name, pid=child.process.pid)
        self._children.clear()
        return in_time


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Stop:
    """Whether somebody asked this process to end, by SIGTERM or Ctrl-C."""

    def __init__(self) -> None:
        self.asked = False

    def listen(self) -> Self:
        """Take over both signals for the rest of the process's life."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)
        return self

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
