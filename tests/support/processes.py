"""A platform made of real processes: gunicorn, workers, and a wire to the sandbox between them.

It may not do any of their work itself: it starts, kills and restarts them, and ends them all.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from tests.support.launch import Process, launch
from tests.support.repository import ROOT
from tests.support.stage import KEY, Stage, staged
from tests.support.stripe_events import OTHER_SECRET, SECRET
from tests.support.waiting import eventually
from tests.support.web import WebServer, free_port, running_web
from tests.support.wire import Wire, wired

STOP_TIMEOUT_SECONDS: Final = 20
_SHOWN_CHARACTERS: Final = 6_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerProcess:
    """A running `sluice worker`, the leader of a process group of its own."""

    process: Process
    log: Path

    def said(self, *words: str) -> bool:
        """Whether one line of its log holds all these words."""
        lines = self.log.read_text(errors="replace").splitlines()
        return any(all(word in line for word in words) for line in lines)

    def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=STOP_TIMEOUT_SECONDS)

    def terminate(self) -> None:
        """Ask it to drain; does not wait."""
        self.process.send_signal(signal.SIGTERM)

    def exit_code(self) -> int:
        """Wait for its end."""
        return self.process.wait(timeout=STOP_TIMEOUT_SECONDS)


@dataclass(kw_only=True)
class Platform:
    """One database, one sandbox, and the processes of Sluice that a test starts on them."""

    stage: Stage
    wire: Wire
    database_url: str
    folder: Path
    direct: bool = False
    """Workers talk to the sandbox without the wire: for measurements."""
    settings: dict[str, str] = field(default_factory=dict)
    """More of the workers' settings."""
    workers: list[WorkerProcess] = field(default_factory=list)
    _web_stack: ExitStack = field(default_factory=ExitStack)
    _port: int = field(default_factory=free_port)
    _listening: bool = False

    def start_worker(self, *, skew_seconds: float = 0) -> WorkerProcess:
        """Start a worker whose clock is wrong by `skew_seconds`; returns when it works."""
        worker = self.spawn_worker(skew_seconds=skew_seconds)
        self.await_worker(worker)
        return worker

    def spawn_worker(self, *, skew_seconds: float = 0) -> WorkerProcess:
        """Start a worker without waiting for it."""
        log = self.folder / f"worker-{len(self.workers) + 1}.log"
        with log.open("wb") as output:
            process = (
                self._skewed_worker(skew_seconds, output)
                if skew_seconds
                else launch(
                    *("sluice", "worker"),
                    folder=self.folder,
                    environment=self._environment(),
                    stdout=output,
                    stderr=output,
                )
            )
        worker = WorkerProcess(process=process, log=log)
        self.workers.append(worker)
        return worker

    def _skewed_worker(self, seconds: float, output: IO[bytes]) -> Process:
        # From the start: a clock can't be put wrong once modules have imported it by name.
        wrapper = str(ROOT / "tests" / "support" / "skewed_cli.py")
        return subprocess.Popen(
            [sys.executable, wrapper, str(seconds), "worker"],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def await_worker(self, worker: WorkerProcess) -> None:
        """Wait until a worker that was spawned works."""

        def works() -> bool:
            assert worker.process.poll() is None, f"a worker ended: {worker.log.read_text()}"
            return worker.said("worker.started")

        eventually(works, "a worker starts")

    def start_web(self, *, listening: bool = True) -> WebServer:
        """Start gunicorn, at the same address each time; the sandbox delivers to it if told to."""
        web = self._web_stack.enter_context(
            running_web(self.database_url, self.folder, workers=2, port=self._port)
        )
        if listening and not self._listening:
            for connect, secret in ((False, SECRET), (True, OTHER_SECRET)):
                endpoint = {"url": f"{web.url}/webhooks/stripe", "connect": connect}
                self.stage.sandbox.control("POST", "endpoints", {**endpoint, "secret": secret})
            self._listening = True
        return web

    def close(self) -> None:
        """End every process that was started here."""
        for worker in self.workers:
            worker.kill()
        with suppress(subprocess.TimeoutExpired):
            self._web_stack.close()

    def show_logs(self) -> None:
        """Print what the processes logged last; pytest shows it beside a test that failed."""
        for log in sorted(self.folder.glob("*.log")):
            tail = log.read_text(errors="replace")[-_SHOWN_CHARACTERS:]
            sys.stdout.write(f"--- {log.name} of {self.folder.name} ---\n{tail}\n")

    def _environment(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("STRIPE_")}
        return inherited | {
            "STRIPE_API_KEY": KEY,
            "STRIPE_API_BASE": self.stage.sandbox.base_url if self.direct else self.wire.url,
            "DATABASE_URL": self.database_url,
            # Stories are about crashes and outages; waiting for a turn has tests of its own.
            "SLUICE_STRIPE_RATE": "1000,1000",
            "PYTHONPATH": str(ROOT),
            **self.settings,
        }


@contextmanager
def running_platform(database_url: str, folder: Path) -> Iterator[Platform]:
    """A platform without any process yet; ends what the test starts, also when it fails."""
    folder.mkdir(parents=True, exist_ok=True)
    with staged(database_url) as stage, wired(stage.sandbox.port) as wire:
        platform = Platform(stage=stage, wire=wire, database_url=database_url, folder=folder)
        try:
            yield platform
        finally:
            platform.close()
