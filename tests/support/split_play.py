"""Two accounts that share one payment, and what becomes of it, for stories of split payments.

It may not ask for a refund or shorten the way of one.
"""

from typing import Any

from sqlmodel import col, select

from handlers.sweep import sweep
from refunds.ids import AccountId, RequestId, TransferId
from refunds.money import Currency
from refunds.wish import TransferWish
from store.ledger import entries_of
from store.tables.attempts import Reservation
from tests.support.stage import Stage

USD = Currency("usd")


def balance(stage: Stage, account: str | None) -> int:
    facts = stage.services.gateway.read_balance(None if account is None else AccountId(account))
    return facts.available_in(USD)


def look_again(stage: Stage) -> None:
    sweep(stage.services, lambda: None)
    stage.work()


def two_sellers(stage: Stage, **more: Any) -> tuple[str, str, str, str, str]:
    """100.00 were paid; 60.00 went to the first, 30.00 to the second, 10.00 stayed."""
    first, second = stage.account(), stage.account()
    charge, (one, two) = stage.paid_split(10_000, [(first, 6000), (second, 3000)], **more)
    return first, second, charge, one, two


def named(*transfers: tuple[str, int | None]) -> tuple[TransferWish, ...]:
    return tuple(TransferWish(transfer=TransferId(t), amount_minor=minor) for t, minor in transfers)


def calls(stage: Stage) -> list[tuple[str, int]]:
    """What was asked of Stripe, in order: the resource, and what it answered."""
    return [(call["path"].split("/")[-1], call["status"]) for call in stage.calls()]


def path(stage: Stage, request: RequestId) -> list[str]:
    with stage.services.database.reading() as unit:
        return [entry.to_bucket for entry in entries_of(unit, request)]


def rule(stage: Stage, request: RequestId) -> str:
    decision = stage.view(request)["decision"]
    assert decision is not None
    return decision["rule"]


def promised(stage: Stage) -> dict[str, int]:
    with stage.services.database.reading() as unit:
        rows = unit.exec(select(Reservation).where(col(Reservation.closed_at).is_(None)))
        return {row.holder: row.amount_minor for row in rows}


def reversed_of(stage: Stage, transfer: str) -> int:
    return stage.services.gateway.read_transfer(TransferId(transfer)).reversed_minor


def emptied_meanwhile(stage: Stage, account: str, transfer: str) -> None:
    """A payout at the worst moment: the account is empty once its turn comes."""
    steps = [{"path": f"/_sandbox/accounts/{account}/balance", "body": {"available": 0}}]
    path = f"/v1/transfers/{transfer}/reversals"
    stage.fault("interlude", path=path, after_effect=False, steps=steps)
