"""Money that a request owes to accounts after its end, where Stripe refuses to pay them."""

from collections.abc import Set
from dataclasses import dataclass, replace
from typing import Any

import pytest

from handlers.operate import Action, act
from handlers.reconcile import reconcile
from handlers.services import Services
from refunds.ids import RequestId
from refunds.steps import RefusalKind, Refused, StepKind, StepOutcome, StripeCall
from store.outbox import told_of
from tests.support.split_play import balance, named, promised, rule, two_sellers
from tests.support.stage import Stage

GONE = Refused(
    kind=RefusalKind.OTHER,
    code="account_invalid",
    message="No such destination.",
    http_status=400,
    stripe_request=None,
)


@dataclass
class Refusing:
    """Stripe, where these accounts can't be paid for now."""

    gateway: Any
    refuses: Set[str]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.gateway, name)

    def execute(self, call: StripeCall) -> StepOutcome:
        if call.kind is StepKind.TRANSFER and call.params.get("destination") in self.refuses:
            return GONE
        answer: StepOutcome = self.gateway.execute(call)
        return answer


def failed_late(stage: Stage) -> tuple[str, str, str, RequestId]:
    """A refund of both accounts' money that failed after it had succeeded."""
    first, second, charge, one, two = two_sellers(stage)
    stage.has(first, 6000)
    stage.has(second, 3000)
    request = stage.wish(charge, transfers=named((one, None), (two, None)))
    stage.work()
    (refund,) = stage.refunds()
    stage.sandbox.control("POST", f"refunds/{refund['id']}/fail", {})
    reconcile(stage.services)
    return first, second, charge, request


def refusing(stage: Stage, *accounts: str) -> Services:
    """Let Stripe refuse these accounts' transfers; return the services as they were."""
    before = stage.services
    gateway: Any = Refusing(before.gateway, frozenset(accounts))
    stage.services = replace(before, gateway=gateway)
    return before


@pytest.mark.parametrize("action", [Action.CLOSE, Action.CANCEL])
def test_what_a_closed_request_owes_is_sent_once_it_can_be(stage: Stage, action: Action) -> None:
    first, second, charge, request = failed_late(stage)
    well = refusing(stage, first, second)
    act(stage.services, action, request, note="paid in cash", actor="ada")
    stage.work()
    view = stage.view(request)
    assert view["status"] in ("closed", "canceled")
    assert rule(stage, request) == "not_given_back"
    assert "tried again by itself" in view["next_steps"][1]
    stage.later(hours=2)
    stage.work()
    assert (balance(stage, first), balance(stage, second)) == (0, 0)
    with well.database.reading() as unit:
        told = [row for row in told_of(unit, charge) if row.kind == "money.unexpected"]
    # Once for each account, however often it is tried.
    assert len(told) == 2
    stage.services = well
    stage.later(hours=13)
    stage.work()
    assert (balance(stage, first), balance(stage, second)) == (6000, 3000)
    assert promised(stage) == {}


def test_an_account_that_cant_be_paid_is_in_no_other_ones_way(stage: Stage) -> None:
    first, second, _, request = failed_late(stage)
    refusing(stage, first)
    act(stage.services, Action.CLOSE, request, note="paid in cash", actor="ada")
    stage.work()
    stage.later(hours=2)
    stage.work()
    # 60.00 are still owed to the one, and the other has its 30.00.
    assert (balance(stage, first), balance(stage, second)) == (0, 3000)
    assert sum(promised(stage).values()) == 6000
