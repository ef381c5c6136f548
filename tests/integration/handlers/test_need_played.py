"""The hand-worked needs, played: what each account really loses is its need, give or take one.

It may not compute a need; the table is the same one that the pure core is checked with.
"""

from typing import Any

import pytest

from refunds.facts import ChargeType
from refunds.ids import AccountId, IdempotencyKey, RequestId, TransferId
from refunds.steps import Done, StepKind, StripeCall
from refunds.wish import TransferWish
from tests.support.need_table import ROWS, Row
from tests.support.stage import Stage

AMPLE = 10_000_000


class Play:
    """One row on a stage: the payment, its accounts and its transfers."""

    def __init__(self, stage: Stage, row: Row) -> None:
        self.stage, self.row = stage, row
        count = len(row.parts) or (row.kind is ChargeType.DIRECT)
        self.accounts = [stage.account(default_currency=row.account_currency) for _ in range(count)]
        self.set_balance("platform", AMPLE)
        paid = stage.sandbox.control("POST", "payments", self._payment())
        self.charge = str(paid["charge"]["id"])
        carried = [paid["transfer"]] if paid["transfer"] else paid["transfers"]
        self.transfers = [str(each["id"]) for each in carried]

    def _payment(self) -> dict[str, Any]:
        row = self.row
        body: dict[str, Any] = {
            "charge_type": row.kind,
            "amount": row.paid,
            "currency": row.currency,
        }
        if row.pending is not None:
            body["funds"] = "pending"
        if row.fee is not None:
            body["application_fee_amount"] = row.fee
        if row.on_behalf_of:
            body["on_behalf_of"] = self.stage.account()
        if row.kind in (ChargeType.DESTINATION, ChargeType.DIRECT):
            body["account"] = self.accounts[0]
        if row.kind is ChargeType.DESTINATION and row.fee is None:
            body["transfer_amount"] = row.parts[0]
        if row.kind is ChargeType.SEPARATE:
            both = zip(self.accounts, row.parts, strict=True)
            body["transfers"] = [{"destination": name, "amount": minor} for name, minor in both]
        return body

    def set_balance(self, account: str, available: int) -> None:
        """Leave an account with exactly so much available."""
        currency = self.row.currency if account == "platform" else self.row.account_currency
        body = {"available": available, "currency": currency}
        self.stage.sandbox.control("POST", f"accounts/{account}/balance", body)

    def has(self, account: str) -> int:
        """What an account has, pending money included."""
        balance = self.stage.services.gateway.read_balance(AccountId(account))
        currency = self.row.account_currency
        return balance.available_in(currency) + balance.pending.get(currency, 0)

    def refund(self, amount: int, *, fee_back: bool = False) -> RequestId:
        """Ask for a refund."""
        direct = self.row.kind is ChargeType.DIRECT
        named = self.transfers if self.row.kind is ChargeType.SEPARATE else []
        return self.stage.wish(
            self.charge,
            amount,
            account=AccountId(self.accounts[0]) if direct else None,
            transfers=tuple(TransferWish(transfer=TransferId(each)) for each in named),
            refund_application_fee=fee_back,
        )

    def reverse(self, number: int, amount: int) -> None:
        """Somebody else reverses a part of a transfer, as in the Dashboard."""
        call = StripeCall(
            kind=StepKind.REVERSAL,
            params={"amount": amount},
            target=self.transfers[number],
            account=None,
            idempotency_key=IdempotencyKey(f"dashboard-{number}"),
        )
        assert isinstance(self.stage.services.gateway.execute(call), Done)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_each_account_loses_what_was_needed(stage: Stage, row: Row) -> None:
    play = Play(stage, row)
    if row.before or any(row.by_others):
        for account in play.accounts:
            play.set_balance(account, AMPLE)
    for amount in row.before:
        play.refund(amount)
        stage.work()
    for number, minor in enumerate(row.by_others[: len(play.transfers)]):
        if minor:
            play.reverse(number, minor)

    # As much as is needed and not one more; pending money of its own needs no other.
    for account, need in zip(play.accounts, row.need, strict=True):
        play.set_balance(account, 0 if row.pending is not None else need + row.buffer)
    before = [play.has(account) for account in play.accounts]
    request = play.refund(row.refund, fee_back=row.fee_back)
    view = stage.view(request)
    if row.need:
        assert view["need"] == {
            "amount": row.need[0],
            "currency": row.account_currency,
            "fx_buffer": row.buffer,
        }
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    for account, had, need in zip(play.accounts, before, row.need, strict=True):
        lost = had - play.has(account)
        assert abs(lost - (need - row.credited)) <= 1
