"""The verdict on one request: an outcome, the rule that gave it, and the sentence that says why.

This module words decisions; it may not make them, so that page, API and log say the same thing.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from refunds.eta import Eta
from refunds.ids import AccountId
from refunds.money import Money, format_minor
from refunds.need import Need


class Outcome(StrEnum):
    """What follows for the request."""

    RELEASE = "release"
    HOLD = "hold"
    REVIEW = "review"
    REJECT = "reject"


class Rule(StrEnum):
    """Which rule decided. Each has its next steps below."""

    COVER = "cover"
    DIRECT_SENT = "direct_sent"
    DIRECT_SHORT = "direct_short"
    PARTIAL = "partial"
    PLATFORM_SHORT = "platform_short"
    OLDER_FIRST = "older_first"
    STRIPE_SHORT = "stripe_short"
    PERSON = "person"
    SMALL_SHORTFALL = "small_shortfall"
    COVERED_PER_DAY = "covered_per_day"
    EXPOSURE_LIMIT = "exposure_limit"
    REVIEW_ABOVE = "review_above"
    REFUND_WINDOW = "refund_window"
    DEADLINE = "deadline"
    DISPUTED = "disputed"
    ALREADY_REFUNDED = "already_refunded"
    OVER_REMAINING = "over_remaining"
    NOT_REFUNDABLE = "not_refundable"
    ACCOUNT_REJECTED = "account_rejected"
    ACCOUNT_DEAUTHORIZED = "account_deauthorized"
    FOREIGN_REFUND = "foreign_refund"
    STRIPE_REFUSED = "stripe_refused"
    REFUND_FAILED = "refund_failed"
    REQUIRES_ACTION = "requires_action"
    NEVER_EXECUTED = "never_executed"
    COMPENSATED = "compensated"
    NOT_GIVEN_BACK = "not_given_back"
    PAID_ELSEWHERE = "paid_elsewhere"
    TRANSFERS_UNCLEAR = "transfers_unclear"
    REQUEST_OPEN = "request_open"
    UNKNOWN_PAYMENT = "unknown_payment"
    WRONG_LIVEMODE = "wrong_livemode"


UNCOVERED: Final = frozenset({Rule.PERSON, Rule.SMALL_SHORTFALL, Rule.DEADLINE})
"""Rules whose release of a short request lets the platform stand in for what is missing."""


NEXT_STEPS: Final[dict[tuple[Rule, Outcome], tuple[str, ...]]] = {
    (Rule.COVER, Outcome.RELEASE): ("Nothing to do: the account's next release run sends it.",),
    (Rule.COVER, Outcome.HOLD): (
        "Wait: it is released by itself as soon as the balance covers it.",
        "Or ask the connected account to add funds.",
        "Or release it uncovered, at the platform's expense.",
    ),
    (Rule.DIRECT_SENT, Outcome.RELEASE): (
        "Nothing to do: Stripe takes it from the account as soon as it can, within 45 days.",
    ),
    (Rule.DIRECT_SHORT, Outcome.HOLD): (
        "Wait: it is released by itself as soon as the balance covers it.",
        "Or ask the connected account to add funds.",
        "Or release it: Stripe queues a card's refund, and refuses others.",
    ),
    (Rule.PARTIAL, Outcome.RELEASE): (
        "Nothing to do: a part goes out now, and the rest when the balance covers it.",
    ),
    (Rule.PLATFORM_SHORT, Outcome.HOLD): ("Add funds to the platform's Stripe balance.",),
    (Rule.OLDER_FIRST, Outcome.HOLD): (
        "Wait: an older request was passed over too often and goes first.",
    ),
    (Rule.STRIPE_SHORT, Outcome.HOLD): (
        "Wait: it is tried again, with a fresh key, when the balance is read next.",
    ),
    (Rule.PERSON, Outcome.RELEASE): ("Nothing to do: a person released it.",),
    (Rule.SMALL_SHORTFALL, Outcome.RELEASE): (
        "Nothing to do: the next release run sends it, and the platform stands in for the rest.",
    ),
    (Rule.COVERED_PER_DAY, Outcome.HOLD): (
        "Wait: it is released when the account covers it, or tomorrow (UTC) within the daily cap.",
        "Or release it uncovered, at the platform's expense.",
        "Or raise covered_per_day in the policy.",
    ),
    (Rule.EXPOSURE_LIMIT, Outcome.HOLD): (
        "Wait: it is released by itself as soon as the balance covers it.",
        "Or ask the connected account to add funds.",
        "Or release it uncovered, at the platform's expense.",
    ),
    (Rule.REVIEW_ABOVE, Outcome.REVIEW): (
        "Approve it: it then goes out when the balance covers it. Or cancel it.",
    ),
    (Rule.REFUND_WINDOW, Outcome.REVIEW): (
        "Release it uncovered before the window closes, at the platform's expense.",
        "Or approve it to keep waiting, or pay the buyer another way and close it.",
    ),
    (Rule.DEADLINE, Outcome.RELEASE): (
        "Nothing to do: the next release run sends it, and the platform stands in for the rest.",
    ),
    (Rule.DEADLINE, Outcome.REJECT): (
        "The buyer is still owed: ask for the refund again, or pay them another way.",
    ),
    (Rule.DEADLINE, Outcome.REVIEW): (
        "Approve it to wait as long again, release it uncovered, or close it.",
    ),
    (Rule.DISPUTED, Outcome.REJECT): ("Answer the dispute; a refund can't be sent meanwhile.",),
    (Rule.DISPUTED, Outcome.REVIEW): (
        "Wait for the dispute: won puts it back on hold, lost closes it.",
    ),
    (Rule.ALREADY_REFUNDED, Outcome.REJECT): ("Nothing to do: the buyer has the money.",),
    (Rule.ALREADY_REFUNDED, Outcome.REVIEW): ("Close it if the buyer has the money.",),
    (Rule.OVER_REMAINING, Outcome.REJECT): ("Ask for no more than is left of the charge.",),
    (Rule.OVER_REMAINING, Outcome.REVIEW): ("Close it, and ask again for what is left.",),
    (Rule.NOT_REFUNDABLE, Outcome.REJECT): ("Check the payment: it was not captured, or failed.",),
    (Rule.NOT_REFUNDABLE, Outcome.REVIEW): ("Check the payment in the Stripe Dashboard.",),
    (Rule.ACCOUNT_REJECTED, Outcome.REVIEW): (
        "Release it uncovered, at the platform's expense, or close it.",
    ),
    (Rule.ACCOUNT_DEAUTHORIZED, Outcome.REVIEW): (
        "Release it uncovered, at the platform's expense, or close it.",
    ),
    (Rule.ACCOUNT_DEAUTHORIZED, Outcome.REJECT): (
        "The account has to refund it by itself: the payment is its own.",
    ),
    (Rule.ACCOUNT_DEAUTHORIZED, Outcome.HOLD): (
        "Look in the Stripe Dashboard whether the account is still connected.",
        "Or release it uncovered, at the platform's expense.",
    ),
    (Rule.FOREIGN_REFUND, Outcome.REVIEW): ("The same wish: close it. Owed as well: approve it.",),
    (Rule.STRIPE_REFUSED, Outcome.REVIEW): (
        "Read Stripe's reason; approve it to try again, or close it.",
    ),
    (Rule.REFUND_FAILED, Outcome.REVIEW): (
        "The buyer is still owed: approve it to try again, or pay them another way and close it.",
    ),
    (Rule.REQUIRES_ACTION, Outcome.REVIEW): (
        "Stripe waits for the buyer; it moves on by itself when they act.",
    ),
    (Rule.REQUEST_OPEN, Outcome.REJECT): (
        "Wait for the open request, or ask again with additional=true if the buyer is owed both.",
    ),
    (Rule.TRANSFERS_UNCLEAR, Outcome.REJECT): (
        "Ask again, naming the transfers to take back, each with its amount.",
    ),
    (Rule.TRANSFERS_UNCLEAR, Outcome.REVIEW): (
        "Cancel it and ask again, naming transfers with something left.",
        "Or approve it: it takes what it can, and the platform stands in for the rest.",
    ),
    (Rule.COMPENSATED, Outcome.REVIEW): (
        "The accounts have their money back, and the buyer is still owed.",
        "Approve it to try again, or pay them another way and close it.",
    ),
    (Rule.NOT_GIVEN_BACK, Outcome.REVIEW): (
        "Read Stripe's reason. Approve it to refund the buyer with what was reversed.",
        "Or close it: the accounts are given it back then.",
    ),
    (Rule.NOT_GIVEN_BACK, Outcome.HOLD): (
        "Read Stripe's reason, and see to it that the account can be paid again.",
        "It is tried again by itself, at least twice a day: don't send it by hand as well.",
    ),
    (Rule.PAID_ELSEWHERE, Outcome.REVIEW): (
        "Nothing to do if that refund met the same wish: who paid it keeps what was reversed.",
        "If it met another one, transfer the accounts' money to them in the Stripe Dashboard.",
    ),
    (Rule.WRONG_LIVEMODE, Outcome.REJECT): (
        "Send it to the installation of that mode: test and live have a database and a key each.",
    ),
    (Rule.UNKNOWN_PAYMENT, Outcome.REJECT): ("Check the payment's id and the account's key.",),
    (Rule.NEVER_EXECUTED, Outcome.HOLD): (
        "Nothing to do: Stripe never carried it out, and it is tried again.",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """An outcome with its rule and its reason in one sentence with the figures."""

    outcome: Outcome
    rule: Rule
    why: str

    @property
    def next_steps(self) -> tuple[str, ...]:
        """What a person can do now."""
        return NEXT_STEPS.get((self.rule, self.outcome), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """What one connected account lacks for a request."""

    account: AccountId
    missing: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A decision with the figures it was made from; amounts in need's currency.

    Of a request that draws on several accounts they are those of the account with the greatest
    shortfall, which is the one it waits for; the decision's sentence names them all.
    """

    decision: Decision
    need: Need | None
    spendable_minor: int | None
    shortfall_minor: int | None
    eta: Eta | None = None
    """When pending money will have covered the shortfall, where that can be estimated."""
    shortfalls: tuple[Shortfall, ...] = field(default=(), compare=False)
    """Every account that lacks something. Not stored: the sentence says it."""


def decide(outcome: Outcome, rule: Rule, why: str) -> Decision:
    """Return the decision; a rule without next steps for its outcome is a bug."""
    assert (rule, outcome) in NEXT_STEPS, (rule, outcome)
    return Decision(outcome=outcome, rule=rule, why=why)


def without_figures(decision: Decision) -> Evaluation:
    """Return a decision that no balance was weighed for as an evaluation."""
    return Evaluation(decision=decision, need=None, spendable_minor=None, shortfall_minor=None)


def describe_need(need: Need) -> str:
    """Return the need in words, with its buffer where there is one."""
    text = format_minor(need.amount_minor, need.currency)
    if need.fx_buffer_minor:
        text += f" (+ {format_minor(need.fx_buffer_minor, need.currency)} FX buffer)"
    return text
