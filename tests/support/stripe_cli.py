"""The official Stripe CLI for tests: the real binary, pointed at a server of ours.

It may not know what the CLI is asked to do.
"""

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.repository import ROOT

BINARY: Final = ROOT / ".tools" / "stripe"
KEY: Final = "sk_test_sandbox_cli_key"


class StripeCliMissingError(Exception):
    """The CLI isn't there and can't be installed; the message says why."""


def install() -> None:
    """Make sure that the CLI is there; raises StripeCliMissingError."""
    with (ROOT / "Makefile").open() as lock:
        # Several test processes may want it at once; npm can't install twice at the same time.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.access(BINARY, os.X_OK):
            return
        done = subprocess.run(
            ["make", "--silent", "stripe-cli"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
        )
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise StripeCliMissingError(f"no Stripe CLI: {said[-1] if said else 'make failed'}")


@dataclass(frozen=True)
class StripeCli:
    """The CLI with a home of its own, talking to the API at `base`."""

    base: str
    home: Path

    def run(self, *arguments: str) -> str:
        """What a command prints. The CLI exits 0 on an API's refusal, too: look at the text."""
        done = subprocess.run(
            [BINARY, *arguments, "--api-base", self.base],
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def listening(self, *arguments: str) -> Iterator[Path]:
        """`stripe listen` in the background; answers the file it writes to, once it is ready."""
        log = self.home / "listen.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [BINARY, "listen", "--skip-update", *arguments, "--api-base", self.base],
                env=self._environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield log
        finally:
            process.terminate()
            process.wait(timeout=20)

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "STRIPE_API_KEY": KEY,
            "STRIPE_CLI_TELEMETRY_OPTOUT": "1",
        }
