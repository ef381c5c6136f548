"""The course of time: what is due happens, in order, each thing at its own moment.

It carries out appointments and may not make decisions that a verb should make.
"""

from collections.abc import Iterable
from typing import assert_never

from sandbox.shapes import AccountId
from sandbox.world import balances, payouts, refund_course, reserve, topups
from sandbox.world.agenda import Appointment, Plan
from sandbox.world.books import Line
from sandbox.world.core import World


def catch_up(world: World) -> None:
    """Let everything happen that is due by now."""
    while (moment := _next(world)) is not None and moment <= world.now():
        with world.clock.standing_at(moment):
            _settle(world)
            while (appointment := world.agenda.take(moment)) is not None:
                _carry_out(world, appointment)
            _tell_gained(world)
    _tell_gained(world)
    refund_course.try_waiting(world)
    reserve.follow(world)


def advance(world: World, seconds: int) -> None:
    """Move the clock and let everything happen on the way."""
    world.clock.advance(seconds)
    catch_up(world)


def make_available(world: World, owner: AccountId, currency: str | None = None) -> int:
    """Make an account's pending money available now; answers how many transactions that was."""
    moved = world.books.bring_forward(owner, currency, world.now())
    for txn in moved:
        world.shelves.get(txn).body["available_on"] = world.now()
    catch_up(world)
    return len(moved)


def _next(world: World) -> int | None:
    moments = [m for m in (world.books.next_due(), world.agenda.next_at()) if m is not None]
    return min(moments) if moments else None


def _settle(world: World) -> None:
    settled = world.books.settle(world.now())
    for txn, _ in settled:
        world.shelves.get(txn).body["status"] = "available"
    for owner in _gainers(line for _, line in settled):
        balances.tell_available(world, owner)
    if settled:
        refund_course.try_waiting(world)


def _tell_gained(world: World) -> None:
    gained, world.gained = world.gained, []
    for owner in dict.fromkeys(gained):
        balances.tell_available(world, owner)


def _gainers(lines: Iterable[Line]) -> list[AccountId]:
    # Stripe doesn't fire balance.available for negative transactions alone.
    return list(dict.fromkeys(line.owner for line in lines if line.net_minor > 0))


def _carry_out(world: World, appointment: Appointment) -> None:
    record = world.shelves.get(appointment.subject)
    match appointment.plan:
        case Plan.REFUND_SUCCEEDS:
            refund_course.succeed(world, record)
        case Plan.REFUND_FAILS:
            refund_course.fail(world, record)
        case Plan.REFUND_EXPIRES:
            refund_course.expire(world, record)
        case Plan.PAYOUT_ARRIVES:
            payouts.arrive(world, record)
        case Plan.PAYOUT_RUN:
            payouts.run(world, record)
        case Plan.TOPUP_ARRIVES:
            topups.arrive(world, record)
        case _:
            assert_never(appointment.plan)
