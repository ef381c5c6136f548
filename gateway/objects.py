"""Turns Stripe's objects into facts, tolerating words and fields this version has not met.

This module translates; it may not fetch, and it may not guess where money is concerned: an amount
or currency that is missing makes the whole object unusable.
"""

import json
from collections.abc import Sequence
from datetime import datetime

from gateway.fields import Fields, JsonObject
from refunds.eta import Arrival
from refunds.facts import (
    AccountFacts,
    BalanceFacts,
    ChargeFacts,
    ChargeType,
    DisputeFacts,
    EventFacts,
    PlatformFacts,
    RefundFacts,
    RefundStatus,
    ReversalFacts,
    SentFacts,
    SettlementFacts,
    TransferFacts,
)
from refunds.ids import (
    AccountId,
    ChargeId,
    DisputeId,
    PaymentIntentId,
    RefundId,
    ReversalId,
    TransferId,
)
from refunds.money import Currency, Money


def platform_facts(data: JsonObject, *, livemode: bool) -> PlatformFacts:
    """Return whose key it is. Source: Stripe docs, "The Account object", which has no livemode."""
    return PlatformFacts(account=AccountId(Fields(data, "account").text("id")), livemode=livemode)


def refund_facts(data: JsonObject, account: AccountId | None, read_at: datetime) -> RefundFacts:
    """Return a refund. Source: Stripe docs, "The Refund object"."""
    refund = Fields(data, "refund")
    charge = refund.reference_or_none("charge")
    intent = refund.reference_or_none("payment_intent")
    reversal = refund.reference_or_none("transfer_reversal")
    return RefundFacts(
        refund=RefundId(refund.text("id")),
        charge=ChargeId(charge) if charge else None,
        payment_intent=PaymentIntentId(intent) if intent else None,
        account=account,
        amount=refund.money("amount"),
        status=_refund_status(refund.text_or_none("status")),
        pending_reason=refund.text_or_none("pending_reason"),
        failure_reason=refund.text_or_none("failure_reason"),
        reversal=ReversalId(reversal) if reversal else None,
        metadata=refund.strings("metadata"),
        created=refund.moment("created"),
        read_at=read_at,
        balance_transaction=refund.reference_or_none("balance_transaction"),
        failure_balance_transaction=refund.reference_or_none("failure_balance_transaction"),
    )


def _refund_status(word: str | None) -> RefundStatus:
    try:
        return RefundStatus(word or "")
    except ValueError:
        return RefundStatus.UNKNOWN


def reversal_facts(data: JsonObject) -> ReversalFacts:
    """Return a transfer reversal. Source: Stripe docs, "The Transfer Reversal object"."""
    reversal = Fields(data, "transfer_reversal")
    return ReversalFacts(
        reversal=ReversalId(reversal.text("id")),
        transfer=TransferId(reversal.reference("transfer")),
        amount=reversal.money("amount"),
        metadata=reversal.strings("metadata"),
        balance_transaction=reversal.reference_or_none("balance_transaction"),
    )


def transfer_facts(data: JsonObject, settlement: SettlementFacts | None) -> TransferFacts:
    """Return a transfer. Source: Stripe docs, "The Transfer object"."""
    transfer = Fields(data, "transfer")
    return TransferFacts(
        transfer=TransferId(transfer.text("id")),
        account=AccountId(transfer.reference("destination")),
        amount=transfer.money("amount"),
        reversed_minor=transfer.integer("amount_reversed"),
        settlement=settlement,
    )


def sent_facts(data: JsonObject) -> SentFacts:
    """Return a transfer as the platform sent it. Source: Stripe docs, "The Transfer object"."""
    transfer = Fields(data, "transfer")
    return SentFacts(
        transfer=TransferId(transfer.text("id")),
        account=AccountId(transfer.reference("destination")),
        amount=transfer.money("amount"),
        metadata=transfer.strings("metadata"),
        balance_transaction=transfer.reference_or_none("balance_transaction"),
    )


def settlement_facts(payment: JsonObject) -> SettlementFacts | None:
    """Return how a payment settled in the account that has it; `None` before it has a balance
    transaction.

    Source: Stripe docs, "The Balance Transaction object". A status other than `pending` does not
    count as pending money: only money known to be on its way may be counted on.
    """
    entry = Fields(payment, "charge").expanded("balance_transaction")
    if entry is None:
        return None
    transaction = Fields(entry, "balance_transaction")
    return SettlementFacts(
        amount=transaction.money("amount"),
        net_minor=transaction.integer("net"),
        pending=transaction.text_or_none("status") == "pending",
        available_on=transaction.moment_or_none("available_on"),
    )


def is_refundable(charge: Fields) -> bool:
    """Whether the buyer's money is there: paid, captured, and no longer under way."""
    settled = charge.flag("paid", absent=False) and charge.flag("captured", absent=False)
    return settled and charge.text_or_none("status") == "succeeded"


