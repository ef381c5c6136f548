"""Which policy was in force from when on.

It may not know what a policy says.
"""

from datetime import datetime

from sqlmodel import col, select

from store.database import Unit
from store.tables.rules import PolicyVersion


def policy_in_force(unit: Unit) -> str | None:
    """Return the digest of the policy taken into force last; `None`: none yet."""
    statement = select(PolicyVersion.digest).order_by(col(PolicyVersion.id).desc()).limit(1)
    return unit.exec(statement).one_or_none()


def adopt_policy(unit: Unit, digest: str, now: datetime) -> None:
    """Note that a policy is in force from now on, unless it is already."""
    if policy_in_force(unit) != digest:
        unit.add(PolicyVersion(digest=digest, adopted_at=now))
