"""Looks at a wish with Stripe's eyes: reads the payment and the balances, and judges.

It may not record anything; intake does, and a preview shows it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.port import NotFoundError, RejectedReadError
from handlers import circuit
from handlers.acquaintance import known_standing
from handlers.candidates import candidate_of, legs_for, stripe_queues, window_closes
from handlers.caps import caps_left
from handlers.expect import with_eta
from handlers.policies import policy_of
from handlers.services import Services
from refunds.blocks import (
    Claim,
    check_account,
    check_charge,
    check_livemode,
    stating_exposure,
    without_balance,
)
from refunds.candidate import Candidate
from refunds.decision import Decision, Evaluation, Outcome, without_figures
from refunds.errors import InvalidWishError, PaymentNotFoundError, UnsupportedChargeError
from refunds.facts import AccountStanding, BalanceFacts, ChargeFacts, ChargeType
from refunds.ids import PLATFORM_LANE, RequestId, lane_of
from refunds.lifecycle import Bucket
from refunds.money import Money
from refunds.need import platform_cost
from refunds.policy import Policy
from refunds.pool import Holding, Pool, open_pool
from refunds.rules import judge
from refunds.wish import Wish
from store.attempts import mark_reservations
from store.charges import claimed_minor, with_known_refunds
from store.installation import pinned_platform
from store.observations import standing_of
from store.queued import queued_by_others
from store.requests import Waiting, waiting_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What intake would decide now, and the facts it rests on."""

    charge: ChargeFacts
    policy: Policy
    """The account's, as it is now."""
    amount: Money
    evaluation: Evaluation
    balances: tuple[BalanceFacts, ...]
    inputs: dict[str, object]


def assess(services: Services, wish: Wish, created: datetime | None = None) -> Assessment:
    """Return the assessment of a well-formed wish, new unless it was `created` before.

    Raise `PaymentNotFoundError`, `InvalidWishError`, `UnsupportedChargeError`, or the gateway's
    `UnavailableError` where Stripe could not be asked.
    """
    charge = read_charge(services, wish)
    with services.database.reading() as unit:
        claimed = claimed_minor(unit, charge.charge, services.mode)
        policy = policy_of(services, unit, charge.account)
    counted, amount = settle_amount(services, charge, wish, claimed)
    stop = _what_stops(services, counted, amount, claimed)
    if stop is not None:
        return Assessment(
            charge=charge,
            policy=policy,
            amount=amount,
            evaluation=_stopped(charge, amount, policy, stop),
            balances=(),
            inputs={},
        )
    return _weigh(services, wish, charge, policy, amount, created)


def assess_unread(services: Services, wish: Wish, created: datetime) -> Assessment:
    """Return the assessment of a wish whose account's balance Stripe does not let us see: it waits,
    or comes before a person once its deadline has passed.

    Raise what `assess` raises.
    """
    charge = read_charge(services, wish)
    with services.database.reading() as unit:
        claimed = claimed_minor(unit, charge.charge, services.mode)
        policy = policy_of(services, unit, charge.account)
    counted, amount = settle_amount(services, charge, wish, claimed)
    decision = _what_stops(services, counted, amount, claimed)
    need = None
    if decision is None:
        assert charge.account is not None, "an account denied us a look"
        deadline = created + policy.hold_for
        decision = without_balance(charge.account, deadline, services.clock(), frozenset())
        [leg] = legs_for(charge, amount.amount_minor, policy)
        need = leg.need
    return Assessment(
        charge=charge,
        policy=policy,
        amount=amount,
        evaluation=replace(without_figures(decision), need=need),
        balances=(),
        inputs={},
    )


def read_charge(services: Services, wish: Wish) -> ChargeFacts:
    """Return the payment's charge, or say why it can't be refunded through Sluice."""
    if wish.account is not None:
        with services.database.reading() as unit:
            standing = standing_of(unit, wish.account)
        if standing is AccountStanding.DEAUTHORIZED:
            raise PaymentNotFoundError(
                f"{wish.account} has disconnected from the platform: Stripe shows none of its "
                "payments, and only the account itself can refund them",
                param="account",
            )
    try:
        charge = services.gateway.read_payment(wish.payment, wish.account)
    except NotFoundError as error:
        seen_from = wish.account or "the platform; of a direct charge, name its account"
        raise PaymentNotFoundError(
            f"Stripe knows no payment {wish.payment}, seen from {seen_from}",
            param="payment_intent",
        ) from error
    except RejectedReadError as error:
        raise InvalidWishError(str(error), param="payment_intent") from error
    circuit.note_success(services, wish.account)
    if charge.charge_type is ChargeType.SEPARATE:
        raise UnsupportedChargeError(
            f"{charge.charge} is a {charge.charge_type} charge; direct and destination charges and "
            "payments of the platform itself are supported",
            param="payment_intent",
        )
    return charge


