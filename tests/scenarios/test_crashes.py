"""Workers are killed at every step of a refund: none is sent twice, none is forgotten."""

from collections.abc import Mapping
from typing import Final

import pytest

from tests.scenarios.conftest import NewPlatform
from tests.support.crash_play import Call, CrashPlay, Point
from tests.support.processes import Platform
from tests.support.soundness import assert_sound, debits
from tests.support.wire import Mishap

LEASE_SECONDS: Final = 10
BACK_AT_WORK_SECONDS: Final = LEASE_SECONDS + 10
"""After a restart: the dead worker's lease ends, then each attempt is tried once more."""
HANG_SECONDS: Final = 8 + 4
"""More, where Stripe hangs: the read timeout, and the first backoff."""

Afterwards = Mapping[Point, Mishap]

FIRST: Final = (Point.BEFORE_STRIPE, Point.ANSWER_LOST)
SECOND: Final = (Point.STRIPE_BUSY, Point.BEFORE_SETTLE)


def _each(points: tuple[Point, ...], mishap: Mishap) -> Afterwards:
    return dict.fromkeys(points, mishap)


# What the first call after the restart meets. Each play has all four points; two of them meet the
# mishap, and at the other two Stripe is well. Three failures in a row would open the circuit, which
# is another story.
PLAYS: Final[Mapping[str, Mapping[str, Afterwards]]] = {
    "sqlite": {
        "500": _each(FIRST, Mishap.ANSWERED_500),
        "hang": _each(SECOND, Mishap.SWALLOWED),
        "reset": _each(FIRST, Mishap.RESET),
        "429": _each(SECOND, Mishap.ANSWERED_429),
    },
    "postgresql": {
        "500": _each(SECOND, Mishap.ANSWERED_500),
        "hang": _each(FIRST, Mishap.SWALLOWED),
        "reset": _each(SECOND, Mishap.RESET),
        "429": _each(FIRST, Mishap.ANSWERED_429),
    },
}


@pytest.mark.timeout(300)  # five plays, each with processes to start: slow on a busy machine
def test_a_killed_worker_leaves_every_refund_to_be_made_once(
    kind: str, new_platform: NewPlatform
) -> None:
    plays = {name: CrashPlay(new_platform(name)) for name in PLAYS[kind]}
    # All crash before the first is awaited: they sit out their leases side by side.
    for name, play in plays.items():
        play.begin()
        for point in Point:
            play.catch(point)
        play.crash()
        play.restart(PLAYS[kind][name])
    plays["two calls"] = _crash_between_two_calls(new_platform("two calls"))
    for name, play in plays.items():
        seconds = play.seconds_to_rest()
        _assert_made_once(name, play)
        assert seconds < BACK_AT_WORK_SECONDS + (HANG_SECONDS if name == "hang" else 0), name


def _crash_between_two_calls(platform: Platform) -> CrashPlay:
    """A person released these uncovered: the refund is one call, the reversal another."""
    play = CrashPlay(platform)
    play.begin(workers=2)
    for call in Call:
        for point in Point:
            play.catch(point, call, two_calls=True)
    play.crash()
    play.restart({Point.BEFORE_STRIPE: Mishap.RESET})
    return play


def _assert_made_once(name: str, play: CrashPlay) -> None:
    stage = play.platform.stage
    assert_sound(stage)
    made = {refund["charge"]: refund["amount"] for refund in stage.refunds()}
    assert len(stage.refunds()) == len(play.caught), name
    for caught in play.caught:
        about = f"{name}: killed when {caught.point} ({caught.call})"
        assert made[caught.charge] == caught.amount, about
        assert debits(stage, caught.account) == caught.debit, about
        view = stage.view(caught.request)
        assert (view["status"], view["amounts"]) == ("succeeded", {"succeeded": caught.amount})
