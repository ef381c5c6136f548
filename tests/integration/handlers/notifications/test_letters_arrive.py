"""Letters arrive, once in effect, at those whom the settings name, whatever mail servers answer.

The mail server is a real one on this machine; time is ours.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from handlers.notifications.channel import Delivered, Message, TryLater, Undeliverable
from handlers.notifications.configured import Mailing, MailServer
from handlers.notifications.deadlines import tell_deadlines
from handlers.notifications.mail import MailChannel
from handlers.notifications.samples import sample
from handlers.operate import Action, act
from handlers.reconcile import reconcile
from refunds.notifications import Audience, Kind
from store.tables.outbox import DispatchState
from store.tables.requests import Mode
from tests.support.receivers import (
    HttpReceiver,
    MailReceiver,
    text_of,
)
from tests.support.stage import Stage
from tests.support.telling import FINANCE, SUPPORT, dispatches, held, mail, tell, webhook


def test_people_get_letters_about_what_is_theirs(stage: Stage, post: MailReceiver) -> None:
    _, request = held(stage)
    act(stage.services, Action.RELEASE, request, note="a good customer", actor="ada")
    stage.work()
    channel = mail(stage, post)
    tell(stage, channel)
    [covered] = post.to(FINANCE)
    assert str(covered["Subject"]).strip() == f"The platform stands in for 1.224,50 USD ({request})"
    assert covered["From"] == "refunds@shop.example"
    assert covered["Auto-Submitted"] == "auto-generated"
    assert request in text_of(covered)
    assert request in text_of(covered, "html")
    assert post.to(SUPPORT) == []
    # Nobody at the account was written to: that is off.
    assert len(post.letters) == 1
    stage.sandbox.control("POST", f"refunds/{stage.refunds()[0]['id']}/fail", {})
    reconcile(stage.services)
    tell(stage, channel)
    subjects = [str(letter["Subject"]) for letter in post.to(SUPPORT)]
    assert len(subjects) == 2
    assert any("failed" in subject for subject in subjects)
    assert any(subject.strip().startswith("To decide") for subject in subjects)


def test_a_connected_account_hears_what_it_can_do_where_that_is_on(
    stage: Stage, post: MailReceiver
) -> None:
    account, request = held(stage)
    tell(stage, mail(stage, post, accounts=True))
    address = f"{account.lower()}@example.com"
    [letter] = post.to(address)
    text = text_of(letter)
    # Money as Germans write it.
    assert "1.234,50 USD" in text
    assert "1.224,50 USD" in text, "what is lacking"
    for option in ("Add money", "Wait", "a part of it"):
        assert option in text
    deadline = stage.view(request)["deadline"]
    assert deadline is not None
    assert "Please see to it before" in text


def test_shadow_requests_are_never_told_to_connected_accounts(
    stage: Stage, post: MailReceiver, http: HttpReceiver
) -> None:
    stage.services = replace(stage.services, mode=Mode.SHADOW)
    held(stage)
    tell(stage, mail(stage, post, accounts=True), webhook(http))
    assert post.letters == {}
    assert [payload["data"]["mode"] for payload in http.taken.values()] == ["shadow"]


def test_a_letter_whose_answer_is_lost_is_the_same_letter_again(
    stage: Stage, post: MailReceiver
) -> None:
    post.lost = 1
    _, request = held(stage)
    act(stage.services, Action.RELEASE, request, note="a good customer", actor="ada")
    stage.work()
    channel = mail(stage, post)
    for _ in range(3):
        tell(stage, channel)
        stage.offset += timedelta(seconds=61)
    assert len(post.tries) == 2
    assert len(set(post.tries)) == len(post.letters) == 1


@pytest.mark.parametrize(
    "reply, state",
    [("451 later", DispatchState.DONE), ("554 no", DispatchState.DEAD)],
)
def test_a_server_refuses_for_now_or_for_good(
    stage: Stage, post: MailReceiver, reply: str, state: DispatchState
) -> None:
    post.answers = [reply]
    _, request = held(stage)
    act(stage.services, Action.RELEASE, request, note="a good customer", actor="ada")
    stage.work()
    channel = mail(stage, post)
    for _ in range(2):
        tell(stage, channel)
        stage.offset += timedelta(seconds=11)
    assert {each.state for each in dispatches(stage)} == {state}


def test_an_address_nobody_has_is_given_up_and_the_others_get_theirs(
    stage: Stage, post: MailReceiver
) -> None:
    account, _ = held(stage)
    post.refuses = {f"{account.lower()}@example.com": "550 no such user"}
    stage.later(days=6, hours=12)
    tell_deadlines(stage.services, lambda: None)
    tell(stage, mail(stage, post, accounts=True))
    assert len(post.to(SUPPORT)) == 1
    dead = dispatches(stage, DispatchState.DEAD)
    assert {each.note for each in dead} == {"The server refuses the address (SMTP 550)."}
    assert len(dead) == 2
    # Known by its number at the account alone: the address itself is not stored.
    assert {each.address for each in dead} == {"account:"}


def test_an_account_without_an_address_is_nobody_to_write_to(
    stage: Stage, post: MailReceiver
) -> None:
    _account, _ = held(stage)
    channel = mail(stage, post, accounts=True)
    channel._find_address = lambda _account: None
    tell(stage, channel)
    [dropped] = dispatches(stage)
    assert (dropped.state, post.letters) == (DispatchState.DROPPED, {})


def test_no_field_of_a_letter_becomes_a_header(stage: Stage, post: MailReceiver) -> None:
    told = sample(Kind.EVENT_DEAD_LETTERED, stage.now())
    evil = "refund.updated\r\nBcc: victim@shop.example\r\n\r\nAnother letter"
    told = replace(told, payload={**told.payload, "data": {**told.payload["data"], "type": evil}})
    outcome = mail(stage, post).send(Message(told=told, address=f"operations:{SUPPORT}"))
    assert isinstance(outcome, Delivered)
    [letter] = post.letters.values()
    assert "Bcc" not in letter
    assert letter.get_all("To") == [SUPPORT]
    assert "Bcc: victim@shop.example Another letter" in str(letter["Subject"])
    for address in (f"{SUPPORT}\r\nBcc: a@b.example", f"{SUPPORT}, a@b.example", "A <a@b.example>"):
        refused = mail(stage, post).send(Message(told=told, address=f"operations:{address}"))
        assert isinstance(refused, Undeliverable)
    assert len(post.letters) == 1


def test_nothing_goes_in_the_clear_to_a_server_that_is_not_on_this_machine(
    stage: Stage, post: MailReceiver
) -> None:
    # The server offers no STARTTLS: no letter and no password may go there.
    server = MailServer(
        host="127.0.0.1",
        port=post.port,
        tls_from_start=False,
        in_the_clear=False,
        user="me",
        password="secret",
    )
    to = {Audience.OPERATIONS: (SUPPORT,)}
    mailing = Mailing(server=server, sender="refunds@shop.example", to=to)
    told = sample(Kind.TEST, stage.now())
    channel = MailChannel(mailing, lambda _account: None)
    outcome = channel.send(Message(told=told, address=f"operations:{SUPPORT}"))
    assert isinstance(outcome, TryLater)
    assert outcome.receiver_unwell
    assert post.tries == []
