"""Random stories: requests come and go, Stripe has bad days, workers die, operators change their
minds. In the end every account is paid out as its operator last said.
"""

from random import Random
from typing import Final

import pytest

from handlers.operate import Action, act
from refunds.errors import WrongStateError
from refunds.guard import GuardState
from refunds.ids import AccountId, RequestId
from tests.support.guard_stage import GuardStage

STEPS: Final = 25
FAULTS: Final = ("lost_response", "reset", "http_500", "http_429")


class Story:
    """One account's fortunes, and what its operator said last."""

    def __init__(self, stage: GuardStage, seed: int) -> None:
        self.stage = stage
        self.random = Random(seed)
        self.said: int | None = self.random.choice([None, 1_000])
        self.account: AccountId = stage.shop(own=None if self.said is None else {"usd": self.said})
        self.open: list[RequestId] = []
        # Odd, and each another one: never what the guard itself would write.
        self._next_value = 100_001

    def step(self) -> None:
        """Let something happen."""
        self.random.choice(
            [
                self.ask,
                self.ask,
                self.end,
                self.end,
                self.change_by_hand,
                self.bad_call,
                self.die,
                self.wait,
                self.wait,
                self.stage.settle,
                self.sweep,
            ]
        )()

    def ask(self) -> None:
        """Somebody wants a refund that nothing covers."""
        charge = self.stage.pay(self.account, 20_000)
        self.open.append(self.stage.hold(charge, self.random.choice([3_000, 5_000])))

    def end(self) -> None:
        """A request is over."""
        if self.open:
            request = self.open.pop(self.random.randrange(len(self.open)))
            try:
                act(self.stage.services, Action.CANCEL, request, note="enough", actor="ann")
            except WrongStateError:
                # It was released meanwhile.
                return

    def change_by_hand(self) -> None:
        """The operator changes their mind, which happens less often."""
        if self.random.random() < 0.4:
            self._next_value += 2
            self.said = self._next_value
            self.stage.set_by_hand(
                self.account, minimum_balance_by_currency={"usd": self._next_value}
            )

    def bad_call(self) -> None:
        """The next write goes wrong."""
        fault = self.random.choice(FAULTS)
        self.stage.fault(fault, "/v1/balance_settings", method="POST", account=self.account)
        self.wait()
        # Whoever met it, met it: an operator's own call must not.
        self.stage.sandbox.control("DELETE", "faults")

    def die(self) -> None:
        """A worker dies somewhere in its work."""
        self.stage.later(3)
        self.stage.dies_after(self.random.randrange(14), self.stage.guard_once)

    def wait(self) -> None:
        """A guard that is due is looked after once."""
        self.stage.later(self.random.choice([3, 20, 120]))
        self.stage.guard_once()

    def sweep(self) -> None:
        """The timer's round."""
        self.stage.sweep()

    def close(self) -> None:
        """Everything comes to an end."""
        while self.open:
            self.end()
        for _ in range(3):
            self.stage.later(600)
            self.stage.sweep()


@pytest.mark.parametrize("seed", range(4))
def test_in_the_end_it_is_as_the_operator_last_said(stage: GuardStage, seed: int) -> None:
    story = Story(stage, seed)
    for _ in range(STEPS):
        story.step()
    story.close()
    said = None if story.said is None else {"usd": story.said}
    assert stage.minimum(story.account) == said
    if stage.told(story.account):
        assert stage.guard(story.account)["state"] is GuardState.OFF
        assert stage.guard(story.account)["settings"] == []
