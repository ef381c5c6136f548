"""Answers kept under a caller's key: claimed before the work, filled in with it, given again later.

It may not know what was asked or answered.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from store.database import Unit
from store.tables.answers import KeptAnswer
from store.upsert import insert_or_ignore


def claim_key(unit: Unit, actor: str, key: str, digest: str, now: datetime) -> KeptAnswer | None:
    """Take a key for the work of this unit; return what is kept where it was taken before.

    Whoever comes with the same key meanwhile waits for this unit's end.
    """
    if insert_or_ignore(
        unit,
        KeptAnswer,
        actor=actor,
        idempotency_key=key,
        digest=digest,
        answer={},
        created=now,
    ):
        return None
    return _kept(unit, actor, key)


def keep_answer(unit: Unit, actor: str, key: str, answer: Mapping[str, Any]) -> None:
    """Store what the work of this unit led to, under the key it took."""
    row = _kept(unit, actor, key)
    row.answer = dict(answer)
    unit.add(row)


def _kept(unit: Unit, actor: str, key: str) -> KeptAnswer:
    row = unit.get(KeptAnswer, (actor, key), populate_existing=True)
    assert row is not None, "it was just there"
    return row
