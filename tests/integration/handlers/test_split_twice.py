"""Several requests of one split payment: each leaves to the others what was promised to them."""

import pytest

from handlers import intake
from handlers.assess import Assessment, assess
from handlers.operate import Action, act
from handlers.services import Services
from refunds.errors import InvalidWishError, RequestOpenError
from refunds.wish import Wish
from tests.support.split_play import (
    look_again,
    named,
    reversed_of,
    rule,
    two_sellers,
)
from tests.support.stage import Stage


def test_what_an_open_request_takes_back_is_not_there_for_a_second_one(stage: Stage) -> None:
    first, second, charge, one, two = two_sellers(stage)
    stage.wish(charge, 5000, transfers=named((one, 5000)))
    # 6000 - 5000 = 1000.
    with pytest.raises(InvalidWishError, match=r"10\.01 USD is more than the 10\.00 USD left of"):
        stage.wish(charge, 4000, transfers=named((one, 1001)), additional=True)
    with pytest.raises(RequestOpenError):
        stage.wish(charge, 4000, transfers=named((one, 1001)))
    request = stage.wish(charge, 4000, transfers=named((one, 1000), (two, 3000)), additional=True)
    stage.has(first, 6000)
    stage.has(second, 3000)
    look_again(stage)
    assert stage.view(request)["status"] == "succeeded"
    assert (reversed_of(stage, one), reversed_of(stage, two)) == (6000, 3000)


def test_the_refund_that_completes_the_charge_takes_what_the_others_leave(stage: Stage) -> None:
    first, second, charge, one, two = two_sellers(stage)
    stage.wish(charge, 5000, transfers=named((one, 5000)))
    rest = stage.wish(charge, 5000, transfers=named((one, None), (two, None)), additional=True)
    stage.has(first, 6000)
    stage.has(second, 3000)
    look_again(stage)
    assert stage.view(rest)["status"] == "succeeded"
    assert (reversed_of(stage, one), reversed_of(stage, two)) == (6000, 3000)


def test_a_canceled_request_leaves_its_transfer_to_the_next_one(stage: Stage) -> None:
    _first, _second, charge, one, _two = two_sellers(stage)
    request = stage.wish(charge, 5000, transfers=named((one, 5000)))
    act(stage.services, Action.CANCEL, request, note="not owed", actor="ada")
    again = stage.wish(charge, 6000, transfers=named((one, 6000)))
    assert stage.view(again)["status"] == "held"


def test_two_wishes_that_race_are_counted_under_the_charges_lock(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another wish of the same transfer is taken in after this one had looked."""
    _first, _second, charge, one, _two = two_sellers(stage)

    def looked_too_early(services: Services, wish: Wish) -> Assessment:
        assessment = assess(services, wish)
        monkeypatch.setattr(intake, "assess", assess)
        stage.wish(charge, 5000, transfers=named((one, 5000)))
        return assessment

    monkeypatch.setattr(intake, "assess", looked_too_early)
    with pytest.raises(InvalidWishError, match="that open requests take back"):
        stage.wish(charge, 4000, transfers=named((one, 4000)), additional=True)


def test_a_wish_made_while_stripe_was_away_is_rejected_for_what_was_promised(stage: Stage) -> None:
    _first, _second, charge, one, _two = two_sellers(stage)
    stage.wish(charge, 5000, transfers=named((one, 5000)))
    stage.fault("reset", path="/v1/charges/*", method="GET")
    late = stage.wish(charge, 5000, transfers=named((one, 5000)), additional=True)
    assert stage.view(late)["decision"] is None
    stage.later(minutes=1)
    stage.work()
    assert stage.view(late)["status"] == "rejected"


def test_what_was_taken_back_for_an_older_release_is_asked_about(stage: Stage) -> None:
    """The recovery of an uncovered release takes from the transfer that a later request counts on:
    sent as covered, its 40.00 would be the platform's without a word.
    """
    from handlers.recovery import collect

    first, _second, charge, one, two = two_sellers(stage)
    uncovered = stage.wish(charge, 5000, transfers=named((one, 5000)))
    act(stage.services, Action.RELEASE, uncovered, note="we stand in", actor="ada")
    stage.work()
    later = stage.wish(charge, 5000, transfers=named((one, 5000)), additional=True)
    act(stage.services, Action.CANCEL, later, note="first the debt", actor="ada")
    stage.has(first, 5000)
    later = stage.wish(charge, 5000, transfers=named((one, 5000)), additional=True)
    stage.has(first, 10_000)
    assert collect(stage.services, lambda: None) == "1 reversal"
    look_again(stage)
    view = stage.view(later)
    assert (view["status"], rule(stage, later)) == ("review", "transfers_unclear")
    assert view["decision"] is not None
    assert "50.00 USD of" in view["decision"]["why"]
    assert "left 10.00 USD of it" in view["decision"]["why"]
    assert reversed_of(stage, one) == 5000
    act(stage.services, Action.APPROVE, later, note="our loss", actor="ada")
    stage.work()
    assert stage.view(later)["status"] == "succeeded"
    assert (reversed_of(stage, one), reversed_of(stage, two)) == (6000, 0)
