"""What stops a refund whatever the balance: the charge, a dispute, the account's standing, a
deadline.

This module judges facts in a fixed order; it may not look at balances or at other requests' turns.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from refunds.candidate import Candidate
from refunds.decision import Decision, Outcome, Rule, decide, describe_need
from refunds.facts import AccountStanding, ChargeFacts, ChargeType
from refunds.ids import AccountId, TransferId
from refunds.money import Money, format_minor
from refunds.need import Need

CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""Between our clock and Stripe's, and between reading a charge and storing its request."""


def counted_at_intake(refunded_at: datetime, requested_at: datetime) -> bool:
    """Whether a refund is so much older than a request that intake counted it: whoever asked knew
    of it, or could.
    """
    return refunded_at + CLOCKS_DIFFER < requested_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """How a wish stands against its charge."""

    amount: Money
    other_open_minor: int
    """Other open requests of the same charge that have no refund at Stripe yet."""


def check_charge(charge: ChargeFacts, claim: Claim, *, at_intake: bool) -> Decision | None:
    """Return what stops this refund of this charge; `None` if nothing does.

    At intake what can't be done is rejected; a request that was accepted once goes to a person.
    """
    stop = Outcome.REJECT if at_intake else Outcome.REVIEW
    left_minor = charge.remaining_minor - claim.other_open_minor
    if not charge.refundable:
        return decide(
            stop, Rule.NOT_REFUNDABLE, f"{charge.charge} was not captured or did not succeed."
        )
    if charge.disputed:
        return decide(stop, Rule.DISPUTED, f"{charge.charge} has an open dispute.")
    if charge.remaining_minor <= 0:
        return decide(stop, Rule.ALREADY_REFUNDED, f"{charge.charge} is refunded in full already.")
    if claim.amount.amount_minor > left_minor:
        left = format_minor(max(0, left_minor), charge.amount.currency)
        return decide(
            stop,
            Rule.OVER_REMAINING,
            f"{claim.amount} is more than the {left} left of {charge.charge}.",
        )
    return None


def check_livemode(charge: ChargeFacts, *, livemode: bool) -> Decision | None:
    """Return what stops a payment of the other mode: test refunds must never use up real money."""
    if charge.livemode is livemode:
        return None
    theirs, ours = ("live", "test") if charge.livemode else ("test", "live")
    return decide(
        Outcome.REJECT,
        Rule.WRONG_LIVEMODE,
        f"{charge.charge} is a payment of {theirs} mode, and this installation is of {ours} mode.",
    )


def check_account(account: str, standing: AccountStanding, waived: Set[Rule]) -> Decision | None:
    """Return what stops drawing on this account; `None` if nothing does."""
    match standing:
        case AccountStanding.REJECTED if Rule.ACCOUNT_REJECTED not in waived:
            return decide(
                Outcome.REVIEW, Rule.ACCOUNT_REJECTED, f"Stripe has rejected the account {account}."
            )
        case AccountStanding.DEAUTHORIZED if Rule.ACCOUNT_DEAUTHORIZED not in waived:
            return decide(
                Outcome.REVIEW,
                Rule.ACCOUNT_DEAUTHORIZED,
                f"The account {account} has disconnected from the platform.",
            )
        case _:
            return None


def stating_exposure(stop: Decision, need: Need | None) -> Decision:
    """Return what stops drawing on an account, with what the platform would stand in for if a
    person released it all the same; every other decision as it is.
    """
    offered = (stop.rule, stop.outcome) in _MAY_STAND_IN
    if not offered or need is None or _OFFER in stop.why:
        return stop
    why = f"{stop.why} {_OFFER} for up to {describe_need(need)}."
    return decide(stop.outcome, stop.rule, why)


_OFFER: Final = "Released all the same, the platform stands in"
_MAY_STAND_IN: Final = frozenset(
    {
        (Rule.ACCOUNT_REJECTED, Outcome.REVIEW),
        (Rule.ACCOUNT_DEAUTHORIZED, Outcome.REVIEW),
        (Rule.ACCOUNT_DEAUTHORIZED, Outcome.HOLD),
    }
)


def check_drawn_on(
    candidate: Candidate, account: AccountId, standing: AccountStanding
) -> Decision | None:
    """Return what stops a waiting request from drawing on this account; `None` if nothing does.

    A person's release passes an account by. One that left can't be passed by where the payment is
    its own: Stripe lets nobody else refund it.
    """
    if standing is AccountStanding.DEAUTHORIZED and candidate.direct:
        return check_account(account, standing, frozenset())
    if candidate.by_person:
        return None
    return check_account(account, standing, candidate.waived)


def check_parts(candidate: Candidate, charge: ChargeFacts) -> Decision | None:
    """Return what stops a request whose payment turned out to have been passed on to connected
    accounts, or to lie otherwise than it was asked for: it names no transfer to take back, or those
    of another kind of charge.
    """
    if candidate.by_person or Rule.TRANSFERS_UNCLEAR in candidate.waived:
        return None
    asks = candidate.split is not None and bool(candidate.split.shares)
    if asks is (charge.charge_type is ChargeType.SEPARATE):
        return None
    now = "was passed on to connected accounts" if not asks else "is tied to no transfers"
    return decide(
        Outcome.REVIEW,
        Rule.TRANSFERS_UNCLEAR,
        f"The money of {charge.charge} {now}, which was not so when this refund was asked for; the "
        "platform would stand in for what is not taken back.",
    )


def check_shares(
    candidate: Candidate, taken_for_others: Mapping[TransferId, int]
) -> Decision | None:
    """Return what stops a request of a split payment where Sluice itself took back, for other
    requests, what this one counts on: the rest would be the platform's expense.

    What anybody else took back counts as paid by the account. Figures in each transfer's currency.
    """
    if candidate.split is None or candidate.by_person:
        return None
    if Rule.TRANSFERS_UNCLEAR in candidate.waived:
        return None
    for share in candidate.split.shares:
        own_minor = share.used_minor + share.at_hand_minor
        lacks_minor = share.asked_minor - own_minor - share.transfer.left_minor
        ours_minor = taken_for_others.get(share.transfer.transfer, 0)
        paid_otherwise_minor = max(0, share.transfer.reversed_minor - own_minor - ours_minor)
        if lacks_minor > paid_otherwise_minor:
            currency = share.transfer.amount.currency
            left = Money(share.transfer.left_minor, currency)
            wanted = Money(share.asked_minor - own_minor, currency)
            return decide(
                Outcome.REVIEW,
                Rule.TRANSFERS_UNCLEAR,
                f"{wanted} of {share.transfer.transfer} were to be taken back, but other requests "
                f"have left {left} of it; the platform would stand in for the rest.",
            )
    return None


def without_balance(account: str, deadline: datetime, now: datetime, waived: Set[Rule]) -> Decision:
    """Return the verdict on a request whose account Stripe does not let the platform look into.

    It may have left without our hearing of it. Its balance can't cover anything then, but waiting
    for it ends at the deadline all the same.
    """
    return check_deadline(deadline, now, waived) or decide(
        Outcome.HOLD,
        Rule.ACCOUNT_DEAUTHORIZED,
        f"Stripe denies the platform access to the account {account}; its balance can't be read.",
    )


def check_deadline(deadline: datetime, now: datetime, waived: Set[Rule]) -> Decision | None:
    """Return a review where the request has waited until its deadline; `None` before it."""
    if now < deadline or Rule.DEADLINE in waived:
        return None
    return decide(
        Outcome.REVIEW,
        Rule.DEADLINE,
        f"It was not covered by its deadline, {deadline:%Y-%m-%d %H:%M} UTC.",
    )
