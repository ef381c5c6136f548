"""How the requests of a split payment take it back: which transfers, how much, and what is at hand.

It may not choose transfers or plan a reversal.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import func
from sqlmodel import col, delete, select

from refunds.attempt import AttemptState, GivingBack, Purpose, StepState
from refunds.facts import NOT_LIVE, SettlementFacts, TransferFacts
from refunds.ids import AccountId, RequestId, TransferId
from refunds.money import Currency, Money
from refunds.need import Leg, Share, Split
from refunds.steps import StepKind
from refunds.wish import TransferWish
from store.database import Unit
from store.tables.attempts import AttemptStep, ReleaseAttempt
from store.tables.legs import AttemptLeg, RequestLeg, Transfer
from store.tables.observations import Refund
from store.tables.recovery import RecoveryAttempt
from store.tables.requests import Charge, RefundRequest
from store.upsert import insert_or_ignore

_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""When a transfer was read that was only made: any reading is newer."""


def save_transfers(
    unit: Unit, charge: str, transfers: Sequence[TransferFacts], read_at: datetime
) -> None:
    """Store a locked payment's transfers as read; older news never overwrites newer.

    A reading without a settlement (the account denied the look, or only the list was read) leaves
    the known one: without it a need would be taken for the transfer's own currency.
    """
    for facts in transfers:
        settled = facts.settlement
        values: dict[str, object] = {
            "charge_id": charge,
            "account": facts.account,
            "amount_minor": facts.amount.amount_minor,
            "currency": facts.amount.currency,
            "reversed_minor": facts.reversed_minor,
            "settled_minor": settled.amount.amount_minor if settled else None,
            "settled_net_minor": settled.net_minor if settled else None,
            "settled_currency": settled.amount.currency if settled else None,
            "settled_pending": settled.pending if settled else None,
            "settled_available_on": settled.available_on if settled else None,
            "read_at": read_at,
        }
        if insert_or_ignore(unit, Transfer, id=facts.transfer, **values):
            continue
        row = unit.get(Transfer, facts.transfer)
        assert row is not None, "a transfer row is never deleted"
        if row.read_at <= read_at:
            if settled is None:
                values = {k: v for k, v in values.items() if not k.startswith("settled_")}
            row.sqlmodel_update(values)
            unit.add(row)
    unit.flush()


def known_transfers(unit: Unit, charge: str) -> list[TransferFacts]:
    """Return the transfers of a payment as last read, those that gave something back included."""
    statement = select(Transfer).where(col(Transfer.charge_id) == charge)
    return [_facts_of(row) for row in unit.exec(statement.order_by(col(Transfer.id)))]


def transfers_of(unit: Unit, charge: str) -> list[TransferId]:
    """Return the transfers of a payment that requests take back."""
    statement = select(Transfer.id).where(col(Transfer.charge_id) == charge)
    return [TransferId(each) for each in unit.exec(statement.order_by(col(Transfer.id)))]


def save_legs(
    unit: Unit, request: RequestId | str, legs: Sequence[tuple[TransferWish, AccountId | None]]
) -> None:
    """Store which transfers a request takes back, in place of what was stored before."""
    unit.exec(delete(RequestLeg).where(col(RequestLeg.request_id) == request))
    for ordinal, (asked, account) in enumerate(legs, start=1):
        unit.add(
            RequestLeg(
                request_id=request,
                ordinal=ordinal,
                transfer_id=asked.transfer,
                account=account,
                asked_minor=asked.amount_minor,
            )
        )
    unit.flush()


def asked_of(unit: Unit, request: RequestId | str) -> tuple[TransferWish, ...]:
    """Return the transfers a request takes back, as the caller named them."""
    return tuple(
        TransferWish(transfer=TransferId(row.transfer_id), amount_minor=row.asked_minor)
        for row in _legs(unit, request)
    )


def accounts_of(unit: Unit, request: RefundRequest) -> list[AccountId]:
    """Return the connected accounts a request draws on, its home first."""
    accounts = [request.account, *(row.account for row in _legs(unit, request.id))]
    return [AccountId(name) for name in dict.fromkeys(accounts) if name is not None]


def split_of(unit: Unit, request: RefundRequest) -> Split:
    """Return how a decided request of a split payment takes it back, by what is known now."""
    statement = (
        select(RequestLeg, Transfer)
        .join(Transfer, col(Transfer.id) == col(RequestLeg.transfer_id))
        .where(col(RequestLeg.request_id) == request.id)
        .order_by(col(RequestLeg.ordinal))
    )
    standing = _standing(unit, request.id)
    assert request.amount_minor is not None, "a decided request has an amount"
    return Split(
        shares=tuple(
            Share(
                transfer=_facts_of(transfer),
                asked_minor=leg.asked_minor or 0,
                used_minor=standing.used[transfer.id],
                at_hand_minor=standing.at_hand[transfer.id],
            )
            for leg, transfer in unit.exec(statement)
        ),
        request_minor=request.amount_minor,
        unsent_minor=request.amount_minor - standing.sent_minor,
    )