def settle_amount(
    services: Services, charge: ChargeFacts, wish: Wish, claimed: int
) -> tuple[ChargeFacts, Money]:
    """Return the amount the wish means, and the charge with every refund we know of counted."""
    with services.database.reading() as unit:
        charge = with_known_refunds(unit, charge)
    if wish.amount_minor is None:
        left_minor = charge.remaining_minor - claimed
        # Nothing left: the wish meant the whole payment, and is recorded as rejected.
        minor = left_minor if left_minor > 0 else charge.amount.amount_minor
        return charge, Money(minor, charge.amount.currency)
    if wish.amount_minor > charge.amount.amount_minor:
        asked = Money(wish.amount_minor, charge.amount.currency)
        raise InvalidWishError(
            f"amount {asked} is more than {charge.charge} ever was ({charge.amount})",
            param="amount",
        )
    return charge, Money(wish.amount_minor, charge.amount.currency)


def _what_stops(
    services: Services, charge: ChargeFacts, amount: Money, claimed: int
) -> Decision | None:
    with services.database.reading() as unit:
        platform = pinned_platform(unit)
    stop = None if platform is None else check_livemode(charge, livemode=platform.livemode)
    if stop is None:
        claim = Claim(amount=amount, other_open_minor=claimed)
        stop = check_charge(charge, claim, at_intake=True)
    if stop is not None or charge.account is None:
        return stop
    standing = known_standing(services, charge.account)
    return check_account(charge.account, standing, frozenset())


def _stopped(charge: ChargeFacts, amount: Money, policy: Policy, stop: Decision) -> Evaluation:
    """Return the verdict, with what the platform may stand in for where that is an offer."""
    legs = () if charge.lives_in is not None else legs_for(charge, amount.amount_minor, policy)
    need = legs[0].need if len(legs) == 1 else None
    told = stating_exposure(stop, need)
    return without_figures(stop) if told is stop else replace(without_figures(told), need=need)


def _weigh(
    services: Services,
    wish: Wish,
    charge: ChargeFacts,
    policy: Policy,
    amount: Money,
    created: datetime | None,
) -> Assessment:
    """Judge the wish against what is free now: reservations first, balances after."""
    now = services.clock()
    lane = lane_of(charge.account)
    with services.database.reading() as unit:
        account_mark = mark_reservations(unit, lane)
        queued = {} if charge.account is None else queued_by_others(unit, charge.account)
        platform_mark = mark_reservations(unit, PLATFORM_LANE)
        legs = legs_for(charge, amount.amount_minor, policy)
        caps = caps_left(unit, policy, [leg.purse for leg in legs], now)
        rows = waiting_in(unit, lane, services.mode, now)
        waiting = [candidate_of(unit, row, policy, now) for row in rows]
        ahead = _promised(rows, waiting)
    platform = services.gateway.read_balance(None)
    account = None if charge.account is None else services.gateway.read_balance(charge.account)
    circuit.note_success(services, charge.account)
    pool = open_pool(
        accounts={
            account.account: Holding(
                available=account.available,
                reserved=account_mark.open_minor,
                minimum=policy.minimum_balance,
                queued=queued,
            )
            for account in (account,)
            if account is not None and account.account is not None
        },
        platform=Holding(available=platform.available, reserved=platform_mark.open_minor),
        caps=caps,
    )
    candidate = Candidate(
        request=RequestId("rr_new"),
        created=now,
        amount=amount,
        legs=legs,
        platform_cost=platform_cost(
            charge,
            amount.amount_minor,
            policy.fx_buffer_percent,
            fee_back=wish.refund_application_fee,
        ),
        stripe_queues=stripe_queues(charge, policy),
        deadline=(created or now) + policy.hold_for,
        window_closes=window_closes(charge, policy),
    )
    evaluation = judge(candidate, _less(pool, ahead), policy, now)
    # What is covered and only waits for its run is deducted from the pool already.
    held = [other for other in waiting if other not in ahead]
    readable = frozenset() if charge.account is None else frozenset({charge.account})
    [(_, evaluation)] = with_eta(
        services, readable, [(candidate, evaluation)], known={}, ahead_of_all=held
    )
    balances = (platform,) if account is None else (platform, account)
    inputs: dict[str, object] = {
        "platform_cost": candidate.platform_cost.amount_minor,
        "platform_currency": candidate.platform_cost.currency,
        "platform_available": platform.available_in(candidate.platform_cost.currency),
        "accounts": [
            {
                "account": draw.account,
                "need": draw.need.total_minor,
                "currency": draw.need.currency,
                "own_pending": draw.own_pending_minor,
                "available": account.available_in(draw.need.currency),
                "reserved": account_mark.open_minor.get(draw.need.currency, 0),
            }
            for draw in candidate.draws
            if account is not None
        ],
    }
    return Assessment(
        charge=charge,
        policy=policy,
        amount=amount,
        evaluation=evaluation,
        balances=balances,
        inputs=inputs,
    )


def _promised(rows: Sequence[Waiting], candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return those that are covered and wait for nothing but the lane's next run."""
    return [
        candidate
        for row, candidate in zip(rows, candidates, strict=True)
        if row.bucket is Bucket.REQUESTED
        and row.latest is not None
        and row.latest.decision.outcome is Outcome.RELEASE
    ]


def _less(pool: Pool, ahead: list[Candidate]) -> Pool:
    for candidate in ahead:
        pool = pool.take(candidate.takes, candidate.platform_cost)
    return pool
