"""Reads a payment with all that its refund would touch: the charge, the transfer that carried it
on, and how that money settled in the connected account.

This module follows references and tells charge types apart; it may not take a payment for the
platform's own while there are signs that somebody else got the money.
"""

from datetime import datetime
from typing import Final

from gateway import objects
from gateway.errors import read_error
from gateway.exchange import Answer, Exchange, read_call
from gateway.fields import Fields, JsonObject
from gateway.listing import walk
from gateway.port import (
    ListingTooLongError,
    NotFoundError,
    RejectedReadError,
    UnavailableError,
)
from refunds.facts import ChargeFacts, ChargeType, SettlementFacts, TransferFacts
from refunds.ids import AccountId, TransferId
from refunds.steps import Trouble

MAX_TRANSFERS_OF_A_GROUP: Final = 1_000

MAX_CHARGES_OF_A_GROUP: Final = 100
"""One page: beyond it the caller is asked all the same."""

MAX_DISPUTES_OF_A_CHARGE: Final = 100

_CHARGE_PREFIXES: Final = ("ch_", "py_")
_EXPANDED: Final = ("transfer", "balance_transaction")


def read_payment(
    exchange: Exchange, payment: str, account: AccountId | None, read_at: datetime
) -> ChargeFacts:
    """Return the charge behind a `pi_…`, `ch_…` or `py_…` seen in `account` (`None`: the platform).

    Raises `RejectedReadError` for a PaymentIntent nobody has paid yet, for an id of another kind,
    and for a `py_…` that is the receiving end of a transfer.
    """
    data, group = _charge_of(exchange, payment, account)
    charge = Fields(data, "charge")
    kind = ChargeType.PLATFORM
    transfer: TransferFacts | None = None
    parts: tuple[TransferFacts, ...] = ()
    open_group: str | None = None
    if account is not None:
        _refuse_receiving_end(charge, account)
        kind = ChargeType.DIRECT
    elif charge.has("transfer") or charge.has("transfer_data"):
        kind, transfer = ChargeType.DESTINATION, _transfer_of(exchange, charge)
    elif group is not None:
        parts, untied = _parts_of(exchange, group, charge.text("id"))
        open_group = group if untied else None
        kind = ChargeType.SEPARATE if parts else ChargeType.PLATFORM
    return objects.charge_facts(
        data,
        charge_type=kind,
        transfer=transfer,
        transfers=parts,
        open_group=open_group,
        lives_in=account,
        disputed=charge.flag("disputed") and _is_blocked(exchange, charge.text("id"), account),
        read_at=read_at,
    )


def _charge_of(
    exchange: Exchange, payment: str, account: AccountId | None
) -> tuple[JsonObject, str | None]:
    """Return the charge with what is expanded of it, and the transfer group it belongs to."""
    if payment.startswith(_CHARGE_PREFIXES):
        data = exchange.read(
            read_call(
                "charge.read",
                "/v1/charges/{id}",
                subject=payment,
                account=account,
                params={"expand": list(_EXPANDED)},
            )
        )
        return data, Fields(data, "charge").text_or_none("transfer_group")
    if not payment.startswith("pi_"):
        raise RejectedReadError(
            f"{payment[:80]!r} is not a payment: give a PaymentIntent (pi_…) or a charge "
            "(ch_…, py_…)"
        )
    intent = Fields(
        exchange.read(
            read_call(
                "payment_intent.read",
                "/v1/payment_intents/{id}",
                subject=payment,
                account=account,
                params={"expand": [f"latest_charge.{field}" for field in _EXPANDED]},
            )
        ),
        "payment_intent",
    )
    charge = intent.expanded("latest_charge")
    if charge is None:
        unexpanded = intent.reference_or_none("latest_charge")
        if unexpanded is not None:
            return _charge_of(exchange, unexpanded, account)
        status = intent.text_or_none("status") or "unknown"
        raise RejectedReadError(
            f"{payment} has no charge, so there is nothing to refund: its status is {status}"
        )
    own = Fields(charge, "charge").text_or_none("transfer_group")
    return charge, own or intent.text_or_none("transfer_group")


def _refuse_receiving_end(charge: Fields, account: AccountId) -> None:
    source = charge.reference_or_none("source_transfer")
    if source is not None:
        raise RejectedReadError(
            f"{charge.text('id')} is what the transfer {source} brought to {account}, not a "
            "payment by a customer; refund the platform's charge behind that transfer instead"
        )


