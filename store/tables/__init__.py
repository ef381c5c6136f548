"""The tables, one module per subject, and the list of those modules.

It may not query: a table module declares rows, constraints and indexes, and nothing reads or writes
through it but the functions of `store`.
"""

from types import ModuleType
from typing import Final

from store.tables import (
    answers,
    attempts,
    caps,
    guards,
    inbox,
    installation,
    lanes,
    ledger,
    legs,
    observations,
    operations,
    outbox,
    recovery,
    requests,
    rules,
)
from store.tables.base import ExtraDdl, metadata

TABLE_MODULES: Final[tuple[ModuleType, ...]] = (
    inbox,
    operations,
    installation,
    lanes,
    rules,
    requests,
    attempts,
    recovery,
    caps,
    legs,
    ledger,
    observations,
    outbox,
    answers,
    guards,
)
"""Every module that declares tables: one that is missing here is unknown to the migrations."""

__all__ = ["TABLE_MODULES", "extra_ddl", "metadata"]


def extra_ddl(dialect: str) -> tuple[str, ...]:
    """Return what the modules declare beyond their metadata, in the order to run it.

    A table module declares it as a function `extra_ddl(dialect) -> tuple[str, ...]`.
    """
    declared: list[ExtraDdl] = [
        module.extra_ddl for module in TABLE_MODULES if hasattr(module, "extra_ddl")
    ]
    return tuple(statement for declare in declared for statement in declare(dialect))
