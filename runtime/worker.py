"""The worker process: finds out what is due, does it with a few threads, and drains when told to.

It may not know how any of the work is done, nor keep anything in memory that a crash would lose.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import structlog

from handlers.chores import run_due_chore
from handlers.guard import guard_due_account
from handlers.inbox import process_due_events
from handlers.notifications.channel import Channel
from handlers.notifications.dispatch import Dispatcher
from handlers.policy_change import heed_policy_change
from handlers.recovery_outcome import settle_due_recovery
from handlers.release import run_due_lane
from handlers.services import Services
from handlers.signals import told, work_due
from handlers.undecided import decide_due_request
from handlers.unsettled import recover_due_attempt
from refunds.clock import monotonic_seconds, utc_now
from runtime.health import WORKER_SILENT_AFTER
from runtime.schedule import build_scheduler
from store.database import DatabaseUnavailableError
from store.due import anything_due
from store.workers import beat, live_workers, retire

THREADS: Final = 4
TELLING_THREADS: Final = 2
"""Threads of their own: a receiver that hangs must not hold up a refund."""
TELLING_POLL_SECONDS: Final = 0.5
"""Between two looks for something to tell; what this process itself wrote is told at once."""
POLL_SECONDS: Final = 0.05
"""Between two looks for due work on an idle worker: one indexed query."""
BEAT_SECONDS: Final = 5.0
DRAIN_SECONDS: Final = 9.0
"""After SIGTERM; a call that takes longer is recovered by whoever takes its lease."""
_TROUBLE_SECONDS: Final = 1.0

_log = structlog.get_logger(__name__)

Step = Callable[[Services], bool]
STEPS: Final[tuple[Step, ...]] = (
    recover_due_attempt,
    settle_due_recovery,
    lambda services: process_due_events(services, stopping=services.stopping) > 0,
    run_due_lane,
    guard_due_account,
    decide_due_request,
    run_due_chore,
)
"""Each does one piece of due work and says whether there was any."""


class Worker:
    """One worker process. Any number of them share a database."""

    def __init__(self, services: Services, channels: Sequence[Channel] = ()) -> None:
        """Without channels what is told stays in the outbox, for another worker."""
        self._stop = threading.Event()
        self._due = threading.Event()
        self._told = threading.Event()
        self._next_beat = 0.0
        work_due.connect(self._wake)
        told.connect(self._wake_telling)
        self._services = replace(services, stopping=self._stop.is_set)
        self._dispatcher = Dispatcher(self._services, channels) if channels else None

    def stop(self) -> None:
        """Ask the worker to drain: no new work is taken.

        Call it from a thread, not from a signal handler: the main thread may be waiting on the same
        event, and would wait for itself.
        """
        self._stop.set()

    def run_once(self) -> int:
        """Work until nothing is due; return how many pieces were done."""
        heed_policy_change(self._services)
        done = 0
        while not self._stop.is_set() and (self._round() or self._tell()):
            done += 1
        return done

    def run(self) -> bool:
        """Work until stopped; return whether everything under way was finished in time."""
        scheduler = build_scheduler(self._services)
        threads = [
            threading.Thread(target=self._work, name=f"worker-{number}", daemon=True)
            for number in range(THREADS)
        ]
        if self._dispatcher is not None:
            threads += [
                threading.Thread(target=self._tell_on, name=f"telling-{number}", daemon=True)
                for number in range(TELLING_THREADS)
            ]
        _log.info("worker.started", worker=self._services.worker, threads=THREADS)
        # Before the first run: it must not judge by a deadline of the policy before.
        while not self._stop.is_set() and not self._guarded(self._heed_policy):
            self._keep_alive()
        scheduler.start()
        for thread in threads:
            thread.start()
        while not self._stop.is_set():
            self._keep_alive()
            if self._guarded(self._look):
                self._due.set()
            self._stop.wait(POLL_SECONDS)
        scheduler.shutdown(wait=False)
        drained = self._drain(threads)
        self._guarded(self._retire)
        _log.info("worker.stopped", worker=self._services.worker, drained=drained)
        return drained

    def _work(self) -> None:
        while not self._stop.is_set():
            if not self._guarded(self._round):
                self._due.clear()
                self._due.wait(POLL_SECONDS * 20)

    def _tell_on(self) -> None:
        while not self._stop.is_set():
            if not self._guarded(self._tell):
                self._told.clear()
                self._told.wait(TELLING_POLL_SECONDS)

    def _tell(self) -> bool:
        return self._dispatcher is not None and self._dispatcher.run_due()

    def _round(self) -> bool:
        busy = False
        for step in STEPS:
            if self._stop.is_set():
                return busy
            busy = step(self._services) or busy
        return busy

    def _heed_policy(self) -> bool:
        heed_policy_change(self._services, self._keep_alive)
        return True

    def _keep_alive(self) -> bool:
        """Give a sign of life when one is due; return whether work may go on."""
        if monotonic_seconds() >= self._next_beat and self._guarded(self._beat):
            self._next_beat = monotonic_seconds() + BEAT_SECONDS
        return not self._stop.is_set()

    def _look(self) -> bool:
        with self._services.database.reading() as unit:
            return anything_due(unit, self._services.clock(), self._services.mode)

    def _beat(self) -> bool:
        with self._services.database.unit_of_work() as unit:
            beat(unit, self._services.worker, utc_now())
            alive = live_workers(unit, utc_now(), within=WORKER_SILENT_AFTER)
        self._services.gateway.share_rate(alive)
        return True

    def _retire(self) -> bool:
        with self._services.database.unit_of_work() as unit:
            retire(unit, self._services.worker)
        return True

    def _wake(self, _sender: object) -> None:
        """Work was committed in this process: an idle thread need not wait for the next look."""
        self._due.set()

    def _wake_telling(self, _sender: object, kinds: tuple[str, ...]) -> None:
        """Something was told in this process."""
        del kinds
        self._told.set()

    def _drain(self, threads: list[threading.Thread]) -> bool:
        self._due.set()
        self._told.set()
        deadline = monotonic_seconds() + DRAIN_SECONDS
        for thread in threads:
            thread.join(timeout=max(0.0, deadline - monotonic_seconds()))
        return not any(thread.is_alive() for thread in threads)

    def _guarded(self, work: Callable[[], bool]) -> bool:
        """Do a piece of work; whatever goes wrong is logged, and the worker lives on.

        What it had claimed comes back when its lease ends, so nothing is lost by going on.
        """
        try:
            return work()
        except DatabaseUnavailableError as error:
            _log.warning("worker.database_unavailable", reason=str(error))
        except Exception:  # noqa: BLE001 - a bug in one piece of work must not stop all refunds
            _log.exception("worker.step_failed")
        self._stop.wait(_TROUBLE_SECONDS)
        return False