def _transfer_of(exchange: Exchange, charge: Fields) -> TransferFacts | None:
    """Return a destination charge's transfer, read fresh; `None` while there is none to reverse."""
    data = charge.expanded("transfer")
    if data is None:
        unexpanded = charge.reference_or_none("transfer")
        if unexpanded is None:
            if objects.is_refundable(charge):
                # Without it the request would wait in the platform's lane and draw on nobody.
                raise UnavailableError(
                    Trouble.NOT_READY,
                    f"{charge.text('id')} pays a connected account, but Stripe shows no transfer "
                    "yet; ask again later",
                )
            return None
        data = exchange.read(read_call("transfer.read", "/v1/transfers/{id}", subject=unexpanded))
    return objects.transfer_facts(data, _settlement_of(exchange, Fields(data, "transfer")))


def _settlement_of(exchange: Exchange, transfer: Fields) -> SettlementFacts | None:
    """Return how the transfer's money settled; `None` where the account can't be looked into."""
    payment = transfer.reference_or_none("destination_payment")
    if payment is None:
        return None
    found = exchange.send(
        read_call(
            "destination_payment.read",
            "/v1/charges/{id}",
            subject=payment,
            account=AccountId(transfer.reference("destination")),
            params={"expand": ["balance_transaction"]},
        )
    )
    if isinstance(found, Answer):
        return objects.settlement_facts(found.data)
    error = read_error(found)
    # 403 is how Stripe answers where the platform may not look into an account, or no longer. A
    # 401 is about the key and must not pass for it.
    if isinstance(error, NotFoundError) or found.http_status == 403:
        return None
    raise error


def read_transfer(exchange: Exchange, transfer: TransferId) -> TransferFacts:
    """Return a transfer of the platform's, with how its money settled in the account."""
    data = exchange.read(read_call("transfer.read", "/v1/transfers/{id}", subject=transfer))
    return objects.transfer_facts(data, _settlement_of(exchange, Fields(data, "transfer")))


def _parts_of(
    exchange: Exchange, group: str, charge: str
) -> tuple[tuple[TransferFacts, ...], bool]:
    """Return the transfers of its group by which money of this charge was passed on, and whether
    one among them is tied to no charge.

    A group may hold several charges; a transfer tied to another one of them is not this charge's,
    one tied to none may be anybody's. Source: Stripe docs, "Separate charges and transfers".
    """
    call = read_call("transfers.list", "/v1/transfers", params={"transfer_group": group})
    parts: list[TransferFacts] = []
    untied = False
    for item in walk(exchange, call, cursor="starting_after", bound=MAX_TRANSFERS_OF_A_GROUP):
        source = Fields(item, "transfer").reference_or_none("source_transaction")
        if source in (None, charge):
            untied = untied or source is None
            parts.append(objects.transfer_facts(item, None))
    return tuple(parts), untied


def shares_group(exchange: Exchange, group: str, charge: str) -> bool:
    """Whether a transfer group holds another charge whose money could have been passed on.

    A buyer's failed tries are charges too and brought no money. A group with more charges than the
    bound counts as shared: it asks the caller, where a wrong guess would take somebody's money.
    Source: Stripe docs, "List all charges".
    """
    call = read_call("charges.list", "/v1/charges", params={"transfer_group": group})
    try:
        others = [
            item
            for item in walk(exchange, call, cursor="starting_after", bound=MAX_CHARGES_OF_A_GROUP)
            if Fields(item, "charge").text("id") != charge
        ]
    except ListingTooLongError:
        return True
    return any(Fields(item, "charge").text_or_none("status") != "failed" for item in others)


def _is_blocked(exchange: Exchange, charge: str, account: AccountId | None) -> bool:
    """Whether a dispute of the charge stands in the way of a refund now, or took its place.

    A charge may have several disputes. A lost one blocks for good: the buyer's bank took the money
    back already. Source: Stripe docs, "How disputes work".
    """
    call = read_call(
        "disputes.list", "/v1/disputes", subject=charge, account=account, params={"charge": charge}
    )
    disputes = [
        objects.dispute_facts(item)
        for item in walk(exchange, call, cursor="starting_after", bound=MAX_DISPUTES_OF_A_CHARGE)
    ]
    return any(dispute.blocks or dispute.status == "lost" for dispute in disputes)
