"""Reminds of reviews that nobody answers, once a day each, for as long as they are open.

It may not answer one: a request that a rule put before a person waits for a person.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog

from handlers.services import Services
from refunds.ids import RequestId
from refunds.notifications import Kind
from store.escalations import add_escalation, in_review
from store.outbox import tell_of_request
from store.requests import get_request

_log = structlog.get_logger(__name__)

DAY: Final = timedelta(days=1)
_PAGE: Final = 200


def escalate(services: Services, keep: Callable[[], None]) -> str:
    """Note each day that a review has gone unanswered, in pages; return what was done in words.

    A day is noted once, whoever comes round; days gone by while no worker lived are one reminder.
    """
    after: RequestId | None = None
    count = 0
    while True:
        now = services.clock()
        with services.database.unit_of_work() as unit:
            page = in_review(unit, services.mode, after, _PAGE)
            late = [
                (each, days)
                for each in page
                if (days := (now - each.since) // DAY) and add_escalation(unit, each, days, now)
            ]
            for each, days in late:
                tell_of_request(
                    unit,
                    Kind.REVIEW,
                    get_request(unit, each.request),
                    at=now,
                    why=f"Nobody has decided for {days} {'day' if days == 1 else 'days'}. "
                    f"{each.why}",
                    occasion=f"{each.request}:{int(each.since.timestamp())}:{days}",
                )
        for each, days in late:
            _log.error(
                "review.unanswered",
                request=each.request,
                account=each.account,
                days=days,
                rule=each.rule,
                why=each.why,
            )
        count += len(late)
        if len(page) < _PAGE:
            return f"{count} unanswered reviews reminded of"
        after = page[-1].request
        keep()
