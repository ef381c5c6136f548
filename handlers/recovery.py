"""Takes back what accounts owe after uncovered releases, as their balances allow: prepare, call,
settle.

It may not take money that a request waits for, nor more than is left of the original transfer.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from gateway.port import ReadError, UnavailableError
from handlers import circuit
from handlers.debts import end_what_is_paid
from handlers.policies import policy_of
from handlers.recovery_outcome import carry_out_recovery
from handlers.services import Services
from handlers.split import read_whole
from refunds.facts import AccountStanding, BalanceFacts, ChargeFacts, TransferFacts
from refunds.ids import AccountId, RecoveryId, RequestId, lane_of, mint
from refunds.money import Currency
from refunds.policy import Policy, RecoveryStep
from refunds.recovery import Collectable, plan_recovery, recovery_call
from store.account_figures import latest_of_waiting
from store.attempts import (
    ATTEMPT_LEASE,
    ReservationMark,
    get_attempt,
    lock_purses,
    mark_reservations,
    reserved_since,
)
from store.charges import lock_charge, save_charge
from store.database import Unit
from store.debts import exposed_by_attempt
from store.legs import attempt_legs, transfers_of
from store.observations import standing_of
from store.queued import queued_by_others
from store.recovery import (
    Owed,
    accounts_that_owe,
    add_recovery,
    exposed_minor,
    owed_by,
    refused_since,
    under_way,
)
from store.recovery_switch import lock_pause, pause_of
from store.tables.recovery import RecoveryAttempt
from store.tables.requests import Mode

_log = structlog.get_logger(__name__)

COLLECT: Final = "collect"
"""The chore that takes it back, by name."""
_PAGE: Final = 100
RELEASES: Final = 100
"""Uncovered releases of one account that one round looks at."""
AFTER_REFUSAL: Final = timedelta(hours=6)
"""Stripe said no to a reversal: its reason won't be gone in five minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Account:
    """An account that owes, as a round found it."""

    id: AccountId
    policy: Policy
    mark: ReservationMark
    kept: dict[Currency, int]
    """For requests that wait, other hands' refunds, and the minimum balance."""
    balance: BalanceFacts

    def spare_minor(self, currency: Currency, reserved_minor: int) -> int:
        """Return what nothing else is kept for."""
        return self.balance.available_in(currency) - reserved_minor - self.kept.get(currency, 0)


def collect(services: Services, keep: Callable[[], None]) -> str:
    """Take back what can be from every account that owes; return what was done in words."""
    if services.mode is not Mode.LIVE:
        return "nothing: money is never moved in shadow mode"
    after: AccountId | None = None
    count = 0
    while True:
        with services.database.reading() as unit:
            page = accounts_that_owe(unit, after, _PAGE)
        for account in page:
            if services.stopping() or circuit.closed_until(services, None) is not None:
                return f"{count} reversals, and more to do"
            count += _collect_from(services, account)
            keep()
        if len(page) < _PAGE:
            return f"{count} {'reversal' if count == 1 else 'reversals'}"
        after = page[-1]


def _collect_from(services: Services, account: AccountId) -> int:
    found = _look_at(services, account)
    if found is None:
        return 0
    with services.database.reading() as unit:
        owed = owed_by(unit, account, RELEASES)
    made = 0
    for each in owed:
        currency = each.exposed.currency
        with services.database.reading() as unit:
            known = exposed_by_attempt(unit, each.charge, account, currency).keys()
            transfers = transfers_of(unit, each.charge)
        try:
            charge = read_whole(services, each.charge, None, transfers)
        except ReadError as error:
            _log.warning("recovery.unreadable", charge=each.charge, reason=str(error))
            continue
        now = services.clock()
        with services.database.unit_of_work() as unit:
            clear = end_what_is_paid(unit, account, currency, charge, known, now)
        recovery = _prepare(services, found, each, charge) if clear else None
        if recovery is not None:
            carry_out_recovery(services, recovery, fence=0)
            made += 1
    return made


