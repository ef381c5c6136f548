"""The need of every charge type, as the hand-worked table has it.

It may not compute a figure of the table; the story in `test_need_played` plays the same rows.
"""

from dataclasses import replace

import pytest

from refunds.facts import ChargeFacts, ChargeType, SettlementFacts, TransferFacts
from refunds.ids import AccountId, TransferId
from refunds.money import Money
from refunds.need import Leg, Share, Split, Weighing, plan_legs, plan_split_legs, reversal_minor
from tests.support.facts import ACCOUNT, charged, settled, transferred
from tests.support.need_table import ROWS, Row

WEIGHING = Weighing(fx_buffer_percent=2)


def settlement_of(row: Row, arrived: int) -> SettlementFacts:
    gross = arrived if row.settled is None else row.settled
    return settled(
        gross, row.account_currency, net_minor=row.pending, pending=row.pending is not None
    )


def transfer_of(row: Row, number: int) -> TransferFacts:
    arrived = row.parts[number]
    transfer = transferred(
        arrived,
        row.currency,
        reversed_minor=row.taken[number] + row.by_others[number],
        settlement=settlement_of(row, arrived),
    )
    account = AccountId(f"{ACCOUNT}{number}")
    return replace(transfer, transfer=TransferId(f"tr_{number}"), account=account)


def charge_of(row: Row) -> ChargeFacts:
    charge = charged(row.paid, row.currency, refunded_minor=sum(row.before), fee_minor=row.fee)
    charge = replace(charge, charge_type=row.kind)
    if row.kind is ChargeType.DIRECT:
        return replace(charge, lives_in=ACCOUNT, settlement=settlement_of(row, row.paid))
    if row.kind is ChargeType.DESTINATION:
        return replace(charge, transfer=transfer_of(row, 0))
    return charge


def legs_of(row: Row) -> tuple[Leg, ...]:
    charge = charge_of(row)
    if row.kind is not ChargeType.SEPARATE:
        return plan_legs(charge, row.refund, WEIGHING)
    transfers = [transfer_of(row, number) for number in range(len(row.parts))]
    shares = tuple(
        Share(transfer=each, asked_minor=reversal_minor(charge, each, row.refund))
        for each in transfers
    )
    split = Split(shares=shares, request_minor=row.refund, unsent_minor=row.refund)
    return plan_split_legs(split, row.refund, WEIGHING)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_the_need_is_the_one_worked_out_by_hand(row: Row) -> None:
    legs = legs_of(row)
    assert tuple(leg.need.amount_minor for leg in legs) == row.need
    assert sum(leg.need.fx_buffer_minor for leg in legs) == row.buffer
    assert all(
        leg.need.money == Money(need, row.account_currency)
        for leg, need in zip(legs, row.need, strict=True)
    )
    if row.pending is not None:
        assert [leg.own_pending_minor for leg in legs] == [row.pending]


def test_the_table_has_every_charge_type_in_every_way_that_can_be() -> None:
    ways = ("full", "partial", "last partial", "zero decimals")
    for kind in ("partial transfer", "split", "direct", "platform"):
        assert {f"{kind}, {way}" for way in ways} <= ROWS.keys()
    for kind in ("partial transfer", "split", "direct"):
        assert any(name.startswith(kind) and ROWS[name].settles for name in ROWS)
    assert {row.kind for row in ROWS.values()} == set(ChargeType)