def charge_facts(
    data: JsonObject,
    *,
    charge_type: ChargeType,
    transfer: TransferFacts | None,
    disputed: bool,
    read_at: datetime,
    lives_in: AccountId | None = None,
    transfers: tuple[TransferFacts, ...] = (),
    open_group: str | None = None,
) -> ChargeFacts:
    """Return a charge. Source: Stripe docs, "The Charge object".

    `disputed` is passed in: the charge's own field stays true after a dispute was won, and is true
    for an inquiry.
    """
    charge = Fields(data, "charge")
    intent = charge.reference_or_none("payment_intent")
    # A direct charge settles in the connected account, not with the platform.
    entry = charge.expanded("balance_transaction")
    ours = entry is not None and charge_type is not ChargeType.DIRECT
    return ChargeFacts(
        charge=ChargeId(charge.text("id")),
        payment_intent=PaymentIntentId(intent) if intent else None,
        charge_type=charge_type,
        livemode=charge.flag("livemode"),
        amount=charge.money("amount_captured"),
        refunded_minor=charge.integer("amount_refunded"),
        refundable=is_refundable(charge),
        disputed=disputed,
        payment_method=charge.child("payment_method_details").text_or_none("type") or "unknown",
        transfer=transfer,
        application_fee_minor=charge.integer_or_none("application_fee_amount"),
        platform_settled=Fields(entry, "balance_transaction").money("amount") if ours else None,
        created=charge.moment("created"),
        read_at=read_at,
        lives_in=lives_in,
        transfers=transfers,
        open_group=open_group,
        settlement=settlement_facts(data) if lives_in is not None else None,
    )


def balance_facts(data: JsonObject, account: AccountId | None, read_at: datetime) -> BalanceFacts:
    """Return a balance. Source: Stripe docs, "The Balance object"."""
    balance = Fields(data, "balance")
    return BalanceFacts(
        account=account,
        available=_per_currency(balance.children("available")),
        pending=_per_currency(balance.children("pending")),
        livemode=balance.flag("livemode"),
        read_at=read_at,
        # Only a platform's own balance has it.
        connect_reserved=_per_currency(
            balance.children("connect_reserved") if balance.has("connect_reserved") else ()
        ),
    )


def _per_currency(entries: Sequence[Fields]) -> dict[Currency, int]:
    sums: dict[Currency, Money] = {}
    for entry in entries:
        amount = entry.money("amount")
        earlier = sums.get(amount.currency)
        sums[amount.currency] = amount if earlier is None else earlier + amount
    return {currency: amount.amount_minor for currency, amount in sums.items()}


def account_facts(data: JsonObject, read_at: datetime) -> AccountFacts:
    """Return a connected account. Source: Stripe docs, "The Account object".

    What Stripe leaves out (a platform sees little of an account it doesn't control) is `None`, or
    `False` for what an account may do.
    """
    account = Fields(data, "account")
    controller = account.child("controller")
    currency = account.text_or_none("default_currency")
    schedule = account.child("settings").child("payouts").child("schedule")
    return AccountFacts(
        account=AccountId(account.text("id")),
        country=account.text_or_none("country"),
        default_currency=Currency(currency.lower()) if currency else None,
        charges_enabled=account.flag("charges_enabled", absent=False),
        payouts_enabled=account.flag("payouts_enabled", absent=False),
        disabled_reason=account.child("requirements").text_or_none("disabled_reason"),
        losses_payments=controller.child("losses").text_or_none("payments"),
        payout_interval=schedule.text_or_none("interval"),
        platform_controlled=controller.flag("is_controller", absent=False),
        email=account.text_or_none("email"),
        read_at=read_at,
    )


def dispute_facts(data: JsonObject) -> DisputeFacts:
    """Return a dispute. Source: Stripe docs, "The Dispute object"."""
    dispute = Fields(data, "dispute")
    return DisputeFacts(
        dispute=DisputeId(dispute.text("id")),
        charge=ChargeId(dispute.reference("charge")),
        status=dispute.text("status"),
        charge_refundable=dispute.flag("is_charge_refundable", absent=False),
    )


def event_facts(data: JsonObject, account: AccountId | None) -> EventFacts:
    """Return an event from a list, its body as a delivery to the endpoint would have carried it.

    `account` is the account whose events were listed. A delivery names it at the top level; the
    body gets it where the list leaves it out, so that both ways into the inbox read alike.
    """
    event = Fields(data, "event")
    origin = event.text_or_none("account") or account
    body = dict(data)
    if origin is not None:
        body["account"] = origin
    return EventFacts(
        event=event.text("id"),
        type=event.text("type"),
        account=AccountId(origin) if origin else None,
        livemode=event.flag("livemode"),
        created=event.moment("created"),
        api_version=event.text_or_none("api_version"),
        body=json.dumps(body, separators=(",", ":")).encode("ascii"),
    )


def arrival(data: JsonObject) -> Arrival | None:
    """Return what a balance transaction will make available; `None` if it has, or is set aside.

    Source: Stripe docs, "The Balance Transaction object" (`status`, `balance_type`).
    """
    transaction = Fields(data, "balance_transaction")
    if transaction.text("status") != "pending":
        return None
    if (transaction.text_or_none("balance_type") or "payments") != "payments":
        return None
    return Arrival(
        on=transaction.moment("available_on"),
        currency=Currency(transaction.text("currency")),
        net_minor=transaction.integer("net"),
    )