def _look_at(services: Services, account: AccountId) -> _Account | None:
    """Return the account with what must stay there; `None` where nothing may or can be taken.

    What is reserved is noted before the balance is read, as in a release run.
    """
    with services.database.reading() as unit:
        policy = policy_of(services, unit, account)
        if RecoveryStep.REVERSE_LATER not in policy.recovery:
            return None
        if pause_of(unit, account) is not None:
            return None
        if standing_of(unit, account) is AccountStanding.DEAUTHORIZED:
            return None
        mark = mark_reservations(unit, lane_of(account))
        kept = dict(queued_by_others(unit, account))
        for currency, minor in policy.minimum_balance.items():
            kept[currency] = kept.get(currency, 0) + minor
        for waiting in latest_of_waiting(unit, account):
            # Buyers come first: what a request waits for is not taken for the platform.
            if waiting.need_minor is not None and waiting.need_currency is not None:
                needs = Currency(waiting.need_currency)
                total_minor = waiting.need_minor + (waiting.fx_buffer_minor or 0)
                kept[needs] = kept.get(needs, 0) + total_minor
    try:
        balance = services.gateway.read_balance(account)
    except UnavailableError as error:
        circuit.note_trouble(services, error.account, error.trouble)
        return None
    except ReadError as error:
        _log.warning("recovery.unreadable", account=account, reason=str(error))
        return None
    return _Account(id=account, policy=policy, mark=mark, kept=kept, balance=balance)


def _prepare(
    services: Services, account: _Account, owed: Owed, charge: ChargeFacts
) -> RecoveryId | None:
    """Commit the intent to reverse what can be; `None` where that is nothing.

    Locks, in everybody's order: charge, then the purse, then the switches of recovery.
    """
    now = services.clock()
    currency = owed.exposed.currency
    with services.database.unit_of_work() as unit:
        save_charge(unit, charge)
        lock_charge(unit, charge.charge)
        transfer = _transfer_to(unit, account.id, owed, charge)
        if transfer is None:
            return None
        lock_purses(unit, [(lane_of(account.id), currency)])
        if lock_pause(unit, account.id, now) is not None or under_way(unit, owed.attempt):
            return None
        if refused_since(unit, owed.attempt, now - AFTER_REFUSAL):
            return None
        spare_minor = account.spare_minor(currency, reserved_since(unit, account.mark, currency))
        collectable = plan_recovery(
            transfer,
            exposed_minor(unit, owed.attempt, account.id, currency),
            spare_minor,
            account.policy.fx_buffer_percent,
        )
        if collectable is None:
            return None
        if collectable.takes.currency != currency:
            # How the transfer settled is not known now: what it would take can't be told.
            _log.warning("recovery.settlement_unknown", attempt=owed.attempt, account=account.id)
            return None
        return _store(unit, owed, transfer, collectable, now)


def _transfer_to(
    unit: Unit, account: AccountId, owed: Owed, charge: ChargeFacts
) -> TransferFacts | None:
    """Return the transfer that gave the account its part, with what was reversed of it by now; of
    several the one of which most is left.
    """
    if charge.transfer is not None:
        return charge.transfer if charge.transfer.account == account else None
    read = {transfer.transfer: transfer for transfer in charge.transfers}
    theirs = [
        replace(transfer, reversed_minor=read[transfer.transfer].reversed_minor)
        for _, transfer in attempt_legs(unit, owed.attempt)
        if transfer.account == account and transfer.transfer in read
    ]
    return max(theirs, key=lambda t: t.amount.amount_minor - t.reversed_minor, default=None)


def _store(
    unit: Unit, owed: Owed, transfer: TransferFacts, collectable: Collectable, now: datetime
) -> RecoveryId:
    release = get_attempt(unit, owed.attempt)
    assert release is not None, "exposure comes from an attempt"
    recovery = RecoveryId(mint("rv", now))
    request = RequestId(release.request_id)
    call = recovery_call(recovery, request, transfer, collectable.reversal_minor)
    add_recovery(
        unit,
        RecoveryAttempt(
            id=recovery,
            attempt_id=owed.attempt,
            request_id=request,
            charge_id=owed.charge,
            account=transfer.account,
            transfer=transfer.transfer,
            reversal_minor=collectable.reversal_minor,
            takes_minor=collectable.takes.amount_minor,
            currency=collectable.takes.currency,
            idempotency_key=call.idempotency_key,
            params=dict(call.params),
            prepared_at=now,
            next_try_at=now + ATTEMPT_LEASE,
        ),
    )
    _log.info(
        "recovery.prepared", recovery=recovery, attempt=owed.attempt, account=transfer.account
    )
    return recovery
