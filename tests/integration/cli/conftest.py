"""Fixtures of the terminal's tests: a terminal before a stage, and a process left as it was."""

import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stage import Stage, staged
from tests.support.terminal import KEY, SECRET, Terminal


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Commands configure logs and signals for a process of their own; undo that here."""
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in signals.items():
        signal.signal(number, handler)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    """A sandbox and our services; on SQLite and on PostgreSQL."""
    with staged(database_url) as stage:
        yield stage


@pytest.fixture
def terminal(stage: Stage, database_url: str, tmp_path: Path) -> Terminal:
    """A terminal whose settings name the stage's database and sandbox."""
    return terminal_on(stage, database_url, tmp_path)


@pytest.fixture
def sqlite_terminal(sqlite_url: str, tmp_path: Path) -> Iterator[Terminal]:
    """The same on SQLite alone, for what doesn't depend on the database."""
    with staged(sqlite_url) as stage:
        yield terminal_on(stage, sqlite_url, tmp_path)


def terminal_on(stage: Stage, database_url: str, folder: Path) -> Terminal:
    return Terminal(
        stage=stage,
        folder=folder,
        settings={
            "DATABASE_URL": database_url,
            "STRIPE_API_KEY": KEY,
            "STRIPE_API_BASE": stage.sandbox.base_url,
            "STRIPE_WEBHOOK_SECRETS": SECRET,
        },
    )
