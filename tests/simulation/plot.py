"""What may happen next, and how often: people, buyers, banks, Stripe's bad days, time, and crashes.

Each move is one function of the play; a seed chooses among them. It may not judge what follows.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from sqlmodel import col, select

from handlers.chores import CHORES, mark_round
from handlers.intake import take_in
from handlers.operate import Action, act
from handlers.services import Services
from refunds.ids import EventId, RequestId
from refunds.lifecycle import Status
from refunds.wish import Wish
from sandbox.delivery.mailbox import Letter
from store.event_claims import requeue_event
from store.inbox import Delivery, record_deliveries
from store.tables.inbox import InboxEvent, InboxState
from store.tables.requests import RefundRequest
from tests.simulation import mishaps
from tests.simulation.company import BY_NAME, STEP_NAMES, Company
from tests.simulation.crew import Fate, Turn
from tests.simulation.scene import Paid, Scene, open_account, pay
from tests.support.inbox import build_delivery

WORKERS: Final = ("worker-1", "worker-2")
AT_ONCE: Final = 2
"""Pieces of work that one process has under way at the same time."""
PATIENCE_SECONDS: Final = 3_600
"""A process may stand still for this long, as on a suspended machine; before more time passes, what
is under way ends or dies. Sluice's margins on Stripe's keys are hours."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A wish that was sent, to be sent again under its key."""

    key: str
    wish: Wish


