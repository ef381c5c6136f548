"""One release attempt: its ordered calls with keys and parameters, fixed before anything is sent.

This module plans calls; it may not make them or choose whether the release happens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from refunds.facts import METADATA_ATTEMPT, METADATA_REQUEST, ChargeFacts
from refunds.ids import AccountId, AttemptId, IdempotencyKey, RequestId, TransferId
from refunds.money import Money, share_ceil
from refunds.need import Leg, spendable_in_transfer_minor
from refunds.steps import ParamValue, StepKind, StripeCall


class Purpose(StrEnum):
    """What an attempt is for."""

    RELEASE = "release"
    COMPENSATION = "compensation"
    """It gives back what was reversed for a refund that came to nothing."""


class AttemptState(StrEnum):
    """What is known of an attempt. PREPARED covers everything from intent to an unknown outcome."""

    PREPARED = "prepared"
    DONE = "done"
    REFUSED = "refused"
    NEVER_EXECUTED = "never_executed"


class StepState(StrEnum):
    """What is known of one step."""

    PLANNED = "planned"
    DONE = "done"
    REFUSED = "refused"
    NEVER_EXECUTED = "never_executed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What a release is to achieve; everything the calls are made from."""

    request: RequestId
    attempt: AttemptId
    amount: Money
    legs: tuple[Leg, ...]
    uncovered: bool
    """A person let it go though the account does not cover it."""
    spare_minor: tuple[int, ...]
    """What each leg's account can give now, need's currency; asked for where it is uncovered."""
    refund_application_fee: bool
    reason: str | None


def plan_steps(charge: ChargeFacts, intent: Intent) -> tuple[StripeCall, ...]:
    """Return the calls of one attempt, in order.

    Covered: one refund that reverses its transfer; of a payment that was split, the reversals one
    by one and then the refund. Uncovered: the refund alone, then a reversal of what each account
    can spare. Nothing left to reverse: the refund alone, because Stripe refuses to reverse a
    transfer that is fully reversed. With money at hand that was reversed for an earlier refund:
    the refund alone, then a reversal of what is missing, because Stripe would take all of it again.
    Direct: one refund, in the account the charge lives in.
    Source: Stripe docs, "Create a refund", "Create a transfer reversal".
    """
    calls: list[StripeCall] = []
    # By what is asked of accounts, not by what the charge looks like today: no transfer of its own
    # means that only calls of ours can reverse one.
    split = charge.transfer is None and any(leg.transfer is not None for leg in intent.legs)
    if split and not intent.uncovered:
        calls += _reversals(intent, [leg.reversal_minor for leg in intent.legs], first=1)
    calls.append(_refund(charge, intent, ordinal=len(calls) + 1))
    if intent.uncovered:
        calls += _reversals(intent, _spare_reversals_minor(intent), first=2)
    elif not split and _at_hand(intent):
        calls += _reversals(intent, [leg.reversal_minor for leg in intent.legs], first=2)
    return tuple(calls)


def _at_hand(intent: Intent) -> bool:
    return any(leg.at_hand_minor > 0 for leg in intent.legs)


def _refund(charge: ChargeFacts, intent: Intent, ordinal: int) -> StripeCall:
    params: dict[str, ParamValue] = {
        "charge": charge.charge,
        "amount": intent.amount.amount_minor,
        "metadata": _metadata(intent),
    }
    reverses = (
        charge.transfer is not None
        and not intent.uncovered
        and not _at_hand(intent)
        and any(leg.reversal_minor > 0 for leg in intent.legs)
    )
    if reverses:
        params["reverse_transfer"] = True
    fee_may_go_back = reverses or charge.lives_in is not None
    if intent.refund_application_fee and fee_may_go_back and charge.application_fee_minor:
        params["refund_application_fee"] = True
    if intent.reason is not None:
        params["reason"] = intent.reason
    return StripeCall(
        kind=StepKind.REFUND,
        params=params,
        target=None,
        account=charge.lives_in,
        idempotency_key=_key(intent.attempt, ordinal),
    )


def _reversals(intent: Intent, amounts_minor: Sequence[int], first: int) -> list[StripeCall]:
    wanted = [
        (leg.transfer.transfer, minor)
        for leg, minor in zip(intent.legs, amounts_minor, strict=True)
        if leg.transfer is not None and minor > 0
    ]
    return [
        StripeCall(
            kind=StepKind.REVERSAL,
            params={"amount": minor, "metadata": _metadata(intent)},
            target=transfer,
            account=None,
            idempotency_key=_key(intent.attempt, ordinal),
        )
        for ordinal, (transfer, minor) in enumerate(wanted, start=first)
    ]


def _spare_reversals_minor(intent: Intent) -> list[int]:
    return [
        0
        if leg.transfer is None
        else min(spendable_in_transfer_minor(leg.transfer, minor), leg.reversal_minor)
        for leg, minor in zip(intent.legs, intent.spare_minor, strict=True)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class GivingBack:
    """What one connected account gets back of what was reversed."""

    transfer: TransferId
    """The transfer it was reversed from."""
    account: AccountId
    amount: Money


def without_kept(
    owed: Sequence[GivingBack], paid_minor: int, unsent_minor: int
) -> list[GivingBack]:
    """Return what is still owed where the buyer got `paid_minor` of the `unsent_minor` from the
    platform by another way; both in the charge's currency.

    The platform keeps that share of everything that was reversed, rounded up.
    """
    covered_minor = min(paid_minor, unsent_minor)
    rest: list[GivingBack] = []
    for each in owed:
        minor = each.amount.amount_minor
        minor -= share_ceil(covered_minor, unsent_minor, minor)
        if minor:
            rest.append(replace(each, amount=Money(minor, each.amount.currency)))
    return rest


def plan_giving_back(
    request: RequestId, attempt: AttemptId, owed: Sequence[GivingBack]
) -> tuple[StripeCall, ...]:
    """Return the calls that give reversed money back. Source: Stripe docs, "Create a transfer"."""
    return tuple(
        StripeCall(
            kind=StepKind.TRANSFER,
            params={
                "amount": each.amount.amount_minor,
                "currency": each.amount.currency,
                "destination": each.account,
                "metadata": {METADATA_REQUEST: request, METADATA_ATTEMPT: attempt},
            },
            target=each.transfer,
            account=None,
            idempotency_key=_key(attempt, ordinal),
        )
        for ordinal, each in enumerate(owed, start=1)
    )


SAME_KEY_FOR: Final = timedelta(hours=20)
"""Stripe keeps an idempotency key for at least 24 hours; the margin covers clocks and slow
calls.
"""
KEY_FORGOTTEN_AFTER: Final = timedelta(hours=24, minutes=30)
"""From here on nothing sent under the key can still take effect unseen."""


class Recovery(StrEnum):
    """What may be done about an attempt whose outcome is unknown."""

    SEND_AGAIN = "send_again"
    WAIT = "wait"
    LOOK = "look"


def how_to_recover(prepared_at: datetime, now: datetime) -> Recovery:
    """Return the one safe move: the same key while Stripe knows it, a full list once it can't."""
    age = now - prepared_at
    if age < SAME_KEY_FOR:
        return Recovery.SEND_AGAIN
    return Recovery.WAIT if age < KEY_FORGOTTEN_AFTER else Recovery.LOOK


def _key(attempt: AttemptId, ordinal: int) -> IdempotencyKey:
    return IdempotencyKey(f"sluice-{attempt}-{ordinal}")


def _metadata(intent: Intent) -> Mapping[str, str]:
    return {METADATA_REQUEST: intent.request, METADATA_ATTEMPT: intent.attempt}
