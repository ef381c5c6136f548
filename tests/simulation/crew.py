"""Processes that take turns: one runs at a time, up to a boundary, in an order chosen outside.

It may not know what a process does or when one is to crash; it hands over the baton and takes it
back.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

HANG_SECONDS: Final = 60.0
"""Real time after which a turn that never ends is a defect of the simulation itself."""


class Crash(BaseException):
    """The process is gone, with everything in its memory. Not an `Exception`: nobody handles it."""


class Fate(StrEnum):
    """What the next unit of work of a process meets, besides whatever it meets in the world."""

    NOTHING = "nothing"
    CRASH_NOW = "crash_now"
    CRASH_IN_UNIT = "crash_in_unit"
    """The process dies when everything is written and nothing committed."""
    UNIT_FAILS = "unit_fails"
    """The database goes away before the commit."""
    ANSWER_LOST = "answer_lost"
    """The commit happens, and the database goes away before it can say so."""


@dataclass(eq=False, slots=True)
class Turn:
    """One piece of work of one process, carried on boundary by boundary in a thread of its own.

    `place` tells where it waits, in words for the trace.
    """

    process: str
    name: str
    work: Callable[[], str]
    place: str = "begin"
    ended: bool = False
    result: str = ""
    error: BaseException | None = None
    fate: Fate = Fate.NOTHING
    _left: int = 0
    _go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _back: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _thread: threading.Thread | None = None

    def carry_on(self, boundaries: int, fate: Fate = Fate.NOTHING) -> None:
        """Run past this many boundaries, or to the end; the caller waits meanwhile."""
        assert not self.ended, "what has ended can't go on"
        self._left, self.fate = boundaries, fate
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self.process, daemon=True)
            self._thread.start()
        else:
            self._go.release()
        if not self._back.acquire(timeout=HANG_SECONDS):
            raise AssertionError(f"{self.process} {self.name} hangs at {self.place}")

    def crash(self) -> None:
        """Let it die where it is."""
        if self._thread is None:
            self.ended = True
        elif not self.ended:
            self.carry_on(0, Fate.CRASH_NOW)

    def reach(self, place: str) -> None:
        """A boundary, reached in the turn's own thread: wait there unless it may go on."""
        self.place = place
        if self._left > 0:
            self._left -= 1
        else:
            self._back.release()
            self._go.acquire()
        if self.fate is Fate.CRASH_NOW:
            raise Crash

    def meet(self, fate: Fate) -> bool:
        """Whether this fate is in store; it strikes once."""
        if self.fate is not fate:
            return False
        self.fate = Fate.NOTHING
        return True

    def _run(self) -> None:
        _mine.turn = self
        try:
            self.result = self.work()
        except Crash:
            self.result = "crashed"
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits for the baton
            self.error = error
        self.ended = True
        self._back.release()


class _Mine(threading.local):
    turn: Turn | None = None


_mine = _Mine()


def current() -> Turn | None:
    """The turn whose thread this is; `None` outside all of them, where nothing is interrupted."""
    return _mine.turn
