"""Who may import whom: the contracts hold, cover every room, and would notice a breach.

It may not test behaviour; a room's own tests do.
"""

import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.repository import ROOT, modules_of, rooms

# Where a library may be imported. Everywhere else a contract in pyproject.toml forbids it.
OWNERS: Final = {
    "alembic": {"store"},
    "apscheduler": set[str](),  # one module only: an exception inside the contract
    "blinker": set[str](),  # likewise
    "flask": {"webhooks", "api", "admin", "runtime", "sandbox"},
    "psycopg": {"store"},
    "sqlalchemy": {"store"},
    "sqlmodel": {"store"},
    "stripe": {"gateway", "sandbox"},  # and one module of webhooks
    "werkzeug": {"webhooks", "api", "admin", "runtime", "sandbox"},
}


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    """The import-linter section of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    section: dict[str, Any] = project["tool"]["importlinter"]
    return section


def lint_imports(folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_contracts_hold() -> None:
    code, output = lint_imports(ROOT)
    assert code == 0, output


def test_every_room_is_under_the_contracts(settings: dict[str, Any]) -> None:
    assert sorted(settings["root_packages"]) == rooms()


@pytest.mark.parametrize("library", sorted(OWNERS))
def test_a_library_is_forbidden_to_every_room_but_its_owners(
    library: str, settings: dict[str, Any]
) -> None:
    forbidden = {
        room
        for contract in settings["contracts"]
        if library in contract.get("forbidden_modules", [])
        for room in contract["source_modules"]
    }
    assert set(rooms()) - OWNERS[library] <= forbidden


# One breach for each contract: the importing module, and what it imports.
BREACHES: Final = {
    "layers": ("refunds/breach.py", "store"),
    "api-asks-handlers": ("api/breach.py", "store"),
    "webhooks-record-only": ("webhooks/breach.py", "handlers"),
    "stripe-sdk": ("handlers/breach_stripe.py", "stripe"),
    "sql": ("handlers/breach_sql.py", "sqlmodel"),
    "flask": ("handlers/breach_flask.py", "flask"),
    "apscheduler": ("runtime/breach.py", "apscheduler"),
    "blinker": ("runtime/breach_blinker.py", "blinker"),
    "telling": ("runtime/breach_telling.py", "jinja2"),
    "sandbox-stands-alone": ("sandbox/breach.py", "refunds"),
    "sandbox-is-for-development": ("handlers/breach_sandbox.py", "sandbox"),
}


def test_every_contract_notices_a_breach(tmp_path: Path, settings: dict[str, Any]) -> None:
    contracts = {contract["id"]: contract["name"] for contract in settings["contracts"]}
    assert contracts.keys() <= BREACHES.keys(), "a new contract needs a breach it notices"
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for room in rooms():
        shutil.copytree(ROOT / room, tmp_path / room)
    for contract in contracts:
        module, imported = BREACHES[contract]
        (tmp_path / module).write_text(f"import {imported}\n")
    code, output = lint_imports(tmp_path)
    assert code == 1, output
    for name in contracts.values():
        assert f"{name} BROKEN" in output


def foreign_imports(source: str) -> set[str]:
    """Top-level names a module imports that are neither ``refunds`` nor the standard library."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or ".")
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"refunds"}


@pytest.mark.parametrize("module", modules_of("refunds"), ids=str)
def test_the_core_needs_only_the_standard_library(module: Path) -> None:
    assert foreign_imports((ROOT / module).read_text()) == set()


def test_a_foreign_import_in_the_core_would_be_seen() -> None:
    source = "import json, stripe.util, refunds.need\ndef f():\n    from store.ledger import entry"
    assert foreign_imports(source) == {"stripe", "store"}


# The core is pure: no input, no output, no threads, no randomness that a test could not repeat.
IMPURE: Final = {
    "asyncio", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random", "shutil",
    "signal", "socket", "sqlite3", "subprocess", "tempfile", "threading", "urllib",
}  # fmt: skip
IMPURE_ON_PURPOSE: Final[dict[str, set[str]]] = {}


@pytest.mark.parametrize("module", modules_of("refunds"), ids=str)
def test_the_core_does_no_input_or_output(module: Path) -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / module).read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.partition(".")[0])
    assert imported & IMPURE <= IMPURE_ON_PURPOSE.get(module.name, set())