def unmet_of(unit: Unit, requests: Iterable[RefundRequest]) -> Counter[str]:
    """Return what decided requests of a split payment still mean to reverse, per transfer."""
    unmet: Counter[str] = Counter()
    for request in requests:
        for share in split_of(unit, request).shares:
            minor = share.asked_minor - share.used_minor - share.at_hand_minor
            unmet[share.transfer.transfer] += max(0, minor)
    return unmet


def reversed_for_others(unit: Unit, charge: str, request: RequestId | str) -> Counter[TransferId]:
    """Return what was reversed of a payment's transfers for other requests than this one, later
    recoveries included.
    """
    steps = (
        select(AttemptStep.target, func.sum(AttemptStep.object_minor))
        .join(ReleaseAttempt, col(ReleaseAttempt.id) == col(AttemptStep.attempt_id))
        .where(col(ReleaseAttempt.charge_id) == charge, col(ReleaseAttempt.request_id) != request)
        .where(col(AttemptStep.kind) == StepKind.REVERSAL)
        .where(col(AttemptStep.state) == StepState.DONE)
        .group_by(col(AttemptStep.target))
    )
    recovered = (
        select(RecoveryAttempt.transfer, func.sum(RecoveryAttempt.reversal_minor))
        .where(col(RecoveryAttempt.charge_id) == charge, col(RecoveryAttempt.request_id) != request)
        .where(col(RecoveryAttempt.state) == AttemptState.DONE)
        .group_by(col(RecoveryAttempt.transfer))
    )
    taken: Counter[TransferId] = Counter()
    for transfer, minor in (*unit.exec(steps), *unit.exec(recovered)):
        if transfer is not None:
            taken[TransferId(transfer)] += int(minor or 0)
    return taken


def owed_back(unit: Unit, request: RequestId | str) -> list[GivingBack]:
    """Return what accounts are owed of what a request reversed for refunds that came to nothing."""
    at_hand = _standing(unit, request).at_hand
    some = [transfer for transfer, minor in at_hand.items() if minor > 0]
    split = select(Transfer.id, Transfer.account, Transfer.currency)
    whole = select(Charge.transfer, Charge.account, Charge.transfer_currency)
    rows = [
        *unit.exec(split.where(col(Transfer.id).in_(some)).order_by(col(Transfer.id))),
        *unit.exec(whole.where(col(Charge.transfer).in_(some))),
    ]
    return [
        GivingBack(
            transfer=TransferId(transfer),
            account=AccountId(account),
            amount=Money(at_hand[transfer], Currency(currency)),
        )
        for transfer, account, currency in rows
        if transfer is not None and account is not None and currency is not None
    ]


def at_hand_of(unit: Unit, request: RequestId | str, transfer: TransferId) -> int:
    """Return what a request has reversed of one transfer for refunds that came to nothing, and not
    given back or used since; minor units of its currency.
    """
    return max(0, _standing(unit, request).at_hand[transfer])


def replace_transfer(
    unit: Unit, request: RequestId | str, given_back: TransferFacts, made_up_for: str, charge: str
) -> None:
    """Let a request take from now on from the transfer that gave an account its money back: the one
    it was reversed from has nothing left of it.

    A payment with one transfer of its own takes from that one only, whatever came after it.
    """
    legs = _legs(unit, request)
    if not legs:
        return
    save_transfers(unit, charge, [given_back], _LONG_AGO)
    minor = given_back.amount.amount_minor
    for leg in legs:
        if leg.transfer_id == made_up_for and leg.asked_minor is not None:
            leg.asked_minor = max(0, leg.asked_minor - minor)
            unit.add(leg)
    unit.add(
        RequestLeg(
            request_id=request,
            ordinal=legs[-1].ordinal + 1,
            transfer_id=given_back.transfer,
            account=given_back.account,
            asked_minor=minor,
        )
    )
    unit.flush()


def add_attempt_legs(unit: Unit, attempt: str, legs: Sequence[Leg]) -> None:
    """Store what an attempt asks of each account that got a part of the payment."""
    for ordinal, leg in enumerate(legs, start=1):
        assert leg.transfer is not None, "what the platform took in was carried on by transfers"
        unit.add(
            AttemptLeg(
                attempt_id=attempt,
                ordinal=ordinal,
                transfer_id=leg.transfer.transfer,
                account=leg.account,
                at_hand_minor=leg.at_hand_minor,
                reversal_minor=leg.reversal_minor,
                need_minor=leg.need.amount_minor,
                need_currency=leg.need.currency,
            )
        )
    unit.flush()


