"""What a person may do about notifications: bring one back, enable a receiver. Each is recorded.

It may not send anything; a worker does.
"""

import structlog

from handlers.services import Services
from refunds.errors import WrongStateError
from store.installation import record_action
from store.receivers import enable
from store.told import get_dispatch, requeue_dispatch

_log = structlog.get_logger(__name__)


def requeue_notification(services: Services, dispatch: int, *, note: str, actor: str) -> None:
    """Make a dead or dropped dispatch due again.

    Raise `DispatchNotFoundError`, or `WrongStateError` for one that is pending or done.
    """
    now = services.clock()
    with services.database.unit_of_work() as unit:
        before = get_dispatch(unit, dispatch)
        requeue_dispatch(unit, dispatch, now)
        record_action(
            unit,
            at=now,
            actor=actor,
            action="requeue",
            subject=before.notification,
            note=note,
            before={"receiver": before.receiver, "state": before.state},
            after={"receiver": before.receiver, "state": "pending"},
        )
    _log.info("notification.requeued", id=before.notification, dispatch=dispatch, actor=actor)


def enable_receiver(services: Services, receiver: str, *, note: str, actor: str) -> None:
    """Let a receiver take part again. Raise `WrongStateError` where it does."""
    now = services.clock()
    with services.database.unit_of_work() as unit:
        if not enable(unit, receiver):
            raise WrongStateError(
                receiver, "enable", "taking part", "one that is disabled or rests"
            )
        record_action(
            unit,
            at=now,
            actor=actor,
            action="enable",
            subject=receiver,
            note=note,
            before={"enabled": False},
            after={"enabled": True},
        )
    _log.info("notification.receiver_enabled", receiver=receiver, actor=actor)
