"""A process that has imported all of Sluice once, and forks for each command it is asked to start.

It spares a test the second that each start costs; `tests.support.launch` is its client. It may not
hold anything that a command could tell from a start of its own: no thread, connection or open file.
"""

import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import configure_mappers

from tests.support.repository import ROOT

MESSAGE_BYTES: Final = 1 << 18

ENTRIES: Final[Mapping[str, tuple[str, str]]] = {
    "sluice": ("runtime.cli", "main"),
    "gunicorn": ("gunicorn.app.wsgiapp", "run"),
}
"""What can be started: the module and the function that its console script calls."""

# Not `runtime.gunicorn_conf`: importing it reads the settings, and each process has its own.
_IMPORTED: Final = (
    *(f"runtime.commands.{file.stem}" for file in (ROOT / "runtime/commands").glob("[a-z]*.py")),
    *(module for module, _ in ENTRIES.values()),
    "gunicorn.arbiter",
    "psycopg",
    "runtime.gunicorn_worker",
    "runtime.web",
    "sandbox.server",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
    "store.migrate",
)

_AT_START: Final = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command with its arguments, its working directory and its environment."""

    entry: str
    arguments: Sequence[str]
    folder: str
    environment: Mapping[str, str]

    def run(self) -> object:
        """Be that command, in the process that was just forked."""
        # In place: libraries keep this very object as the default of a parameter.
        os.environ.clear()
        os.environ.update(self.environment)
        time.tzset()
        os.chdir(self.folder)
        for number, handler in _AT_START.items():
            signal.signal(number, handler)
        # Both tell click what the program is called.
        sys.argv = [self.entry, *self.arguments]
        sys.modules["__main__"].__package__ = None
        module, function = ENTRIES[self.entry]
        return getattr(importlib.import_module(module), function)()


@dataclass(slots=True, kw_only=True, eq=False)
class _Child:
    """A process that was forked, the socket to whoever asked for it, and its pidfd."""

    pid: int
    owner: socket.socket
    pidfd: int

    def forget(self) -> None:
        self.owner.close()
        os.close(self.pidfd)


class ForkServer:
    """Takes commands from `control` until the other side is closed."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ, self._take)
        self._children: list[_Child] = []
        self._open = True

    def serve(self) -> Command | None:
        """Return in each forked process what it is to run; in the server `None`, at its end."""
        while self._open:
            for key, _ in self._selector.select():
                act: Callable[[], Command | None] = key.data
                command = act()
                if command is not None:
                    return command
        # The test process is gone, perhaps by a kill: nothing that it started outlives it.
        for child in self._children:
            os.kill(child.pid, signal.SIGKILL)
        return None

    def _take(self) -> Command | None:
        message, descriptors, _, _ = socket.recv_fds(self._control, MESSAGE_BYTES, 3)
        if not message:
            self._open = False
            return None
        owner, *outputs = descriptors
        pid = os.fork()
        if pid == 0:
            self._forget_all()
            os.close(owner)
            os.setsid()
            for number, output in enumerate(outputs, start=1):
                os.dup2(output, number)
                os.close(output)
            order: dict[str, Any] = json.loads(message)
            return Command(**order)
        for output in outputs:
            os.close(output)
        child = _Child(pid=pid, owner=socket.socket(fileno=owner), pidfd=os.pidfd_open(pid))
        self._children.append(child)
        child.owner.send(str(pid).encode())
        self._selector.register(child.pidfd, selectors.EVENT_READ, lambda: self._ended(child))
        return None

    def _ended(self, child: _Child) -> None:
        """Tell how it ended. It stays a zombie until that was heard, its number its own."""
        self._selector.unregister(child.pidfd)
        found = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert found is not None, "its pidfd said that it ended"
        code = found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
        # When the owner closes it: at the latest when he forgets the process.
        self._selector.register(child.owner, selectors.EVENT_READ, lambda: self._heard(child))
        try:
            child.owner.send(str(code).encode())
        except OSError:
            self._heard(child)

    def _heard(self, child: _Child) -> None:
        self._selector.unregister(child.owner)
        os.waitpid(child.pid, 0)
        child.forget()
        self._children.remove(child)

    def _forget_all(self) -> None:
        """Close what is the server's own, in a process that was just forked."""
        self._selector.close()
        self._control.close()
        for child in self._children:
            child.forget()


def main() -> None:
    """Serve on the socket whose number is the only argument."""
    for name in _IMPORTED:
        importlib.import_module(name)
    configure_mappers()
    # Once, here, instead of soon in each process.
    gc.collect()
    command = ForkServer(socket.socket(fileno=int(sys.argv[1]))).serve()
    if command is not None:
        # Out here, so that the interpreter ends the process as it ends any other.
        sys.exit(command.run())  # type: ignore[arg-type]  # as a console script does


if __name__ == "__main__":
    main()
