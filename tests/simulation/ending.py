"""How it ends: Stripe is well, time passes, everything arrives, and in the end nothing is missing.

It may not release or correct anything itself, nor judge; it waits until all is at rest.
"""

from typing import Final

from sqlmodel import col, select

from handlers.chores import CHORES, mark_round
from store.tables.inbox import InboxEvent, InboxState
from tests.simulation.plot import Play

_SPANS: Final = (400, 4_000, 90_000, 4_100)
"""Seconds: past every lease, backoff and circuit, past the day for which Stripe keeps a key."""
_RICH: Final = 1_000_000
_ROUNDS: Final = 20


def calm_down(play: Play) -> None:
    """Let everything arrive and everybody finish."""
    scene, company = play.scene, play.company
    scene.note("ending  Stripe is well, and stays so")
    scene.sandbox.control("DELETE", "faults", {})
    scene.sandbox.control("DELETE", "deliveries/rules", {})
    company.finish()
    for event in list(scene.records("event")):
        # An account that left can't be asked for events that were missed: a person resends it.
        if event.body["type"] == "account.application.deauthorized":
            scene.order(f"events/{event.id}/resend")
    for span in _SPANS:
        scene.later(span)
        _everything_arrives(play, chores=span in (_SPANS[0], _SPANS[-1]))


def make_rich(play: Play) -> None:
    """Give everybody all they need."""
    play.scene.note("ending  everybody has money")
    for account in ("platform", *play.scene.accounts):
        for currency in ("usd", "eur"):
            play.scene.order(f"accounts/{account}/earn", amount=_RICH, currency=currency)
    for span in (30, 3_700):
        play.scene.later(span)
        _everything_arrives(play, chores=False)


def _everything_arrives(play: Play, *, chores: bool) -> None:
    """Deliver and work until nothing is due; where `chores`, the schedule's rounds come first."""
    scene, company = play.scene, play.company
    scene.sandbox.control("POST", "deliveries/release", {})
    for chore in CHORES if chores else ():
        mark_round(company.services("worker-1"), chore)
    for _ in range(_ROUNDS):
        if company.watch.broken:
            return
        while scene.sandbox.mailbox.due():
            play.deliver(limit=1_000, answer=200)
        _bring_back_dead(play)
        company.work()
        if not scene.sandbox.mailbox.due():
            return
    company.watch.broken.append("deliveries never come to rest")


def _bring_back_dead(play: Play) -> None:
    """A person looks after the dead letters."""
    dead = select(InboxEvent.id).where(col(InboxEvent.state) == InboxState.DEAD)
    with play.company.watch.database.reading() as unit:
        found = unit.exec(dead.order_by(col(InboxEvent.id))).all()
    for event in found:
        play.bring_back(event)
