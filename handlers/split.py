"""Which transfers of a split payment a refund takes back: those the caller named, or the only one
that can be meant.

It may not weigh a balance or reverse anything.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from gateway.port import NotFoundError
from handlers.promised import Promised, promised_elsewhere
from handlers.services import Services
from refunds.errors import InvalidWishError, TransfersUnclearError
from refunds.facts import ChargeFacts, ChargeType, TransferFacts
from refunds.ids import AccountId, RequestId, TransferId
from refunds.money import Money
from refunds.need import Share, Split, reversal_minor
from refunds.wish import TransferWish, Wish
from store.charges import with_known_refunds
from store.database import Unit
from store.legs import known_transfers
from store.tables.requests import Mode

_LISTED_MAX = 20
"""Transfers an error names; the Dashboard shows them all."""


def read_whole(
    services: Services, payment: str, account: AccountId | None, transfers: Iterable[TransferId]
) -> ChargeFacts:
    """Return a payment as it is now, with the settlements of these transfers where it was split.

    Transfers that are known stay the payment's, whatever the list of its group says today. Raise
    the gateway's `ReadError`.
    """
    known = tuple(transfers)
    charge = _still_split(services.gateway.read_payment(payment, account), known)
    if charge.charge_type is not ChargeType.SEPARATE:
        return charge
    whole = tuple(services.gateway.read_transfer(transfer) for transfer in known)
    return replace(charge, transfers=whole)


def _still_split(charge: ChargeFacts, known: Collection[object]) -> ChargeFacts:
    """Return a payment of which transfers are known as one that was split.

    Stripe ties them to it by the transfer group alone: read by another id, or listed too early, it
    looks like the platform's own, whose refund would take nothing back from anybody.
    """
    if known and charge.charge_type is ChargeType.PLATFORM:
        return replace(charge, charge_type=ChargeType.SEPARATE)
    return charge


def with_chosen_transfers(services: Services, charge: ChargeFacts, wish: Wish) -> ChargeFacts:
    """Return a split payment with the transfers the wish means, in its order and read whole.

    Raise `TransfersUnclearError`, `InvalidWishError`, or the gateway's `ReadError`.
    """
    with services.database.reading() as unit:
        # What gave an account its money back carries the payment's money from then on.
        stored = known_transfers(unit, charge.charge)
    charge = _still_split(charge, stored)
    if charge.charge_type is not ChargeType.SEPARATE:
        if wish.transfers:
            raise InvalidWishError(
                f"{charge.charge} is a {charge.charge_type} charge: leave out transfers",
                param="transfers",
            )
        return charge
    known = {each.transfer: each for each in (*charge.transfers, *stored)}
    named = [each.transfer for each in wish.transfers]
    if not named and len(known) > 1:
        raise TransfersUnclearError(
            f"{charge.charge} was split over {len(known)} transfers; say which to take back, and "
            f"how much: {_listed(known.values())}",
            param="transfers",
        )
    if not named and charge.open_group is not None:
        _refuse_anybodys(services, charge, known.values())
    for each in named:
        if each not in known:
            raise InvalidWishError(
                f"{each} carried nothing of {charge.charge}; its transfers are "
                f"{_listed(known.values())}",
                param="transfers",
            )
    try:
        chosen = tuple(services.gateway.read_transfer(each) for each in named or known)
    except NotFoundError as error:
        raise InvalidWishError(str(error), param="transfers") from error
    return replace(charge, transfers=chosen)


def _refuse_anybodys(
    services: Services, charge: ChargeFacts, transfers: Iterable[TransferFacts]
) -> None:
    """Ask which transfer is meant where the only one may have carried another charge's money."""
    assert charge.open_group is not None
    if services.gateway.shares_group(charge.charge, charge.open_group):
        raise TransfersUnclearError(
            f"{charge.charge} shares the transfer group {charge.open_group} with other charges, "
            f"and Stripe ties this transfer to none of them: {_listed(transfers)}; if it carried "
            f"{charge.charge}'s money, say so by naming it",
            param="transfers",
        )


def plan_split(
    charge: ChargeFacts, asked: Sequence[TransferWish], amount: Money, promised: Promised
) -> Split | None:
    """Return how a new request takes a split payment back; `None` where it was not split.

    Without an amount a transfer gives its share of the refund, rounded up, and the refund that
    completes the charge takes what is left, in both cases besides what was promised to requests
    before it. Raise `InvalidWishError` for more than is left.
    """
    if charge.charge_type is not ChargeType.SEPARATE:
        return None
    amounts = {each.transfer: each.amount_minor for each in asked}
    to_come = replace(charge, refunded_minor=charge.refunded_minor + promised.refund_minor)
    shares = tuple(
        _share(to_come, transfer, amounts.get(transfer.transfer), amount, promised)
        for transfer in charge.transfers
    )
    _refuse_more_than_refunded(shares, amounts, amount)
    return Split(shares=shares, request_minor=amount.amount_minor, unsent_minor=amount.amount_minor)


def replan_split(
    unit: Unit, charge: ChargeFacts, wish: Wish, amount: Money, mode: Mode, request: RequestId
) -> Split | None:
    """Return the plan anew, under the charge's lock: two wishes may have raced.

    Raise `InvalidWishError` for more than is left.
    """
    counted = with_known_refunds(unit, charge)
    promised = promised_elsewhere(unit, charge.charge, mode, request)
    return plan_split(counted, wish.transfers, amount, promised)


def _share(
    charge: ChargeFacts,
    transfer: TransferFacts,
    asked_minor: int | None,
    amount: Money,
    promised: Promised,
) -> Share:
    promised_minor = min(transfer.left_minor, promised.by_transfer.get(transfer.transfer, 0))
    free = replace(transfer, reversed_minor=transfer.reversed_minor + promised_minor)
    if asked_minor is None:
        share_minor = reversal_minor(charge, free, amount.amount_minor)
        return Share(transfer=transfer, asked_minor=share_minor)
    if asked_minor > free.left_minor:
        currency = transfer.amount.currency
        besides = (
            f", besides the {Money(promised_minor, currency)} that open requests take back"
            if promised_minor
            else ""
        )
        raise InvalidWishError(
            f"{Money(asked_minor, currency)} is more than the "
            f"{Money(free.left_minor, currency)} left of {transfer.transfer}{besides}",
            param="transfers",
        )
    return Share(transfer=transfer, asked_minor=asked_minor)


def _refuse_more_than_refunded(
    shares: Sequence[Share], amounts: dict[TransferId, int | None], amount: Money
) -> None:
    """Refuse named amounts that take back more than is refunded, with the shares of the transfers
    named without one.

    What is in another currency can't be compared, and is left to whoever named it.
    """
    comparable = [share for share in shares if share.transfer.amount.currency == amount.currency]
    named = [share for share in comparable if amounts.get(share.transfer.transfer) is not None]
    total_minor = sum(share.asked_minor for share in comparable)
    if named and total_minor > amount.amount_minor:
        raise InvalidWishError(
            f"{Money(total_minor, amount.currency)} would be taken back for a refund of {amount}: "
            + ", ".join(
                f"{Money(share.asked_minor, amount.currency)} of {share.transfer.transfer}"
                for share in comparable
            ),
            param="transfers",
        )


def _listed(transfers: Iterable[TransferFacts]) -> str:
    said = [f"{each.transfer} ({each.amount} to {each.account})" for each in transfers]
    more = len(said) - _LISTED_MAX
    return ", ".join(said[:_LISTED_MAX]) + (f" and {more} more" if more > 0 else "")
