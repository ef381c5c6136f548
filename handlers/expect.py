"""Says when what is held will be covered, from the money that is pending in the account today.

It may not decide by it: an estimate explains a decision and never makes one.
"""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import structlog

from gateway.port import ReadError
from handlers.acquaintance import known_account
from handlers.guard_trust import is_guarded
from handlers.services import Services
from refunds.candidate import Candidate
from refunds.decision import Evaluation, Outcome, Shortfall
from refunds.eta import SWEPT_DAILY, Arrival, Confidence, Eta, estimate
from refunds.ids import AccountId, RequestId
from refunds.need import PurseKey
from store.observations import load_account

_log = structlog.get_logger(__name__)

LOOK_BACK: Final = timedelta(days=35)
"""Pending money is younger: Stripe settles within 31 days at the latest."""

Verdict = tuple[Candidate, Evaluation]


def with_eta(
    services: Services,
    readable: Set[AccountId],
    verdicts: Sequence[Verdict],
    *,
    known: Mapping[RequestId, Evaluation | None],
    ahead_of_all: Sequence[Candidate] = (),
) -> list[Verdict]:
    """Return the verdicts, in turn, with an estimate beside each that waits for an account.

    `known` holds the verdicts stored last: where nothing but the estimate could differ, and its
    time has not gone by, it stands, so that a sweep over unchanged figures asks Stripe nothing.
    """
    short = [evaluation for _, evaluation in verdicts if _is_short(evaluation)]
    if not short:
        return list(verdicts)
    kept = [_kept(services, pair, known.get(pair[0].request)) for pair in verdicts]
    if all(evaluation.eta is not None for _, evaluation in kept if _is_short(evaluation)):
        return kept
    wanted = {lack.account for evaluation in short for lack in evaluation.shortfalls}
    outlooks: dict[AccountId, _Outlook] = {}
    try:
        for account in sorted(wanted & readable):
            outlooks[account] = _look(services, account)
    except ReadError as error:
        _log.info("eta.unreadable", reason=str(error))
        return list(verdicts)
    return _estimated(verdicts, outlooks, ahead_of_all)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outlook:
    """What is known of the money that will become available in one account."""

    arrivals: Sequence[Arrival]
    payout_interval: str | None
    guarded: bool


def _look(services: Services, account: AccountId) -> _Outlook:
    since = services.clock() - LOOK_BACK
    with services.database.reading() as unit:
        guarded = is_guarded(services, unit, account)
    return _Outlook(
        arrivals=services.gateway.list_arrivals(account, since=since),
        payout_interval=known_account(services, account).payout_interval,
        guarded=guarded,
    )


def _estimated(
    verdicts: Sequence[Verdict],
    outlooks: Mapping[AccountId, _Outlook],
    ahead_of_all: Sequence[Candidate],
) -> list[Verdict]:
    estimated = []
    ahead: Counter[PurseKey] = Counter()
    for other in ahead_of_all:
        ahead.update(other.takes)
    for candidate, evaluation in verdicts:
        if not _is_short(evaluation):
            estimated.append((candidate, evaluation))
            continue
        eta = _last(
            [
                _expected(lack, outlooks.get(lack.account), ahead, candidate)
                for lack in evaluation.shortfalls
            ]
        )
        estimated.append((candidate, replace(evaluation, eta=eta)))
        ahead.update(candidate.takes)
    return estimated


def _expected(
    lack: Shortfall, outlook: _Outlook | None, ahead: Mapping[PurseKey, int], candidate: Candidate
) -> Eta | None:
    if outlook is None:
        return None
    currency = lack.missing.currency
    purse = (lack.account, currency)
    own_minor = sum(d.own_pending_minor for d in candidate.draws if d.purse == purse)
    return estimate(
        shortfall_minor=lack.missing.amount_minor,
        currency=currency,
        ahead_minor=ahead.get(purse, 0),
        counted_minor=own_minor,
        arrivals=outlook.arrivals,
        payout_interval=outlook.payout_interval,
        guarded=outlook.guarded,
    )


def _last(etas: Sequence[Eta | None]) -> Eta | None:
    """Return when the last account covers its share, as far as the least certain can be believed;
    `None` where one is never known to.
    """
    known = [eta for eta in etas if eta is not None]
    if len(known) < len(etas):
        return None
    least = max((eta.confidence for eta in known), key=list(Confidence).index)
    return Eta(at=max(eta.at for eta in known), confidence=least)


def _kept(services: Services, pair: Verdict, stored: Evaluation | None) -> Verdict:
    candidate, evaluation = pair
    if stored is None or stored.eta is None or stored.eta.at <= services.clock():
        return pair
    if replace(stored, eta=None) != evaluation:
        return pair
    swept = any(_is_swept(services, lack.account) for lack in evaluation.shortfalls)
    # A guard that came or went since makes the estimate another one, at the same figures.
    return pair if swept != (stored.eta.confidence is Confidence.UNLIKELY) else (candidate, stored)


def _is_swept(services: Services, account: AccountId) -> bool:
    with services.database.reading() as unit:
        row = load_account(unit, account)
        daily = row is not None and row.payout_interval == SWEPT_DAILY
        return daily and not is_guarded(services, unit, account)


def _is_short(evaluation: Evaluation) -> bool:
    return evaluation.decision.outcome is Outcome.HOLD and bool(evaluation.shortfall_minor)
