"""A statement of a period: which facts it lists, what each is called, and how they add up.

This module words facts as cells and sums them; it may not read a row or write a file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final

from refunds.errors import PeriodError
from refunds.money import Money, exponent


class Fact(StrEnum):
    """The kinds of facts, in the order in which a statement lists them. Amounts are never negative:
    the kind says which way the money went.
    """

    REQUEST = "request"
    """A refund was asked for."""
    REQUEST_ENDED = "request_ended"
    """It will not be paid by Sluice: rejected, canceled or closed, as `status` says."""
    REFUND = "refund"
    """Stripe made a refund for a request."""
    REFUND_SUCCEEDED = "refund_succeeded"
    REFUND_FAILED = "refund_failed"
    """Failed, or canceled at Stripe, as `status` says: the buyer is owed again."""
    OBSERVED_REFUND = "observed_refund"
    """A refund that another hand made at Stripe."""
    REVERSAL = "reversal"
    """Money taken back from a connected account by a call of its own."""
    COMPENSATION = "compensation"
    """What was taken back was given back: the refund came to nothing."""
    RECOVERY = "recovery"
    """A reversal that makes an exposure smaller, in the transfer's currency."""
    EXPOSED = "exposed"
    """The platform began to stand in for a connected account."""
    EXPOSURE_RECOVERED = "exposure_recovered"
    EXPOSURE_ENDED = "exposure_ended"
    """The refund failed: nothing is owed for it any more."""


class Standing(StrEnum):
    """What is stated as it stood, and is no fact of the period."""

    EXPOSURE_OPENING = "exposure_opening"
    EXPOSURE_CLOSING = "exposure_closing"


class Record(StrEnum):
    """What a line of a statement is."""

    PERIOD = "period"
    FACT = "fact"
    TOTAL = "total"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Whole days in UTC, the first and the last one included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        """Raise `PeriodError` where it ends before it begins."""
        if self.last < self.first:
            raise PeriodError(self.first, self.last)

    @property
    def begins(self) -> datetime:
        """Its first moment."""
        return datetime.combine(self.first, time(), UTC)

    @property
    def ends(self) -> datetime:
        """The first moment that is no longer in it."""
        return datetime.combine(self.last, time(), UTC) + timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a statement; text that is not known is empty."""

    record: Record
    kind: str
    at: datetime | None = None
    amount: Money | None = None
    count: int | None = None
    request: str | None = None
    attempt: str | None = None
    account: str | None = None
    payment_intent: str | None = None
    charge: str | None = None
    stripe_object: str | None = None
    balance_transaction: str | None = None
    reversal: str | None = None
    status: str | None = None
    key: str | None = None
    why: str | None = None


COLUMNS: Final = (
    "record",
    "kind",
    "at",
    "amount_minor",
    "currency",
    "amount",
    "count",
    "request",
    "attempt",
    "account",
    "payment_intent",
    "charge",
    "stripe_object",
    "balance_transaction",
    "reversal",
    "status",
    "idempotency_key",
    "why",
)
"""The columns, in order; they never change their meaning, and new ones come last."""


def cells(line: Line) -> tuple[str, ...]:
    """Return a line's cells, one for each column: every text made harmless, figures plain."""
    amount = line.amount
    return (
        line.record,
        line.kind,
        "" if line.at is None else f"{line.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "" if amount is None else str(amount.amount_minor),
        "" if amount is None else amount.currency,
        "" if amount is None else major_units(amount),
        "" if line.count is None else str(line.count),
        *(
            harmless(text or "")
            for text in (
                line.request,
                line.attempt,
                line.account,
                line.payment_intent,
                line.charge,
                line.stripe_object,
                line.balance_transaction,
                line.reversal,
                line.status,
                line.key,
                line.why,
            )
        ),
    )


_STEERS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a spreadsheet take a cell for a formula; the signs in full width, too."""


def harmless(text: str) -> str:
    """Return text that no spreadsheet takes for a formula: an apostrophe before one that is.

    White space before it does not hide it; some programs leave that out.
    """
    return f"'{text}" if text.startswith(_STEERS) or text.strip().startswith(_STEERS) else text


def major_units(amount: Money) -> str:
    """Return an amount in whole units with its currency's decimals, a point, and nothing else:
    `-1234.50`.
    """
    decimals = exponent(amount.currency)
    sign = "-" if amount.amount_minor < 0 else ""
    whole, fraction = divmod(abs(amount.amount_minor), 10**decimals)
    return f"{sign}{whole}.{fraction:0{decimals}d}" if decimals else f"{sign}{whole}"


@dataclass(slots=True)
class Totals:
    """Sums of facts, per kind and currency; as small as these are few, however many facts come."""

    _sums: dict[tuple[Fact, str], tuple[int, Money]] = field(default_factory=dict)

    def add(self, kind: Fact, amount: Money) -> None:
        """Count one fact."""
        key = (kind, amount.currency)
        count, earlier = self._sums.get(key, (0, None))
        self._sums[key] = (count + 1, amount if earlier is None else earlier + amount)

    def lines(self) -> Iterator[Line]:
        """Yield a total for each kind and currency that had a fact, in the order of the kinds."""
        for kind in Fact:
            for (each, _), (count, amount) in sorted(self._sums.items()):
                if each is kind:
                    yield Line(record=Record.TOTAL, kind=kind, amount=amount, count=count)


def standing_lines(standing: Standing, at: datetime, sums: Mapping[str, Money]) -> Iterator[Line]:
    """Yield what stood at a moment, per currency."""
    for currency in sorted(sums):
        yield Line(record=Record.TOTAL, kind=standing, at=at, amount=sums[currency])
