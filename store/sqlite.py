"""What SQLite needs to keep money: durable commits, foreign keys, and a fair turn to write.

It may not know tables or be reached from outside `store.database`; PostgreSQL has no use for it.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class WriterLock:
    """Lets one transaction write at a time, across the processes of one host.

    SQLite's own waiting is polling: with two processes writing, one of them starves for half a
    second at a time. Waiting in the kernel for a lock on a file hands the turn over at once. The
    lock only orders the writers; correctness stays with `BEGIN IMMEDIATE`.
    """

    def __init__(self, path: Path, *, timeout_seconds: float) -> None:
        self._path = path
        self._timeout_seconds = timeout_seconds
        self._turn = threading.Lock()
        self._holder: int | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock for the block; a thread that holds it already goes straight in.

        Raise `TimeoutError` when other threads of this process keep it for too long.
        """
        me = threading.get_ident()
        if self._holder == me:
            yield
            return
        if not self._turn.acquire(timeout=self._timeout_seconds):
            raise TimeoutError(
                f"waited {self._timeout_seconds} s for the turn to write; another transaction hangs"
            )
        try:
            # Opened anew each time: a descriptor inherited by a fork would share its parent's lock.
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                # Waits without a limit, but only one thread of each process waits here, and only
                # while a living process holds the lock: the kernel releases a dead one's.
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                self._holder = me
                try:
                    yield
                finally:
                    self._holder = None
            finally:
                os.close(descriptor)
        finally:
            self._turn.release()


def prepare_sqlite_connection(connection: sqlite3.Connection, lock: WriterLock) -> None:
    """Set what holds for a connection's whole life."""
    # The driver begins transactions on its own, deferred; ours begin by an explicit statement.
    connection.isolation_level = None
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        # Two processes that switch at the same moment fail without waiting.
        with lock.held():
            connection.execute("PRAGMA journal_mode=WAL")
    # FULL: a commit survives a power cut; NORMAL may lose the last ones, and with them events that
    # Stripe was told we have.
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    # Without it REPLACE deletes rows behind the back of the triggers that refuse deletion.
    connection.execute("PRAGMA recursive_triggers=ON")
