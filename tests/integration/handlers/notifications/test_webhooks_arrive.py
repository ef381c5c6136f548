"""What is told arrives, once in effect, whatever receivers answer; nothing else is held up by it.

Receivers are real servers on this machine; time is ours.
"""

import threading
from datetime import timedelta

import pytest

from handlers.notifications.channel import Message, Outcome
from handlers.notifications.configured import Endpoint
from handlers.notifications.dispatch import GIVE_UP_AFTER, Dispatcher
from handlers.notifications.log import LogChannel
from handlers.notifications.operate import enable_receiver, requeue_notification
from handlers.notifications.webhook import WebhookChannel
from handlers.prune import prune
from refunds.errors import WrongStateError
from store.dispatches import claim_dispatches
from store.outbox import told_of
from store.receivers import list_receivers
from store.tables.outbox import DispatchState
from store.told import KEEP
from tests.support.receivers import (
    OLD_SECRET,
    SECRET,
    HttpReceiver,
    http_receiver,
)
from tests.support.stage import Stage
from tests.support.telling import dispatches, held, tell, webhook


def test_a_system_is_told_with_a_signature_and_the_object_of_the_api(
    stage: Stage, http: HttpReceiver
) -> None:
    _account, request = held(stage)
    before = stage.view(request)
    tell(stage, webhook(http))
    [(name, payload)] = http.taken.items()
    assert payload["type"] == "refund_request.held"
    assert payload["data"] == before
    assert payload["buyer_text"].startswith("Your refund of 1,234.50 USD")
    with stage.services.database.reading() as unit:
        [row] = told_of(unit, request)
    assert (row.id, row.payload) == (name, payload)
    assert row.addressed_at is not None
    [done] = dispatches(stage)
    assert (done.state, done.note, done.attempts) == (DispatchState.DONE, "HTTP 200", 1)
    tell(stage, webhook(http))
    assert len(http.tries) == 1


@pytest.mark.parametrize("status", [301, 400, 401, 404, 500, 503])
def test_whatever_is_no_success_is_tried_again_until_it_is(
    stage: Stage, http: HttpReceiver, status: int
) -> None:
    http.answers = [status, status]
    http.headers = {"Location": http.url + "/elsewhere"}
    held(stage)
    channel = webhook(http)
    for tries in (1, 2, 3):
        tell(stage, channel)
        assert len(http.tries) == tries
        tell(stage, channel)
        assert len(http.tries) == tries, "not before its time"
        stage.offset += timedelta(seconds=11)
    # Three tries, one id, the same bytes each time, one effect.
    assert len(http.tries_of()) == len(http.taken) == 1
    assert [len(each) for each in http.bodies.values()] == [1]


def test_an_answer_that_is_lost_has_one_effect(stage: Stage, http: HttpReceiver) -> None:
    http.lost = 1
    held(stage)
    channel = webhook(http)
    tell(stage, channel)
    assert (len(http.tries), len(http.taken)) == (1, 1)
    stage.offset += timedelta(seconds=6)
    tell(stage, channel)
    assert (len(http.tries), len(http.taken)) == (2, 1)
    assert [each.state for each in dispatches(stage)] == [DispatchState.DONE]


def test_a_receiver_says_when_to_come_again(stage: Stage, http: HttpReceiver) -> None:
    http.answers = [429]
    http.headers = {"Retry-After": "600"}
    held(stage)
    channel = webhook(http)
    tell(stage, channel)
    stage.offset += timedelta(seconds=590)
    tell(stage, channel)
    assert len(http.tries) == 1
    stage.offset += timedelta(seconds=11)
    tell(stage, channel)
    assert len(http.taken) == 1


def test_while_secrets_roll_a_receiver_may_know_either(stage: Stage) -> None:
    with http_receiver(secret=OLD_SECRET) as old, http_receiver(secret=SECRET) as new:
        held(stage)
        channels = [
            webhook(each, name, SECRET, OLD_SECRET) for each, name in ((old, "a"), (new, "b"))
        ]
        tell(stage, *channels)
        assert list(old.taken) == list(new.taken)
        assert len(old.taken) == 1


def test_an_endpoint_that_is_gone_is_left_in_peace_until_a_person_enables_it(
    stage: Stage, http: HttpReceiver
) -> None:
    http.answers = [410]
    held(stage)
    channel = webhook(http)
    tell(stage, channel)
    held(stage)
    stage.offset += timedelta(hours=2)
    tell(stage, channel)
    assert len(http.tries) == 1
    enable_receiver(stage.services, "webhook:shop", note="moved", actor="ada")
    with pytest.raises(WrongStateError, match="taking part"):
        enable_receiver(stage.services, "webhook:shop", note="moved", actor="ada")
    tell(stage, channel)
    # Nothing was lost meanwhile.
    assert http.types() == ["refund_request.held"] * 2