def attempt_legs(unit: Unit, attempt: str) -> list[tuple[AttemptLeg, TransferFacts]]:
    """Return what an attempt on a split payment asks of each account, with the transfers."""
    statement = (
        select(AttemptLeg, Transfer)
        .join(Transfer, col(Transfer.id) == col(AttemptLeg.transfer_id))
        .where(col(AttemptLeg.attempt_id) == attempt)
        .order_by(col(AttemptLeg.ordinal))
    )
    return [(leg, _facts_of(transfer)) for leg, transfer in unit.exec(statement)]


@dataclass(frozen=True, slots=True)
class _Standing:
    """What became of a request's reversals, per transfer; minor units of its currency."""

    used: Counter[str]
    at_hand: Counter[str]
    sent_minor: int
    """Of the request, in the charge's currency: what refunds that count were made for."""


def _standing(unit: Unit, request: RequestId | str) -> _Standing:
    used: Counter[str] = Counter()
    at_hand: Counter[str] = Counter()
    sent_minor = 0
    statement = select(ReleaseAttempt, Refund).join(
        Refund, col(Refund.attempt_id) == col(ReleaseAttempt.id), isouter=True
    )
    rows: list[tuple[ReleaseAttempt, Refund | None]]
    rows = list(unit.exec(statement.where(col(ReleaseAttempt.request_id) == request)))
    for attempt, refund in rows:
        steps = list(
            unit.exec(select(AttemptStep).where(col(AttemptStep.attempt_id) == attempt.id))
        )
        under_way = attempt.state is AttemptState.PREPARED
        if attempt.purpose is Purpose.COMPENSATION:
            at_hand.subtract(_given_back(steps, under_way=under_way))
            continue
        statement_of_legs = select(AttemptLeg).where(col(AttemptLeg.attempt_id) == attempt.id)
        legs = list(unit.exec(statement_of_legs))
        taken = _reversed_by(steps) + _reversed_with(refund, legs)
        counts = refund is not None and refund.status not in NOT_LIVE
        if not counts and not under_way:
            at_hand.update(taken + _recovered_by(unit, attempt.id))
            continue
        sent_minor += attempt.amount_minor
        reused = {leg.transfer_id: leg.at_hand_minor for leg in legs}
        used.update(taken)
        used.update(reused)
        at_hand.subtract(reused)
    return _Standing(used=used, at_hand=at_hand, sent_minor=sent_minor)


def _reversed_by(steps: Sequence[AttemptStep]) -> Counter[str]:
    made = {
        step.target: step.object_minor
        for step in steps
        if step.kind is StepKind.REVERSAL and step.target and step.object_minor
    }
    return Counter(made)


def _reversed_with(refund: Refund | None, legs: Sequence[AttemptLeg]) -> Counter[str]:
    """Return what Stripe reversed with a refund by itself, which stays reversed should it fail."""
    if refund is None or refund.reversal is None:
        return Counter()
    return Counter({leg.transfer_id: leg.reversal_minor for leg in legs})


def _recovered_by(unit: Unit, attempt: str) -> Counter[str]:
    """Return what was taken back later of an uncovered release, while its refund still counted."""
    statement = (
        select(RecoveryAttempt.transfer, func.sum(RecoveryAttempt.reversed_minor))
        .where(col(RecoveryAttempt.attempt_id) == attempt)
        .where(col(RecoveryAttempt.state) == AttemptState.DONE)
        .group_by(col(RecoveryAttempt.transfer))
    )
    return Counter({transfer: int(minor or 0) for transfer, minor in unit.exec(statement)})


def _given_back(steps: Sequence[AttemptStep], *, under_way: bool) -> dict[str, int]:
    """Return what was given back, or may be while nobody knows."""
    may_be = (StepState.DONE, StepState.PLANNED) if under_way else (StepState.DONE,)
    return {
        step.target: int(step.params["amount"])
        for step in steps
        if step.target is not None and step.state in may_be
    }


def _legs(unit: Unit, request: RequestId | str) -> list[RequestLeg]:
    statement = select(RequestLeg).where(col(RequestLeg.request_id) == request)
    return list(unit.exec(statement.order_by(col(RequestLeg.ordinal))))


def _facts_of(row: Transfer) -> TransferFacts:
    settlement = None
    if row.settled_minor is not None and row.settled_currency is not None:
        settlement = SettlementFacts(
            amount=Money(row.settled_minor, Currency(row.settled_currency)),
            net_minor=row.settled_net_minor or 0,
            pending=bool(row.settled_pending),
            available_on=row.settled_available_on,
        )
    return TransferFacts(
        transfer=TransferId(row.id),
        account=AccountId(row.account),
        amount=Money(row.amount_minor, Currency(row.currency)),
        reversed_minor=row.reversed_minor,
        settlement=settlement,
    )
