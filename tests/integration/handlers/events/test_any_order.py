"""Properties: events in any order, any number of times, early or late, lead to the same end.

The expected end is written down by hand here; no order of events counts as the right one.
"""

from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlers.inbox import process_due_events
from handlers.registry import EVENT_TYPES
from refunds.ids import RequestId
from refunds.lifecycle import Bucket
from sandbox.delivery.mailbox import Letter
from tests.support.event_stage import EventStage, Move

OPENED: list[Move] = [
    (Bucket.OPENED, Bucket.REQUESTED, 4_000),
    (Bucket.REQUESTED, Bucket.HELD, 4_000),
]
SENT: list[Move] = [*OPENED, (Bucket.HELD, Bucket.RELEASING, 4_000)]
ACCEPTED: list[Move] = [*SENT, (Bucket.RELEASING, Bucket.SUBMITTED, 4_000)]
TO_REVIEW: list[Move] = [*OPENED, (Bucket.HELD, Bucket.REVIEW, 4_000)]

# The database and the sandbox live through all examples: each story makes accounts of its own.
PATIENT = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@dataclass(frozen=True, slots=True)
class Story:
    """What happened at Stripe, and where each request must end, move by move."""

    letters: list[Letter]
    ends: dict[RequestId, list[Move]]


def told(stage: EventStage) -> Story:
    """Let a lot happen at Stripe before anything of it is delivered."""
    ends: dict[RequestId, list[Move]] = {}
    # First of all: what Stripe says of a new account is thrown away, with all that came before.
    accounts = [stage.account() for _ in range(6)]

    paid = stage.hold(stage.pay(accounts[0]), 4_000)
    stage.send(paid)
    ends[paid] = [*ACCEPTED, (Bucket.SUBMITTED, Bucket.SUCCEEDED, 4_000)]

    failed = stage.hold(stage.pay(accounts[1]), 4_000)
    stage.order(f"refunds/{stage.send(failed)}/fail")
    ends[failed] = [
        *ACCEPTED,
        (Bucket.SUBMITTED, Bucket.FAILED, 4_000),
        (Bucket.FAILED, Bucket.REVIEW, 4_000),
    ]

    doubled = stage.pay(accounts[2])
    ends[stage.hold(doubled, 4_000)] = TO_REVIEW
    stage.order("refunds", charge=doubled, amount=5_000)

    lost = stage.pay(accounts[3])
    ends[stage.hold(lost, 4_000)] = [*TO_REVIEW, (Bucket.REVIEW, Bucket.CLOSED, 4_000)]
    stage.order("refunds", charge=lost, amount=1_000)
    dispute = stage.order("disputes", charge=lost, amount=9_000)["id"]
    stage.order(f"disputes/{dispute}/close", status="lost")

    won = stage.pay(accounts[4])
    ends[stage.hold(won, 4_000)] = OPENED
    dispute = stage.order("disputes", charge=won)["id"]
    stage.order(f"disputes/{dispute}/close", status="won")

    rejected = accounts[5]
    ends[stage.hold(stage.pay(rejected), 4_000)] = TO_REVIEW
    stage.order(f"accounts/{rejected}/reject")

    return Story(letters=[e for e in stage.letters() if e.type in EVENT_TYPES], ends=ends)


@PATIENT
@given(data=st.data())
def test_every_order_of_every_event_leads_to_the_same_moves(
    stage: EventStage, data: st.DataObject
) -> None:
    story = told(stage)
    order = data.draw(st.permutations(range(len(story.letters))), label="order")
    again = data.draw(st.lists(st.sampled_from(order), max_size=5), label="again")
    for place in [*order, *again]:
        stage.record(story.letters[place])
        process_due_events(stage.services)
    assert {request: stage.path(request) for request in story.ends} == story.ends
    assert all(stage.event(each.event).state in ("done", "ignored") for each in story.letters)


@PATIENT
@given(data=st.data())
def test_news_that_comes_while_things_still_happen_leads_to_the_same_end(
    stage: EventStage, data: st.DataObject
) -> None:
    outstanding: list[Letter] = []

    def pause(label: str) -> None:
        """Deliver some of what is on its way, in some order."""
        outstanding.extend(each for each in stage.letters() if each.type in EVENT_TYPES)
        order = data.draw(st.permutations(range(len(outstanding))), label=label)
        count = data.draw(st.integers(0, len(outstanding)), label=f"{label}: how many")
        for letter in [outstanding[place] for place in order[:count]]:
            outstanding.remove(letter)
            stage.record(letter)
            process_due_events(stage.services)

    accounts = [stage.account() for _ in range(3)]
    failing = stage.hold(stage.pay(accounts[0]), 4_000)
    disputed = stage.pay(accounts[1])
    kept = stage.hold(disputed, 4_000)
    refund = stage.send(failing)
    pause("sent")
    dispute = stage.order("disputes", charge=disputed, amount=5_000)["id"]
    pause("disputed")
    stage.order("refunds", charge=stage.pay(accounts[2]), amount=1_000)
    stage.order(f"refunds/{refund}/fail")
    pause("failed")
    stage.order(f"disputes/{dispute}/close", status="won")
    pause("won")
    stage.record(*outstanding, *stage.letters())
    stage.work()
    assert stage.amounts(failing) == {Bucket.REVIEW: 4_000}
    assert stage.amounts(kept) == {Bucket.HELD: 4_000}
    # The way may differ by what was seen in between, but it ends the same and only goes forward.
    assert stage.path(failing)[-1] == (Bucket.FAILED, Bucket.REVIEW, 4_000)
    assert len(stage.path(failing)) in (6, 7)
