"""A refund request as the outside sees it: the one object that API, CLI and notifications share.

It may not decide anything or show what is not stored.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

from pydantic import with_config

# Pydantic makes the API's description from these types, and reads `typing.TypedDict` from
# Python 3.12 on only.
from typing_extensions import TypedDict

from refunds.decision import Evaluation, Outcome, Rule
from refunds.eta import Confidence
from refunds.facts import ChargeType
from refunds.ids import RequestId
from refunds.lifecycle import SENT, Status
from store.database import Unit
from store.request_parts import RequestParts, load_parts
from store.requests import evaluation_of, get_request
from store.tables.requests import EvaluationRow, Mode, RefundRequest

_STANDS_STILL: Final = frozenset({Status.REQUESTED, Status.HELD, Status.REVIEW, Status.REJECTED})
"""In these a request waits for something, or for somebody."""

_OUTLIVES: Final = frozenset({Rule.NOT_GIVEN_BACK, Rule.PAID_ELSEWHERE})
"""What was decided of the accounts' money is to be acted on after the request has ended, too."""

SHADOW_STEP: Final = "Nothing to do: shadow mode records that it would be sent, and sends nothing."
"""In the place of a release's own next step."""


@with_config(use_attribute_docstrings=True, extra="forbid")
class NeedView(TypedDict):
    """What the connected account must have for the refund."""

    amount: int
    """Minor units."""
    currency: str
    """The account's settlement currency."""
    fx_buffer: int
    """What comes on top where money will be converted at a rate nobody knows yet."""


@with_config(use_attribute_docstrings=True, extra="forbid")
class DecisionView(TypedDict):
    """The latest decision."""

    outcome: Outcome
    rule: Rule
    """Which rule decided."""
    why: str
    """One sentence with the figures."""
    at: int
    """Seconds since 1970."""


@with_config(use_attribute_docstrings=True, extra="forbid")
class RequestView(TypedDict):
    """The refund request object. Amounts in minor units, times in seconds since 1970."""

    id: str | None
    """`rr_…`; null in a preview."""
    object: Literal["refund_request"]
    created: int
    status: Status
    """The bucket that needs most attention."""
    livemode: bool
    mode: Mode
    """`shadow`: decided and recorded, never sent."""
    payment_intent: str | None
    charge: str | None
    charge_type: ChargeType | None
    account: str | None
    """The connected account the refund draws on; null where there is none or it isn't known yet."""
    amount: int | None
    """Null while Stripe could not be asked what is left of the payment."""
    currency: str | None
    amounts: dict[str, int]
    """Where the amount lies, by bucket."""
    released_amount: int
    """What Stripe accepted or carried out."""
    refunds: list[str]
    """Stripe's refunds, `re_…`, oldest first."""
    need: NeedView | None
    spendable: int | None
    """What the account could spend when it was decided, in need's currency."""
    shortfall: int | None
    """What it was short of, in need's currency."""
    decision: DecisionView | None
    """Null while Stripe could not be asked."""
    next_steps: list[str]
    """What a person can do now."""
    deadline: int | None
    eta: int | None
    """When pending money is expected to cover the shortfall."""
    eta_confidence: Confidence | None
    reason: str | None
    metadata: dict[str, str]


def view_request(unit: Unit, request: RequestId | str) -> RequestView:
    """Return the request as it stands; raise `RequestNotFoundError`."""
    [view] = view_requests(unit, [get_request(unit, request)])
    return view


def view_requests(unit: Unit, rows: Sequence[RefundRequest]) -> list[RequestView]:
    """Return requests as they stand, in the order given."""
    return [_view(parts) for parts in load_parts(unit, rows)]


def _view(parts: RequestParts) -> RequestView:
    row, amounts = parts.row, parts.amounts
    evaluation = None if parts.latest is None else evaluation_of(parts.latest)
    need = None if evaluation is None else evaluation.need
    waits = row.status in (Status.REQUESTED, Status.HELD)
    eta = evaluation.eta if evaluation is not None and waits else None
    return RequestView(
        id=row.id,
        object="refund_request",
        created=_seconds(row.created),
        status=row.status,
        livemode=row.livemode,
        mode=row.mode,
        payment_intent=parts.payment_intent
        or (row.payment if row.payment.startswith("pi_") else None),
        charge=row.charge_id,
        charge_type=parts.charge_type,
        account=row.account,
        amount=row.amount_minor if row.amount_minor is not None else row.asked_minor,
        currency=row.currency,
        amounts={str(bucket): minor for bucket, minor in sorted(amounts.items())},
        released_amount=sum(minor for bucket, minor in amounts.items() if bucket in SENT),
        refunds=parts.refunds,
        need=None
        if need is None
        else NeedView(
            amount=need.amount_minor, currency=need.currency, fx_buffer=need.fx_buffer_minor
        ),
        spendable=None if evaluation is None else evaluation.spendable_minor,
        shortfall=None if evaluation is None else evaluation.shortfall_minor,
        decision=_decision(parts.latest),
        next_steps=_next_steps(row, evaluation),
        deadline=_seconds(row.deadline) if row.charge_id is not None else None,
        eta=None if eta is None else _seconds(eta.at),
        eta_confidence=None if eta is None else eta.confidence,
        reason=row.reason,
        metadata={str(key): str(value) for key, value in row.meta.items()},
    )


def _next_steps(row: RefundRequest, evaluation: Evaluation | None) -> list[str]:
    # A decision to release has no steps left once it was acted on; a rejection keeps its advice.
    if evaluation is None:
        return []
    if row.status not in _STANDS_STILL and evaluation.decision.rule not in _OUTLIVES:
        return []
    if row.mode is Mode.SHADOW and evaluation.decision.outcome is Outcome.RELEASE:
        return [SHADOW_STEP]
    return list(evaluation.decision.next_steps)


def _decision(row: EvaluationRow | None) -> DecisionView | None:
    if row is None:
        return None
    return DecisionView(outcome=row.outcome, rule=row.rule, why=row.why, at=_seconds(row.at))


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
