"""What must hold of the books at any moment, as a plain list of checks.

This module checks values it is given; it may not load them or repair anything.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Final

from refunds.ids import AttemptId, ChargeId, RefundId, RequestId, RunId
from refunds.lifecycle import LEGAL, OPEN, WAITING, Bucket, Status, status_of
from refunds.money import Currency

_WITH_STRIPE: Final = frozenset({Bucket.RELEASING, Bucket.REVERSED, Bucket.SUBMITTED})
"""An amount that Stripe was asked to move has been in one of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One ledger entry."""

    request: RequestId
    source: Bucket
    target: Bucket
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBooks:
    """One request as projected, with its entries in order."""

    request: RequestId
    charge: ChargeId | None
    amount_minor: int | None
    """`None` until Stripe could be asked."""
    status: Status
    projection: Mapping[Bucket, int]
    entries: tuple[Entry, ...]
    shadow: bool = False
    """Decided only: it claims nothing of its charge, and is never sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundBooks:
    """One Stripe refund as recorded."""

    refund: RefundId
    charge: ChargeId
    attempt: AttemptId | None
    observed: bool
    live: bool
    amount_minor: int
    requires_action: bool = False
    """Stripe waits for the buyer: the amount of a refund of ours lies in REVIEW meanwhile."""

    @property
    def counts_beside_requests(self) -> bool:
        """Whether its amount claims a part of the charge that no open bucket claims already."""
        in_review = self.requires_action and self.attempt is not None
        return self.live and not in_review


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeBooks:
    """One charge: the most that may be refunded."""

    charge: ChargeId
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBooks:
    """What one run released without a waiver, against what it found spendable."""

    run: RunId
    currency: Currency
    spendable_minor: int
    released_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """A consistent set: every request and refund of the charges in it."""

    requests: tuple[RequestBooks, ...] = ()
    refunds: tuple[RefundBooks, ...] = ()
    charges: tuple[ChargeBooks, ...] = ()
    runs: tuple[RunBooks, ...] = ()


def _replay(request: RequestBooks) -> tuple[dict[Bucket, int], dict[Bucket, int]]:
    """Return what the entries leave in each bucket, and how far any was overdrawn on the way."""
    amounts: dict[Bucket, int] = defaultdict(int)
    lowest: dict[Bucket, int] = defaultdict(int)
    for entry in request.entries:
        amounts[entry.source] -= entry.amount_minor
        amounts[entry.target] += entry.amount_minor
        for bucket in (entry.source, entry.target):
            lowest[bucket] = min(lowest[bucket], amounts[bucket])
    amounts.pop(Bucket.OPENED, None)
    lowest.pop(Bucket.OPENED, None)
    return amounts, {bucket: minor for bucket, minor in lowest.items() if minor < 0}


def check_amount_in_buckets_once(books: Books) -> Iterator[str]:
    """Each request's amount is in its buckets exactly once, and none was ever overdrawn."""
    for request in books.requests:
        amounts, overdrawn = _replay(request)
        inside = sum(amounts.values())
        if inside != (request.amount_minor or 0):
            yield f"{request.request}: {inside} in its buckets, not {request.amount_minor}"
        for bucket, minor in overdrawn.items():
            yield f"{request.request}: bucket {bucket} went below zero ({minor})"


def check_projection_equals_ledger(books: Books) -> Iterator[str]:
    """The projection says what the ledger says."""
    for request in books.requests:
        amounts, _ = _replay(request)
        replayed = {b: m for b, m in amounts.items() if m}
        projected = {b: m for b, m in request.projection.items() if m}
        if replayed != projected:
            yield f"{request.request}: ledger says {replayed}, projection says {projected}"
        if request.entries and status_of(projected) is not request.status:
            yield f"{request.request}: status {request.status} isn't that of {projected}"


def check_moves_legal(books: Books) -> Iterator[str]:
    """Every entry follows the table and moves something."""
    for request in books.requests:
        for entry in request.entries:
            if (entry.source, entry.target) not in LEGAL or entry.amount_minor <= 0:
                yield f"{request.request}: illegal entry {entry}"


def check_one_refund_per_attempt(books: Books) -> Iterator[str]:
    """No attempt has two refunds at Stripe."""
    counted = Counter(r.attempt for r in books.refunds if r.attempt is not None)
    for attempt, count in counted.items():
        if count > 1:
            yield f"{attempt}: {count} refunds at Stripe"


def check_charge_not_exceeded(books: Books) -> Iterator[str]:
    """Open requests and live refunds together are no more than the charge.

    Nobody can keep another hand's refund from taking what a request claims already. Such a request
    is before a person then, or with Stripe, which refuses it: what still waits must fit beside it.
    """
    ours: dict[ChargeId, int] = defaultdict(int)
    waiting: dict[ChargeId, int] = defaultdict(int)
    for request in books.requests:
        if request.charge is not None and not request.shadow:
            ours[request.charge] += _sum(request.projection, OPEN)
            waiting[request.charge] += _sum(request.projection, WAITING)
    for refund in books.refunds:
        if refund.counts_beside_requests:
            waiting[refund.charge] += refund.amount_minor
            ours[refund.charge] += 0 if refund.observed else refund.amount_minor
    for charge in books.charges:
        claimed_minor = max(ours[charge.charge], waiting[charge.charge])
        if claimed_minor > charge.amount_minor:
            yield f"{charge.charge}: {claimed_minor} claimed of {charge.amount_minor}"


def _sum(projection: Mapping[Bucket, int], buckets: Set[Bucket]) -> int:
    return sum(minor for bucket, minor in projection.items() if bucket in buckets)


def check_every_refund_explained(books: Books) -> Iterator[str]:
    """No live refund without an attempt of ours or an observed row."""
    for refund in books.refunds:
        if refund.live and refund.attempt is None and not refund.observed:
            yield f"{refund.refund}: money moved that no request explains"


def check_run_within_spendable(books: Books) -> Iterator[str]:
    """No run released more than it found spendable, waivers aside."""
    for run in books.runs:
        if run.released_minor > max(0, run.spendable_minor):
            yield (
                f"{run.run}: released {run.released_minor} of {run.spendable_minor} spendable"
                f" ({run.currency})"
            )


def check_shadow_moves_no_money(books: Books) -> Iterator[str]:
    """What is decided in shadow mode is never sent."""
    for request in books.requests:
        for entry in request.entries:
            if request.shadow and entry.target in _WITH_STRIPE:
                yield f"{request.request}: a shadow request went to {entry.target}"


Check = Callable[[Books], Iterator[str]]

CHECKS: Final[tuple[Check, ...]] = (
    check_amount_in_buckets_once,
    check_projection_equals_ledger,
    check_moves_legal,
    check_one_refund_per_attempt,
    check_charge_not_exceeded,
    check_every_refund_explained,
    check_run_within_spendable,
    check_shadow_moves_no_money,
)


def violations(books: Books) -> list[str]:
    """Return every violation in words; an empty list means the books are in order."""
    return [found for check in CHECKS for found in check(books)]
