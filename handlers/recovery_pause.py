"""Lets a person stop taking back what accounts owe, and go on with it.

It may not undo a reversal, nor leave one that was begun without an outcome.
"""

from typing import Final

import structlog

from handlers.services import Services
from refunds.errors import AccountNotFoundError
from refunds.ids import AccountId
from store.account_figures import knows_account
from store.installation import record_action
from store.recovery_switch import ALL_ACCOUNTS, lock_switch

_log = structlog.get_logger(__name__)

SUBJECT_OF_ALL: Final = "recovery"
"""What an action on all accounts is about, where others name theirs."""


def pause_recovery(services: Services, account: AccountId | None, *, note: str, actor: str) -> None:
    """Begin no reversal of one account's transfers, or of any account's (`None`), from now on.

    One that was begun before is still followed until its outcome is known: Stripe may have made it.
    Raise `AccountNotFoundError` for an account of which nothing is known.
    """
    _turn(services, account, paused=True, note=note, actor=actor)


def resume_recovery(
    services: Services, account: AccountId | None, *, note: str, actor: str
) -> None:
    """Take back from one account again, or from all (`None`) but those paused by themselves.

    Raise `AccountNotFoundError` for an account of which nothing is known.
    """
    _turn(services, account, paused=False, note=note, actor=actor)


def _turn(
    services: Services, account: AccountId | None, *, paused: bool, note: str, actor: str
) -> None:
    now = services.clock()
    action = "recovery.pause" if paused else "recovery.resume"
    with services.database.unit_of_work() as unit:
        if account is not None and not knows_account(unit, account):
            raise AccountNotFoundError(account)
        switch = lock_switch(unit, account or ALL_ACCOUNTS, now)
        before = {"paused": switch.paused}
        switch.paused = paused
        switch.changed_at = now
        switch.changed_by = actor
        switch.note = note
        unit.add(switch)
        record_action(
            unit,
            at=now,
            actor=actor,
            action=action,
            subject=account or SUBJECT_OF_ALL,
            note=note,
            before=before,
            after={"paused": paused},
        )
    _log.info(action, account=account, actor=actor)
