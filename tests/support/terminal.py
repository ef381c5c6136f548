"""A terminal in front of a stage: `sluice …` with an operator's settings, in process or as one.

It may not look the other way: each answer is searched for secrets and tracebacks.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final

from click.testing import CliRunner

from runtime.cli import main
from runtime.settings import Settings
from tests.support.launch import launch
from tests.support.stage import Stage

KEY: Final = "sk_test_" + "terminal0123456789"
SECRET: Final = "whsec_" + "terminal0123456789"
PASSWORD: Final = "open-sesame"
PROCESS_SECONDS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Stdout as JSON: all of it, or this raises."""
        return json.loads(self.out)

    @property
    def words(self) -> str:
        """Everything a person saw, with folded lines joined."""
        return " ".join(f"{self.out} {self.err}".split())


@dataclass(slots=True, kw_only=True)
class Terminal:
    """A person's shell: settings, a working directory, and the stage behind it."""

    stage: Stage
    settings: dict[str, str | None]
    folder: Path

    def sluice(self, *arguments: str) -> Answer:
        """Run a command in this process."""
        # All settings: those that a test doesn't give must not come from the machine it runs on.
        nothing: dict[str, str | None] = {name.upper(): None for name in Settings.model_fields}
        done = CliRunner().invoke(main, arguments, env=nothing | self.settings)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return _checked(Answer(code=done.exit_code, out=done.stdout, err=done.stderr))

    def process(self, *arguments: str) -> Answer:
        """Run a command as a process of its own."""
        with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
            process = launch(
                *("sluice", *arguments),
                folder=self.folder,
                environment=self.environment(),
                stdout=out,
                stderr=err,
            )
            code = process.wait(timeout=PROCESS_SECONDS)
            out.seek(0)
            err.seek(0)
            return _checked(Answer(code=code, out=out.read(), err=err.read()))

    def environment(self) -> dict[str, str]:
        """The environment of a process that has these settings and no others."""
        return process_environment(self.settings)


def command_line(*arguments: str) -> list[str]:
    """`sluice …` as an argument list."""
    return [str(Path(sys.executable).with_name("sluice")), *arguments]


def process_environment(settings: Mapping[str, str | None]) -> dict[str, str]:
    """This process's environment with these settings and no others of ours."""
    ours = {name.upper() for name in Settings.model_fields}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return kept | {name: value for name, value in settings.items() if value is not None}


def _checked(answer: Answer) -> Answer:
    text = answer.out + answer.err
    for secret in (KEY, SECRET, PASSWORD):
        assert secret not in text, "a secret was shown"
    assert "Traceback" not in text, text
    return answer