@dataclass(slots=True)
class Play:
    """One run's people and habits."""

    chance: random.Random
    scene: Scene
    company: Company
    asked: list[Asked] = field(default_factory=list)

    # --- wishes and people ------------------------------------------------------------------

    def wish(self) -> None:
        """The platform asks for a refund, sometimes again under a key it used before."""
        if self.asked and self.chance.random() < 0.3:
            self._ask(self.chance.choice(self.asked), boundaries=self.chance.randint(0, 12))
            return
        paid = self.chance.choice(self.scene.paid)
        wish = Wish(
            payment=paid.charge,
            amount_minor=self._amount(paid),
            additional=self.chance.random() < 0.4,
            refund_application_fee=self.chance.random() < 0.3,
        )
        asked = Asked(f"key-{len(self.asked)}", wish)
        self.asked.append(asked)
        self._ask(asked, boundaries=self.chance.randint(0, 12))

    def _amount(self, paid: Paid) -> int | None:
        part = self.chance.choice([None, 1.0, 0.5, 0.34, 0.2])
        return None if part is None else max(1, int(paid.amount_minor * part))

    def _ask(self, asked: Asked, *, boundaries: int) -> None:
        wish = asked.wish
        self.scene.note(
            f"shop    {asked.key} {wish.payment} {wish.amount_minor} additional={wish.additional}"
        )

        def work(services: Services) -> object:
            return take_in(services, wish, idempotency_key=asked.key, actor="shop")

        turn = self.company.start("web-1", "wish", work)
        self.company.carry_on(turn, boundaries)

    def squeeze(self) -> None:
        """Two wishes want money that suffices for one, and no refund gets through to Stripe."""
        account = self.chance.choice(self.scene.accounts)
        paid = [each for each in self.scene.paid if each.account == account]
        if len(paid) < 2:
            return
        some = self.chance.sample(paid, 2)
        enough_minor = max(each.amount_minor for each in some) // 2 + 50
        self.scene.order(f"accounts/{account}/balance", available=enough_minor)
        # Nothing else may go wrong, or nobody would get as far as a refund.
        self._be_well()
        self.scene.order("faults", kind="reset", path="/v1/refunds", method="POST", times=2)
        for each in some:
            half = Wish(payment=each.charge, amount_minor=each.amount_minor // 2, additional=True)
            self.asked.append(Asked(f"key-{len(self.asked)}", half))
            self._ask(self.asked[-1], boundaries=10_000)
            worker = self.chance.choice(WORKERS)
            run = self.company.start(worker, "lane", BY_NAME["lane"])
            self.company.carry_on(run, self.chance.choice([3, 10_000, 10_000]))

    def person(self) -> None:
        """Somebody acts on a request, allowed or not."""
        request = self._some_request()
        if request is None:
            return
        weights = {Action.APPROVE: 4, Action.RELEASE: 3, Action.CANCEL: 1, Action.CLOSE: 1}
        action = self.chance.choices(list(weights), list(weights.values()))[0]
        self.scene.note(f"person  {action} {request}")

        def work(services: Services) -> object:
            act(services, action, request, note="because", actor="ann")
            return action

        self.company.carry_on(self.company.start("web-1", "person", work), 10_000)

    def _some_request(self) -> RequestId | None:
        wanted = self.chance.choice([Status.REVIEW, Status.REVIEW, Status.HELD, None])
        statement = select(RefundRequest.id).order_by(col(RefundRequest.id))
        if wanted is not None:
            statement = statement.where(col(RefundRequest.status) == wanted)
        with self.company.watch.database.reading() as unit:
            found = unit.exec(statement).all()
        return RequestId(self.chance.choice(found)) if found else None

    # --- Stripe's side ----------------------------------------------------------------------

    def money_comes(self) -> None:
        """An account, or the platform, has more than before."""
        account = self.chance.choice(["platform", *self.scene.accounts * 3])
        body = {"amount": self.chance.randint(300, 6_000)}
        funds = self.chance.choice(["available", "available", "pending"])
        self.scene.order(f"accounts/{account}/earn", funds=funds, **body)

    def money_leaves(self) -> None:
        """An account pays out."""
        self._happens(mishaps.payout)

    def _happens(self, what: Callable[[random.Random, Scene], mishaps.Verb]) -> None:
        verb, body = what(self.chance, self.scene)
        self.scene.order(verb, **body)

    def payout_fails(self) -> None:
        """A payout comes back."""
        if payouts := list(self.scene.records("payout")):
            self.scene.order(f"payouts/{self.chance.choice(payouts).id}/fail")

    def foreign_refund(self) -> None:
        """Somebody refunds in the Dashboard."""
        self._happens(mishaps.foreign_refund)

    def dispute(self) -> None:
        """A buyer's bank complains, or comes to an end."""
        open_ones = [
            each for each in self.scene.records("dispute") if "response" in each.body["status"]
        ]
        if not open_ones or self.chance.random() < 0.3:
            self._happens(mishaps.complaint)
            return
        dispute = self.chance.choice(open_ones)
        inquiry = dispute.body["status"].startswith("warning")
        if inquiry and self.chance.random() < 0.3:
            self.scene.order(f"disputes/{dispute.id}/escalate")
            return
        status = "warning_closed" if inquiry else self.chance.choice(["won", "won", "lost"])
        self.scene.order(f"disputes/{dispute.id}/close", status=status)

    def refund_turns(self) -> None:
        """A refund fails, late or not, or arrives."""
        if refunds := self.scene.refunds():
            refund = self.chance.choice(refunds)
            self.scene.order(f"refunds/{refund.id}/{self.chance.choice(['fail', 'succeed'])}")

    def account_turns(self) -> None:
        """An account leaves, is rejected, is taken back, or just changes."""
        account = self.chance.choice(self.scene.accounts)
        what = self.chance.choice(["deauthorize", "reject", "back", "back", "update"])
        if what in ("deauthorize", "reject"):
            self.scene.order(f"accounts/{account}/{what}")
        elif what == "back":
            self.scene.order(
                f"accounts/{account}/update",
                payouts_enabled=True,
                requirements={"disabled_reason": None},
            )
        else:
            self.scene.order(f"accounts/{account}/update", business_type="individual")

    def growth(self) -> None:
        """Another payment, rarely another account."""
        if self.chance.random() < 0.15:
            open_account(self.scene)
        pay(self.scene)

    # --- deliveries -------------------------------------------------------------------------

    def some_delivered(self) -> None:
        """Stripe sends what is due; sometimes the answer comes too late, or nothing is stored."""
        if self.chance.random() < 0.5:
            self.scene.sandbox.mailbox.shuffle(self._any_order)
        answer = self.chance.choices([200, 0, 500], [8, 1, 1])[0]
        self.deliver(limit=self.chance.choice([1, 3, 20, 1_000]), answer=answer)

    def deliver(self, *, limit: int, answer: int) -> None:
        """Deliver what is due; only at a 500 nothing is stored, 0 is an answer that got lost."""
        letters: list[Letter] = []

        def take(letter: Letter) -> int:
            letters.append(letter)
            return answer

        self.scene.sandbox.mailbox.deliver(take, limit=limit)
        if not letters:
            return
        shown = " ".join(f"{each.event[-4:]}:{each.type}" for each in letters)
        self.scene.note(f"stripe  delivers {shown}, answered {answer}")
        if answer != 500:
            with self.company.database.unit_of_work() as unit:
                record_deliveries(unit, [self._delivery(letter) for letter in letters])

    def _any_order(self, events: list[str]) -> list[int]:
        places = list(range(len(events)))
        self.chance.shuffle(places)
        return places

    def _delivery(self, letter: Letter) -> Delivery:
        event = json.loads(letter.body)
        return build_delivery(
            letter.event,
            type=letter.type,
            account=letter.account,
            received_at=self.scene.now(),
            created=datetime.fromtimestamp(event["created"], UTC),
            body=letter.body,
            livemode=event["livemode"],
        )

    def resend(self) -> None:
        """Somebody has an event delivered again."""
        if events := list(self.scene.records("event")):
            self.scene.order(f"events/{self.chance.choice(events).id}/resend", times=2)

    def requeue(self) -> None:
        """A person brings a dead or ignored event back."""
        statement = (
            select(InboxEvent.id)
            .where(col(InboxEvent.state).in_([InboxState.DEAD, InboxState.IGNORED]))
            .order_by(col(InboxEvent.id))
        )
        with self.company.watch.database.reading() as unit:
            found = unit.exec(statement).all()
        if not found:
            return
        self.bring_back(self.chance.choice(found))

    def bring_back(self, event: str) -> None:
        """Requeue an event, as a person does."""
        self.scene.note(f"person  requeues {event}")
        self.company.watch.requeued[event] += 1
        with self.company.database.unit_of_work() as unit:
            requeue_event(unit, EventId(event), now=self.scene.now())

    # --- bad days ---------------------------------------------------------------------------

    def fault(self) -> None:
        """The next calls of a kind go wrong."""
        self._happens(mishaps.bad_calls)

    def bad_key(self) -> None:
        """The key is revoked for a while, or an account's connection; or all is well again."""
        if self.chance.random() < 0.6:
            self._be_well()
            return
        self._happens(mishaps.revocation)

    def _be_well(self) -> None:
        cleared = self.scene.sandbox.control("DELETE", "faults", {})["cleared"]
        self.scene.note(f"stripe  is well again: {cleared} faults gone")

    # --- time and work ----------------------------------------------------------------------

    def time_passes(self) -> None:
        """Seconds mostly, days rarely."""
        bound = self.chance.choices(
            [3, 15, 120, PATIENCE_SECONDS, 40_000, 100_000, 400_000], [8, 8, 6, 3, 1, 1, 0.4]
        )[0]
        if bound > PATIENCE_SECONDS:
            self.settle_down()
        self.scene.later(self.chance.randint(1, bound))

    def settle_down(self) -> None:
        """What is under way comes to an end or dies."""
        for process in (*WORKERS, "web-1"):
            if self.chance.random() < 0.3:
                self.company.crash(process)
        self.company.finish()

    def chores(self) -> None:
        """The schedule marks a chore due."""
        name = self.chance.choice(sorted(CHORES))
        marked = mark_round(self.company.services("worker-1"), name)
        self.scene.note(f"worker  marks {name}: {marked}")

    def step(self) -> None:
        """A process begins a piece of work, or goes on with one, or meets its fate."""
        turns = self.company.turns
        if not turns or (len(turns) < 5 and self.chance.random() < 0.4):
            turn = self._begin()
            if turn is None:
                return
        else:
            turn = self.chance.choice(turns)
        fate = self.chance.choices(list(Fate), [60, 1.5, 2, 1, 1])[0]
        self.company.carry_on(turn, self.chance.choice([0, 0, 1, 2, 4, 8, 30]), fate)

    def _begin(self) -> Turn | None:
        process = self.chance.choice(WORKERS)
        if sum(turn.process == process for turn in self.company.turns) >= AT_ONCE:
            return None
        # The guard is off here and has nothing to do: a turn of it would only be one of another.
        name = self.chance.choices(STEP_NAMES, [3, 1, 5, 5, 0, 1, 1])[0]
        return self.company.start(process, name, BY_NAME[name])

    def crash(self) -> None:
        """A process dies, whatever it is doing."""
        self.company.crash(self.chance.choice([*WORKERS, "web-1"]))


MOVES: Final[dict[Callable[[Play], None], float]] = {
    Play.wish: 14,
    Play.squeeze: 3,
    Play.person: 6,
    Play.money_comes: 9,
    Play.money_leaves: 3,
    Play.payout_fails: 1,
    Play.foreign_refund: 2,
    Play.dispute: 4,
    Play.refund_turns: 3,
    Play.account_turns: 1,
    Play.growth: 1,
    Play.some_delivered: 14,
    Play.resend: 1,
    Play.requeue: 1,
    Play.fault: 6,
    Play.bad_key: 2,
    Play.time_passes: 14,
    Play.chores: 5,
    Play.step: 60,
    Play.crash: 2,
}
"""How often each happens, in proportion."""
