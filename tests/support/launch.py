"""Starts `sluice …` and gunicorn as processes that begin where their imports would have ended.

Each has its own pid, session, environment and output, and ends as any other. It may not be used
where a test is about the start itself: that takes `subprocess` and the console script.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any, Final, Protocol

from tests.support.fork_server import MESSAGE_BYTES
from tests.support.repository import ROOT

_ANSWER_SECONDS: Final = 60


class Process(Protocol):
    """The part of `subprocess.Popen` that tests need; `subprocess`' own will do as well."""

    @property
    def pid(self) -> int:
        """Its number, and that of its group."""

    def poll(self) -> int | None:
        """Return its exit code, negative for a signal; `None` while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raise `subprocess.TimeoutExpired`."""

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless it has ended."""

    def terminate(self) -> None:
        """Ask it to end."""


class Forked:
    """A process that the fork server started."""

    def __init__(self, server: socket.socket, words: Sequence[str]) -> None:
        self._server = server
        self._words = tuple(words)
        self._code: int | None = None
        self._lock = threading.Lock()
        if not select.select([server], [], [], _ANSWER_SECONDS)[0]:
            raise TimeoutError("the fork server does not answer")
        self._pid = self._told()

    @property
    def pid(self) -> int:
        """Its number, and that of its group."""
        return self._pid

    def poll(self) -> int | None:
        """Return its exit code, negative for a signal; `None` while it runs."""
        return self._code_within(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raise `subprocess.TimeoutExpired`."""
        code = self._code_within(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self._words, timeout or 0)
        return code

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self._pid, sig)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def _code_within(self, seconds: float | None) -> int | None:
        with self._lock:
            if self._code is None and select.select([self._server], [], [], seconds)[0]:
                self._code = self._told()
                # Only now may its number become somebody else's.
                self._server.close()
            return self._code

    def _told(self) -> int:
        answer = self._server.recv(MESSAGE_BYTES)
        assert answer, "the fork server ended; what it said last is on stderr"
        return int(answer)


class _Client:
    """The fork server of this test process, and the line to it."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        with theirs:
            # It ends by itself when our side of the line closes, as it does when we are killed.
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.support.fork_server", str(theirs.fileno())],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # Ctrl-C is for the tests, which end what they started in their own order.
                start_new_session=True,
            )

    def launch(self, order: Mapping[str, Any], stdout: IO[Any], stderr: IO[Any]) -> Forked:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, self._lock:
            descriptors = [theirs.fileno(), stdout.fileno(), stderr.fileno()]
            socket.send_fds(self._control, [json.dumps(order).encode()], descriptors)
        return Forked(ours, [order["entry"], *order["arguments"]])


# Started when a test first asks for a process.
_client = cache(_Client)


def launch(
    entry: str,
    *arguments: str,
    folder: Path,
    environment: Mapping[str, str],
    stdout: IO[Any],
    stderr: IO[Any],
) -> Process:
    """Start `sluice` or `gunicorn` with these arguments, the leader of a session of its own."""
    if hasattr(os, "pidfd_open"):
        order = {
            "entry": entry,
            "arguments": arguments,
            "folder": str(folder),
            "environment": dict(environment),
        }
        return _client().launch(order, stdout, stderr)
    # Where one can't watch a process that is not one's child, as on macOS: the slow way.
    return subprocess.Popen(
        [str(Path(sys.executable).with_name(entry)), *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )
