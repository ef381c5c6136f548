"""`account.*`: whether a connected account may be drawn on, and what waits for it if not.

It may not judge a request by its balance; that is the release run's.
"""

from datetime import datetime
from typing import Final

from handlers.circuit import note_success
from handlers.due import money_came_in
from handlers.events.reaction import (
    Event,
    Handler,
    UnusableEventError,
    Verdict,
    done,
    ignored,
    look_at_nothing,
    more,
)
from handlers.review import send_to_review
from handlers.services import Services
from refunds.blocks import check_account
from refunds.facts import AccountFacts, AccountStanding
from refunds.ids import AccountId, RequestId
from store.affected import concerns_account, waiting_on
from store.database import Unit
from store.observations import disconnect_account, save_account, standing_of
from store.requests import lock_request, waived_rules

REVIEW_BATCH: Final = 200
"""Requests that one unit of work sends to review: a longer one would keep the others waiting."""
_UNKNOWN_HERE: Final = "No refund request draws on this account."


def _look(event: Event, services: Services) -> AccountFacts | None:
    account = _named(event)
    with services.database.reading() as unit:
        if not concerns_account(unit, account):
            return None
    facts = services.gateway.read_account(account)
    note_success(services, account)
    return facts


def _apply_update(unit: Unit, event: Event, facts: AccountFacts | None, now: datetime) -> Verdict:
    if facts is None:
        return ignored(_UNKNOWN_HERE)
    save_account(unit, facts)
    # As stored, not as read: another worker may have read something newer meanwhile.
    standing = standing_of(unit, facts.account)
    if standing is not AccountStanding.ACTIVE:
        return _send_to_review(unit, event, facts.account, standing, now)
    lanes = money_came_in(unit, facts.account, now=now, cause=event.type)
    return done(f"The account is active. Lanes due for a release run: {lanes}.")


def _apply_departure(unit: Unit, event: Event, _facts: None, now: datetime) -> Verdict:
    account = _named(event)
    # Kept even where nothing draws on the account yet: no later news will tell, and a wish that
    # came afterwards would wait for a balance that can't be read.
    disconnect_account(unit, account, now)
    return _send_to_review(unit, event, account, AccountStanding.DEAUTHORIZED, now)


def _send_to_review(
    unit: Unit, event: Event, account: AccountId, standing: AccountStanding, now: datetime
) -> Verdict:
    """Put what waits for this account before a person, waived requests aside.

    No lane is marked here: whoever settles a refund locks a request before its lane, so that this
    unit, which locks many requests, must not wait for a lane as well.
    """
    moved, last = 0, None
    while True:
        page = waiting_on(unit, account, last, REVIEW_BATCH)
        moved += sum(_review_one(unit, event, account, standing, each, now) for each in page)
        if len(page) < REVIEW_BATCH:
            return done(f"The account is {standing}. Requests sent to review: {moved}.")
        if moved >= REVIEW_BATCH:
            return more(f"The account is {standing}. Requests sent to review so far: {moved}.")
        last = page[-1]


def _review_one(
    unit: Unit,
    event: Event,
    account: AccountId,
    standing: AccountStanding,
    request: RequestId,
    now: datetime,
) -> bool:
    stop = check_account(account, standing, waived_rules(unit, request, now))
    if stop is None:
        return False
    return send_to_review(unit, lock_request(unit, request), stop, now=now, cause=event.type)


def _named(event: Event) -> AccountId:
    if event.account is None:
        raise UnusableEventError("The event names no connected account.")
    return event.account


UPDATE_HANDLER = Handler(types=("account.updated",), look=_look, apply=_apply_update)
# Once an account has left there is nothing to ask: its API refuses the platform.
DEPARTURE_HANDLER = Handler(
    types=("account.application.deauthorized",), look=look_at_nothing, apply=_apply_departure
)
