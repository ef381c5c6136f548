"""How often each token may ask: a rate with a burst, counted once for all processes of this host.

It may not know requests or tokens, only slots; and it may not wait: who comes too soon is told so.
"""

import fcntl
import mmap
import os
import struct
import tempfile
import threading
import weakref
from collections.abc import Callable
from typing import Final

from refunds.clock import monotonic_seconds

PER_SECOND: Final = 100
"""Requests a second for each slot, in the long run."""
BURST: Final = 100
"""How many may come at once before the rate counts."""
SLOTS: Final = 256

_TIME: Final = struct.Struct("d")


class Meter:
    """Counts requests per slot. Processes that are forked after it was made count together.

    A slot is one number, the time at which all that came so far would have come at the even rate
    (the generic cell rate algorithm), in memory that the processes share. A lock on a file orders
    them: the kernel takes it back from a process that is killed, which a semaphore would not.
    """

    def __init__(
        self,
        *,
        slots: int = SLOTS,
        per_second: int = PER_SECOND,
        burst: int = BURST,
        clock: Callable[[], float] = monotonic_seconds,
    ) -> None:
        """`clock` counts seconds, the same for all processes of the host."""
        self._interval = 1 / per_second
        self._ahead_max = burst / per_second
        self._clock = clock
        with tempfile.TemporaryFile() as file:
            file.truncate(slots * _TIME.size)
            self._memory = mmap.mmap(file.fileno(), slots * _TIME.size)
            self._file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._file)
        # Record locks belong to a process: its own threads have to be ordered as well.
        self._turn = threading.Lock()

    def take(self, slot: int) -> float:
        """Count one request; return 0.0, or by how many seconds it came too soon, uncounted."""
        at = slot * _TIME.size
        with self._turn:
            fcntl.lockf(self._file, fcntl.LOCK_EX, _TIME.size, at)
            try:
                [due] = _TIME.unpack_from(self._memory, at)
                now = self._clock()
                due = max(due, now) + self._interval
                too_soon: float = due - now - self._ahead_max
                # Rounding must not refuse the last of a burst.
                if too_soon > self._interval / 1_000:
                    return too_soon
                _TIME.pack_into(self._memory, at, due)
                return 0.0
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, _TIME.size, at)
