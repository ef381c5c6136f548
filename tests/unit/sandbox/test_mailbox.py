"""The in-process sandbox's deliveries: signed, due in the world's time, wrong by rule."""

import json

import pytest
import stripe

from sandbox.delivery.mailbox import Letter
from sandbox.inprocess import InProcessSandbox

SECRET = "whsec_mailbox"


@pytest.fixture
def sandbox() -> InProcessSandbox:
    """A sandbox whose events wait in its mailbox."""
    return InProcessSandbox(webhook_url="http://receiver.invalid/", webhook_secret=SECRET)


def test_letters_carry_what_the_sdk_verifies(sandbox: InProcessSandbox) -> None:
    account = sandbox.control("POST", "accounts", {})["id"]
    sandbox.control("POST", f"accounts/{account}/earn", {"amount": 100})
    seen: list[Letter] = []

    def receive(letter: Letter) -> int:
        # The signature's time is the world's, far from the machine's: no tolerance asked for here.
        assert stripe.WebhookSignature.verify_header(letter.body.decode(), letter.signature, SECRET)
        assert f"t={sandbox.world.now()}," in letter.signature
        seen.append(letter)
        return 200

    assert sandbox.mailbox.deliver(receive) == 3
    assert [letter.type for letter in seen] == [
        "account.application.authorized",
        "account.updated",
        "balance.available",
    ]
    assert {letter.account for letter in seen} == {account}
    assert json.loads(seen[-1].body)["data"]["object"]["available"][0]["amount"] == 100
    assert sandbox.mailbox.due() == 0


def test_what_fails_is_due_again_later(sandbox: InProcessSandbox) -> None:
    sandbox.control("POST", "accounts/platform/earn", {"amount": 100})
    answers = iter([500, 0, 200])
    assert sandbox.mailbox.deliver(lambda _: next(answers)) == 1
    assert sandbox.mailbox.deliver(lambda _: next(answers)) == 0
    for wait in (60, 300):
        sandbox.control("POST", "clock", {"advance": wait - 1})
        assert sandbox.mailbox.due() == 0
        sandbox.control("POST", "clock", {"advance": 1})
        assert sandbox.mailbox.deliver(lambda _: next(answers)) == 1
    assert sandbox.mailbox.next_due() is None


@pytest.mark.parametrize(
    "rule, amounts",
    [
        ({"kind": "drop"}, [200, 300]),
        ({"kind": "duplicate"}, [100, 100, 200, 300]),
        ({"kind": "reorder", "size": 3}, [300, 200, 100]),
        ({"kind": "hold"}, [200, 300]),
        ({"kind": "delay", "seconds": 5}, [200, 300]),
    ],
)
def test_mishaps(sandbox: InProcessSandbox, rule: dict[str, object], amounts: list[int]) -> None:
    sandbox.control("POST", "deliveries/rules", {"type": "balance.available", **rule})
    seen: list[int] = []

    def receive(letter: Letter) -> int:
        seen.append(json.loads(letter.body)["data"]["object"]["available"][0]["amount"])
        return 204

    for _ in range(3):
        sandbox.control("POST", "accounts/platform/earn", {"amount": 100})
    sandbox.mailbox.deliver(receive)
    assert seen == amounts
    sandbox.control("POST", "clock", {"advance": 5})
    sandbox.control("POST", "deliveries/release", {})
    sandbox.mailbox.deliver(receive)
    assert sorted(seen) == sorted(amounts + ([100] if rule["kind"] in ("hold", "delay") else []))


def test_the_caller_may_choose_the_order(sandbox: InProcessSandbox) -> None:
    for _ in range(3):
        sandbox.control("POST", "accounts/platform/earn", {"amount": 100})
    events: list[str] = []

    def receive(letter: Letter) -> int:
        events.append(letter.event)
        return 200

    sandbox.mailbox.shuffle(lambda waiting: [2, 0, 1] if len(waiting) == 3 else [])
    sandbox.mailbox.deliver(receive)
    made = [record.id for record in sandbox.world.shelves.of("event", sandbox.world.platform)]
    assert events == [made[2], made[0], made[1]]


def test_an_endpoint_that_makes_events_does_not_go_on_for_ever(sandbox: InProcessSandbox) -> None:
    def receive(letter: Letter) -> int:
        sandbox.control("POST", "accounts/platform/earn", {"amount": 1})
        return 200

    sandbox.control("POST", "accounts/platform/earn", {"amount": 1})
    assert sandbox.mailbox.deliver(receive, limit=25) == 25
