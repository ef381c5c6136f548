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
from handlers.promised import NOTHING_PROMISED, promised_elsewhere
from handlers.services import Services
from handlers.split import plan_split, with_chosen_transfers
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
from refunds.errors import InvalidWishError, PaymentNotFoundError
from refunds.facts import AccountStanding, BalanceFacts, ChargeFacts
from refunds.ids import PLATFORM_LANE, AccountId, RequestId, lane_of
from refunds.lifecycle import Bucket
from refunds.money import Money
from refunds.need import Split, draws_of, platform_cost
from refunds.policy import Policy
from refunds.pool import Holding, Pool, open_pool
from refunds.rules import judge
from refunds.wish import Wish
from store.attempts import mark_reservations
from store.charges import claimed_minor, with_known_refunds
from store.database import Unit
from store.installation import pinned_platform
from store.observations import standing_of
from store.queued import queued_by_others
from store.requests import Waiting, waiting_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What intake would decide now, and the facts it rests on."""

    charge: ChargeFacts
    split: Split | None
    """How a payment that was split is taken back."""
    policy: Policy
    """The account's, as it is now."""
    amount: Money
    evaluation: Evaluation
    balances: tuple[BalanceFacts, ...]
    inputs: dict[str, object]

    @property
    def account(self) -> AccountId | None:
        """The connected account in whose lane it waits."""
        return _accounts(self.charge)[0] if _accounts(self.charge) else None


def assess(services: Services, wish: Wish, created: datetime | None = None) -> Assessment:
    """Return the assessment of a well-formed wish, new unless it was `created` before.

    Raise `PaymentNotFoundError`, `InvalidWishError`, `TransfersUnclearError`, or the gateway's
    `UnavailableError` where Stripe could not be asked.
    """
    charge = read_charge(services, wish)
    looked = _look(services, wish, charge)
    stop = _what_stops(services, looked)
    if stop is not None:
        return looked.assessed(_stopped(looked, stop))
    return _weigh(services, wish, looked, created)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """A wish with what was read of its payment, before any balance."""

    charge: ChargeFacts
    counted: ChargeFacts
    """With every refund counted that we know of."""
    split: Split | None
    policy: Policy
    amount: Money
    claimed_minor: int

    def assessed(
        self,
        evaluation: Evaluation,
        balances: tuple[BalanceFacts, ...] = (),
        inputs: dict[str, object] | None = None,
    ) -> Assessment:
        """Return it with a verdict."""
        return Assessment(
            charge=self.charge,
            split=self.split,
            policy=self.policy,
            amount=self.amount,
            evaluation=evaluation,
            balances=balances,
            inputs=inputs or {},
        )


def _look(services: Services, wish: Wish, charge: ChargeFacts) -> _Looked:
    accounts = _accounts(charge)
    with services.database.reading() as unit:
        claimed = claimed_minor(unit, charge.charge, services.mode)
        policy = policy_of(services, unit, accounts[0] if accounts else None)
        # Without `additional` a second open request is refused anyway, and with a better reason.
        promised = (
            promised_elsewhere(unit, charge.charge, services.mode)
            if wish.additional
            else NOTHING_PROMISED
        )
    counted, amount = settle_amount(services, charge, wish, claimed)
    return _Looked(
        charge=charge,
        counted=counted,
        split=plan_split(counted, wish.transfers, amount, promised),
        policy=policy,
        amount=amount,
        claimed_minor=claimed,
    )


def _accounts(charge: ChargeFacts) -> list[AccountId]:
    """Return the connected accounts a refund draws on, the home account first."""
    if charge.account is not None:
        return [charge.account]
    return list(dict.fromkeys(transfer.account for transfer in charge.transfers))


def assess_unread(
    services: Services, wish: Wish, created: datetime, denied: AccountId
) -> Assessment:
    """Return the assessment of a wish with an account whose balance Stripe does not let us see: it
    waits, or comes before a person once its deadline has passed.

    Raise what `assess` raises.
    """
    looked = _look(services, wish, read_charge(services, wish))
    stop = _what_stops(services, looked)
    if stop is not None:
        return looked.assessed(_stopped(looked, stop))
    deadline = created + looked.policy.hold_for
    decision = without_balance(denied, deadline, services.clock(), frozenset())
    legs = legs_for(looked.charge, looked.split, looked.amount.amount_minor, looked.policy)
    need = next(draw.need for draw in draws_of(legs) if draw.account == denied)
    return looked.assessed(replace(without_figures(decision), need=need))


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
    return with_chosen_transfers(services, charge, wish)


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


