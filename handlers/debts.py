"""Ends what an account owes for a payment once its transfer was reversed for it by another hand.

It may not take anything back, or end more than Stripe's own figures show.
"""

from collections.abc import Set
from datetime import datetime

import structlog

from refunds.exposure import ExposureBucket
from refunds.facts import ChargeFacts
from refunds.ids import AccountId, AttemptId
from refunds.money import Currency, Money
from refunds.recovery import owed_for
from store.attempts import get_attempt, has_unsettled
from store.charges import lock_charge, save_charge
from store.database import Unit
from store.debts import exposed_by_attempt, idle_of, recovery_of_payment_under_way
from store.ledger import Because, move_exposure
from store.requests import lock_request

_log = structlog.get_logger(__name__)


def end_what_is_paid(
    unit: Unit,
    account: AccountId,
    currency: Currency,
    charge: ChargeFacts,
    known: Set[AttemptId],
    now: datetime,
) -> bool:
    """End what an account owes beyond its share of the payment's refunds; return whether what is
    left can be taken back now. It is once per payment, though several refunds may have left it.

    `known` is who had left something when Stripe was asked for `charge`: a refund that came later
    is not in its figures, nor is anything that is under way. Locks charge and requests.
    """
    if charge.transfer is None:
        return True
    save_charge(unit, charge)
    lock_charge(unit, charge.charge)
    exposed = exposed_by_attempt(unit, charge.charge, account, currency)
    if exposed.keys() - known or has_unsettled(unit, charge.charge):
        return False
    if recovery_of_payment_under_way(unit, charge.charge):
        return False
    owed = owed_for(charge, charge.transfer, idle_of(unit, charge.charge, charge.transfer.transfer))
    if owed.currency != currency:
        # It was stated in the transfer's currency before the account's was known.
        return True
    _end(unit, account, exposed, Money(sum(exposed.values()), currency) - owed, now)
    return True


def _end(
    unit: Unit, account: AccountId, exposed: dict[AttemptId, int], excess: Money, now: datetime
) -> None:
    left_minor = excess.amount_minor
    if left_minor <= 0:
        return
    attempts = {attempt: get_attempt(unit, attempt) for attempt in exposed}
    names = {each.request_id for each in attempts.values() if each is not None}
    requests = {name: lock_request(unit, name) for name in sorted(names)}
    for attempt, exposed_minor in exposed.items():
        ended = Money(min(left_minor, exposed_minor), excess.currency)
        release = attempts[attempt]
        assert release is not None, "exposure comes from an attempt"
        if ended.amount_minor <= 0:
            return
        left_minor -= ended.amount_minor
        move_exposure(
            unit,
            requests[release.request_id],
            ExposureBucket.EXPOSED,
            ExposureBucket.RECOVERED,
            ended,
            Because(
                at=now,
                cause="recovery",
                why=f"{ended} of what the account owed was taken back by another reversal.",
                attempt=attempt,
            ),
            account=account,
        )
        _log.info("recovery.paid_otherwise", attempt=attempt, amount_minor=ended.amount_minor)
