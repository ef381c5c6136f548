"""Whole stories with several workers or people at once: one refund, and one of them is right."""

import threading
from collections.abc import Callable
from datetime import timedelta

from handlers.intake import take_in
from handlers.operate import Action, act
from handlers.release import run_due_lane
from handlers.unsettled import recover_due_attempt
from refunds.errors import RequestOpenError, WrongStateError
from refunds.ids import RequestId
from refunds.wish import Wish
from store.charges import open_requests
from store.ledger import entries_of
from tests.support.stage import Stage


def at_once(*acts: Callable[[], object]) -> list[object]:
    """Do these at the same moment; return what each returned, or the error it ended with."""
    start = threading.Barrier(len(acts))
    came: list[object] = [None] * len(acts)

    def do(number: int) -> None:
        start.wait(20)
        try:
            came[number] = acts[number]()
        except (RequestOpenError, WrongStateError) as error:
            came[number] = error

    threads = [threading.Thread(target=do, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return came


def test_the_hung_post_whose_lease_expired(stage: Stage) -> None:
    # The first worker's call hangs with its effect done. The second takes the attempt over when
    # the lease ends and asks with the same key; then the first one wakes up.
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 5000)
    request = stage.wish(charge)
    stage.fault("delay", seconds=2, after_effect=True)
    first = threading.Thread(target=run_due_lane, args=(stage.services,))
    first.start()
    second = stage.another_worker("worker-2")
    deadline = threading.Event()
    while not stage.refunds() and not deadline.wait(0.05):
        assert first.is_alive()
    assert stage.view(request)["status"] == "releasing"
    stage.offset += timedelta(seconds=11)
    assert recover_due_attempt(second)
    first.join(30)
    stage.later(seconds=30)
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    assert len(stage.refunds()) == 1
    keys = [call["idempotency_key"] for call in stage.calls() if call["path"] == "/v1/refunds"]
    assert len(keys) >= 1
    assert len(set(keys)) == 1


def test_two_agents_one_charge(stage: Stage) -> None:
    # Two people of the shop's support ask for the same payment in the same second.
    charge = stage.paid(stage.account(), 5000)

    def asks(agent: str) -> RequestId:
        wish = Wish(payment=charge, amount_minor=5000)
        return take_in(stage.services, wish, idempotency_key=agent, actor=agent).request

    came = at_once(lambda: asks("ann"), lambda: asks("bob"))
    (refused,) = [each for each in came if isinstance(each, RequestOpenError)]
    (taken,) = [each for each in came if isinstance(each, str)]
    assert taken in str(refused)
    # Then one of them cancels it in the moment in which the other releases it.
    request = RequestId(taken)
    ended = at_once(
        lambda: act(stage.services, Action.CANCEL, request, note="twice", actor="ann"),
        lambda: act(stage.services, Action.CLOSE, request, note="paid in cash", actor="bob"),
    )
    assert [type(each) for each in ended].count(WrongStateError) == 1
    with stage.services.database.reading() as unit:
        assert open_requests(unit, charge) == []
        assert len(entries_of(unit, request)) == 3
