"""Signals: heard after the commit, never for what was rolled back; a deaf ear stops nobody."""

import pytest

from handlers.due import money_came_in
from handlers.signals import announce_work, work_due
from refunds.ids import AccountId
from tests.support.stage import Stage


class Ears:
    """Counts what it hears."""

    def __init__(self) -> None:
        self.heard = 0
        work_due.connect(self.hear)

    def hear(self, _sender: object) -> None:
        self.heard += 1


def test_money_for_a_lane_that_waits_is_heard_after_the_commit(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 0)
    stage.wish(charge)
    ears = Ears()
    with stage.services.database.unit_of_work() as unit:
        money_came_in(unit, AccountId(account), now=stage.now(), cause="balance.available")
        assert ears.heard == 0
    assert ears.heard == 1
    with stage.services.database.unit_of_work() as unit:
        money_came_in(unit, AccountId("acct_nobody"), now=stage.now(), cause="balance.available")
    assert ears.heard == 1


def test_what_is_rolled_back_is_not_heard(stage: Stage) -> None:
    ears = Ears()

    def fail_after_announcing() -> None:
        with stage.services.database.unit_of_work() as unit:
            announce_work(unit)
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail_after_announcing()
    assert ears.heard == 0


def test_a_receiver_that_fails_does_not_undo_the_commit(stage: Stage) -> None:
    def fail(_sender: object) -> None:
        raise ValueError("deaf")

    with work_due.connected_to(fail), stage.services.database.unit_of_work() as unit:
        announce_work(unit)
    ears = Ears()
    with stage.services.database.unit_of_work() as unit:
        announce_work(unit)
    assert ears.heard == 1
