"""Says when what is held will be covered, from the money that is pending in the account today.

It may not decide by it: an estimate explains a decision and never makes one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

import structlog

from gateway.port import ReadError
from handlers.services import Services
from refunds.decision import Evaluation, Outcome
from refunds.eta import Arrival, estimate
from refunds.ids import AccountId, RequestId
from refunds.pool import Candidate
from store.observations import load_account, save_account

_log = structlog.get_logger(__name__)

LOOK_BACK: Final = timedelta(days=35)
"""Pending money is younger: Stripe settles within 31 days at the latest."""

Verdict = tuple[Candidate, Evaluation]


def with_eta(
    services: Services,
    account: AccountId | None,
    verdicts: Sequence[Verdict],
    *,
    known: Mapping[RequestId, Evaluation | None],
    ahead_of_all: Sequence[Candidate] = (),
) -> list[Verdict]:
    """Return the verdicts, in turn, with an estimate beside each that waits for the account.

    `known` holds the verdicts stored last: where nothing but the estimate could differ, and its
    time has not gone by, it stands, so that a sweep over unchanged figures asks Stripe nothing.
    """
    short = [candidate.request for candidate, evaluation in verdicts if _is_short(evaluation)]
    if account is None or not short:
        return list(verdicts)
    kept = [_kept(services, pair, known.get(pair[0].request)) for pair in verdicts]
    if all(evaluation.eta is not None for _, evaluation in kept if _is_short(evaluation)):
        return kept
    try:
        since = services.clock() - LOOK_BACK
        arrivals = services.gateway.list_arrivals(account, since=since)
        interval = _payout_interval(services, account)
    except ReadError as error:
        _log.info("eta.unreadable", account=account, reason=str(error))
        return list(verdicts)
    return _estimated(verdicts, arrivals, interval, ahead_of_all)


def _estimated(
    verdicts: Sequence[Verdict],
    arrivals: Sequence[Arrival],
    interval: str | None,
    ahead_of_all: Sequence[Candidate],
) -> list[Verdict]:
    estimated = []
    ahead = [*ahead_of_all]
    for candidate, evaluation in verdicts:
        need = candidate.need
        if need is None or not _is_short(evaluation) or evaluation.shortfall_minor is None:
            estimated.append((candidate, evaluation))
            continue
        first_minor = sum(
            other.from_available_minor
            for other in ahead
            if other.need is not None and other.need.currency == need.currency
        )
        eta = estimate(
            shortfall_minor=evaluation.shortfall_minor,
            currency=need.currency,
            ahead_minor=first_minor,
            arrivals=arrivals,
            payout_interval=interval,
            guarded=False,
        )
        estimated.append((candidate, replace(evaluation, eta=eta)))
        ahead.append(candidate)
    return estimated


def _kept(services: Services, pair: Verdict, stored: Evaluation | None) -> Verdict:
    candidate, evaluation = pair
    if stored is None or stored.eta is None or stored.eta.at <= services.clock():
        return pair
    return (candidate, stored) if replace(stored, eta=None) == evaluation else pair


def _payout_interval(services: Services, account: AccountId) -> str | None:
    with services.database.reading() as unit:
        row = load_account(unit, account)
    if row is not None:
        return row.payout_interval
    facts = services.gateway.read_account(account)
    with services.database.unit_of_work() as unit:
        save_account(unit, facts)
    return facts.payout_interval


def _is_short(evaluation: Evaluation) -> bool:
    return evaluation.decision.outcome is Outcome.HOLD and bool(evaluation.shortfall_minor)