def _what_stops(services: Services, looked: _Looked) -> Decision | None:
    charge = looked.counted
    with services.database.reading() as unit:
        platform = pinned_platform(unit)
    stop = None if platform is None else check_livemode(charge, livemode=platform.livemode)
    if stop is None:
        claim = Claim(amount=looked.amount, other_open_minor=looked.claimed_minor)
        stop = check_charge(charge, claim, at_intake=True)
    if stop is not None:
        return stop
    standings = ((account, known_standing(services, account)) for account in _accounts(charge))
    stops = (check_account(account, standing, frozenset()) for account, standing in standings)
    return next((stop for stop in stops if stop is not None), None)


def _stopped(looked: _Looked, stop: Decision) -> Evaluation:
    """Return the verdict, with what the platform may stand in for where that is an offer."""
    legs = legs_for(looked.charge, looked.split, looked.amount.amount_minor, looked.policy)
    alone = looked.charge.lives_in is None and len(legs) == 1
    need = legs[0].need if alone else None
    told = stating_exposure(stop, need)
    return without_figures(stop) if told is stop else replace(without_figures(told), need=need)


def _weigh(services: Services, wish: Wish, looked: _Looked, created: datetime | None) -> Assessment:
    """Judge the wish against what is free now: reservations first, balances after."""
    now, policy, charge = services.clock(), looked.policy, looked.charge
    names = _accounts(charge)
    with services.database.reading() as unit:
        kept = {name: _kept_of(services, unit, name) for name in names}
        platform_mark = mark_reservations(unit, PLATFORM_LANE)
        legs = legs_for(charge, looked.split, looked.amount.amount_minor, policy)
        caps = caps_left(unit, policy, [leg.purse for leg in legs], now)
        rows = waiting_in(unit, lane_of(names[0] if names else None), services.mode, now)
        waiting = [candidate_of(unit, row, policy, now) for row in rows]
        ahead = _promised(rows, waiting)
    platform = services.gateway.read_balance(None)
    circuit.note_success(services, None)
    balances = {name: services.gateway.read_balance(name) for name in names}
    for name in names:
        circuit.note_success(services, name)
    pool = open_pool(
        accounts={
            name: replace(holding, available=balances[name].available)
            for name, holding in kept.items()
        },
        platform=Holding(available=platform.available, reserved=platform_mark.open_minor),
        caps=caps,
    )
    candidate = _new_candidate(wish, looked, now, created or now)
    evaluation = judge(candidate, _less(pool, ahead), policy, now)
    # What is covered and only waits for its run is deducted from the pool already.
    held = [other for other in waiting if other not in ahead]
    [(_, evaluation)] = with_eta(
        services, frozenset(names), [(candidate, evaluation)], known={}, ahead_of_all=held
    )
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
                "available": balances[draw.account].available_in(draw.need.currency),
                "reserved": kept[draw.account].reserved.get(draw.need.currency, 0),
                "queued": kept[draw.account].queued.get(draw.need.currency, 0),
            }
            for draw in candidate.draws
        ],
    }
    return looked.assessed(evaluation, (platform, *balances.values()), inputs)


def _kept_of(services: Services, unit: Unit, account: AccountId) -> Holding:
    """Return what of an account's balance is not there to promise."""
    return Holding(
        reserved=mark_reservations(unit, lane_of(account)).open_minor,
        minimum=policy_of(services, unit, account).minimum_balance,
        queued=queued_by_others(unit, account),
    )


def _new_candidate(wish: Wish, looked: _Looked, now: datetime, created: datetime) -> Candidate:
    charge, policy, refund_minor = looked.charge, looked.policy, looked.amount.amount_minor
    return Candidate(
        request=RequestId("rr_new"),
        created=now,
        amount=looked.amount,
        legs=legs_for(charge, looked.split, refund_minor, policy),
        platform_cost=platform_cost(
            charge,
            refund_minor,
            policy.fx_buffer_percent,
            fee_back=wish.refund_application_fee,
        ),
        stripe_queues=stripe_queues(charge, policy),
        deadline=created + policy.hold_for,
        window_closes=window_closes(charge, policy),
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
