"""The project's database and the SDK's transport with a boundary before each thing they do.

A process stands still there, dies there, or learns that the database went away. It may not change
what is read, written, sent or answered.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy import Engine, event

from sandbox.inprocess import InProcessClient, InProcessSandbox
from store.database import Database, DatabaseUnavailableError, Unit
from tests.simulation.crew import Crash, Fate, current

_WRITE: Final = re.compile(r"\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+\"?(\w+)")


class SteppedDatabase(Database):
    """The database as a process sees it that may be interrupted before each of its units.

    `on_commit` is told which tables a committed unit wrote to. A boundary lies before every reading
    and every unit of work: what comes before one ends where the next begins.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.on_commit: Callable[[Set[str]], None] | None = None
        self._wrote: set[str] = set()
        quicken(self._engine)
        event.listen(self._engine, "before_cursor_execute", self._note_write)

    @contextmanager
    def unit_of_work(self) -> Iterator[Unit]:
        """A unit that may fail, or be the last thing its process does."""
        turn = current()
        if turn is not None:
            turn.reach("unit")
        self._wrote = set()
        with super().unit_of_work() as unit:
            yield unit
            if turn is not None and turn.meet(Fate.CRASH_IN_UNIT):
                raise Crash
            if turn is not None and turn.meet(Fate.UNIT_FAILS):
                raise DatabaseUnavailableError("the simulated database went away")
        if self._wrote and self.on_commit is not None:
            self.on_commit(self._wrote)
        if turn is not None and turn.meet(Fate.ANSWER_LOST):
            raise DatabaseUnavailableError("the simulated database went away while it committed")

    @contextmanager
    def reading(self) -> Iterator[Unit]:
        """A reading that others may come before."""
        turn = current()
        if turn is not None:
            turn.reach("reading")
        with super().reading() as unit:
            yield unit

    def _note_write(self, _c: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        written = _WRITE.match(statement)
        if written is not None:
            self._wrote.add(written[1])


def quicken(engine: Engine) -> None:
    """Let SQLite not wait for the disk: here processes die, machines don't."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")


class SteppedClient(InProcessClient):
    """The SDK's transport with a boundary before each request; `on_answer` is told after it."""

    def __init__(self, sandbox: InProcessSandbox, on_answer: Callable[[str], None]) -> None:
        super().__init__(sandbox)
        self._on_answer = on_answer

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        """One exchange, before which others may come."""
        what = f"{method.upper()} {urlsplit(url).path}"
        turn = current()
        if turn is not None:
            turn.reach(what)
        status: int | None = None
        try:
            body, status, answered = super().request(method, url, headers, post_data)
        finally:
            self._on_answer(f"{what} -> {status or 'no answer'}")
        return body, status, answered