def test_a_dead_endpoint_holds_up_no_other(stage: Stage, http: HttpReceiver) -> None:
    dead = WebhookChannel(Endpoint(name="dead", url="http://127.0.0.1:1/nobody", secrets=(SECRET,)))
    for _ in range(3):
        held(stage)
    tell(stage, dead, webhook(http))
    assert len(http.taken) == 3
    # It rests after the first failure: two more would only have failed as well.
    pending = dispatches(stage, DispatchState.PENDING)
    assert sorted(each.attempts for each in pending) == [0, 0, 1]
    with stage.services.database.reading() as unit:
        [receiver] = list_receivers(unit)
    assert (receiver.receiver, receiver.failures) == ("webhook:dead", 1)


def test_what_never_arrives_is_given_up_and_a_person_brings_it_back(
    stage: Stage, http: HttpReceiver
) -> None:
    http.answers = [500] * 2
    held(stage)
    channel = webhook(http)
    tell(stage, channel)
    stage.offset += GIVE_UP_AFTER
    tell(stage, channel)
    [dead] = dispatches(stage)
    assert (dead.state, dead.note) == (DispatchState.DEAD, "HTTP 500")
    requeue_notification(stage.services, dead.dispatch, note="mended", actor="ada")
    tell(stage, channel)
    assert len(http.taken) == 1
    with pytest.raises(WrongStateError, match="dead or dropped"):
        requeue_notification(stage.services, dead.dispatch, note="again", actor="ada")


def test_a_worker_that_died_while_it_sent_is_followed_by_another(
    stage: Stage, http: HttpReceiver
) -> None:
    held(stage)
    channel = webhook(http)
    # Another process addressed and claimed it, and died before or after it was sent.
    tell(stage, LogChannel())
    tell(stage, channel)
    held(stage)
    Dispatcher(stage.services, [channel])._address_due()
    with stage.services.database.unit_of_work() as unit:
        [claim] = claim_dispatches(
            unit, "webhook:shop", "dead", stage.now(), lease=channel.lease, limit=1
        )
    tell(stage, channel)
    assert len(http.taken) == 0, "the first was addressed to the log alone"
    stage.offset += channel.lease + timedelta(seconds=1)
    tell(stage, channel)
    assert list(http.taken) == [claim.told.id]


def test_who_comes_back_too_late_changes_nothing(stage: Stage, http: HttpReceiver) -> None:
    held(stage)
    slow = webhook(http)
    dispatcher = Dispatcher(stage.services, [slow])
    dispatcher._address_due()
    with stage.services.database.unit_of_work() as unit:
        [late] = claim_dispatches(
            unit, slow.receiver, "late", stage.now(), lease=slow.lease, limit=1
        )
    stage.offset += slow.lease + timedelta(seconds=1)
    tell(stage, slow)
    dispatcher._record([(late, dispatcher._try(slow, late))])
    [done] = dispatches(stage)
    assert (done.state, done.attempts) == (DispatchState.DONE, 2)
    # Sent twice, and the same to the receiver.
    assert (len(http.tries), len(http.taken)) == (2, 1)


def test_several_workers_send_each_message_once(stage: Stage, http: HttpReceiver) -> None:
    for _ in range(12):
        held(stage)
    barrier = threading.Barrier(4)

    def work(number: int) -> None:
        services = stage.another_worker(f"worker-{number}")
        dispatcher = Dispatcher(services, [webhook(http), LogChannel()])
        barrier.wait(10)
        while dispatcher.run_due():
            pass

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    tell(stage, webhook(http), LogChannel())
    assert set(http.tries_of().values()) == {1}
    assert len(http.taken) == 12


def test_a_channel_with_a_bug_stops_no_other(stage: Stage, http: HttpReceiver) -> None:
    class Broken(LogChannel):
        def send(self, message: Message) -> Outcome:
            raise ZeroDivisionError

    held(stage)
    tell(stage, Broken(), webhook(http))
    assert len(http.taken) == 1
    [waiting] = dispatches(stage, DispatchState.PENDING)
    assert waiting.note == "ZeroDivisionError: see the log."


def test_what_was_told_is_forgotten_after_ninety_days_and_what_waits_is_not(
    stage: Stage, http: HttpReceiver
) -> None:
    held(stage)
    channel = webhook(http)
    tell(stage, channel)
    stage.offset += KEEP + timedelta(days=1)
    _, waiting = held(stage)
    Dispatcher(stage.services, [channel])._address_due()
    assert "0 events and 1 notifications pruned" in prune(stage.services, lambda: None)
    with stage.services.database.reading() as unit:
        assert len(told_of(unit, waiting)) == 1
    # Nobody sends it: in the end it is given up, and stays for a person.
    stage.offset += KEEP + timedelta(days=1)
    assert prune(stage.services, lambda: None).endswith("1 notifications given up")
    [dead] = dispatches(stage)
    assert dead.state is DispatchState.DEAD
