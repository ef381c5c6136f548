"""Balances, balance transactions, transfers, fees, payouts and top-ups over the API.

It translates between parameters and the verbs of the world.
"""

from sandbox.api.call import Call, change_metadata
from sandbox.errors import invalid, missing
from sandbox.shapes import AccountId, JsonObject
from sandbox.world import accounts, balances, fees, payouts, reversals, topups, transfers
from sandbox.world.shelves import Record


def balance(call: Call) -> JsonObject:
    """The balance of the account that the call acts as."""
    return balances.build(call.world, call.owner)


def transaction(call: Call) -> JsonObject:
    """A balance transaction."""
    return call.answer(call.record("balance_transaction"))


def transaction_list(call: Call) -> JsonObject:
    """Balance transactions, by currency, source, type or payout."""
    params = call.params
    filters = {key: value for key in ("currency", "source", "type") if (value := params.text(key))}
    payout = params.text("payout")

    def keep(record: Record) -> bool:
        return all(record.body[key] == value for key, value in filters.items()) and (
            payout is None or record.hidden.get("payout", record.body["source"]) == payout
        )

    return call.answer_list(call.world.shelves.of("balance_transaction", call.owner), keep)


def transfer(call: Call) -> JsonObject:
    """A transfer with its first reversals."""
    return call.answer(call.record("transfer"))


def transfer_list(call: Call) -> JsonObject:
    """Transfers, by destination or group."""
    params = call.params
    filters = {
        key: value for key in ("destination", "transfer_group") if (value := params.text(key))
    }

    def keep(record: Record) -> bool:
        return all(record.body[key] == value for key, value in filters.items())

    return call.answer_list(call.world.shelves.of("transfer", call.owner), keep)


def transfer_create(call: Call) -> JsonObject:
    """Send available money, or money of one payment, to another account."""
    params, world = call.params, call.world
    source = params.text("source_transaction")
    charge = call.referred("charge", source, "source_transaction") if source else None
    currency = params.currency() or (charge.body["currency"] if charge else None)
    amount = params.integer("amount")
    wish = transfers.Wish(
        sender=call.owner,
        destination=_destination(call),
        amount_minor=charge.body["amount"] if amount is None and charge else amount or 0,
        currency=currency or params.required_currency(),
        transfer_group=params.text("transfer_group"),
        description=params.text("description"),
        metadata=params.metadata(),
    )
    return call.answer(transfers.send(world, wish, charge))


def _destination(call: Call) -> AccountId:
    account_id = call.params.required_text("destination")
    record = accounts.connected(call.world, account_id)
    if record is None:
        raise missing("destination", account_id, in_path=False, param="destination")
    if record.body["id"] == call.owner:
        raise invalid("Cannot transfer to the account itself.", param="destination")
    if not call.world.is_platform(call.owner) and not call.world.is_platform(record.body["id"]):
        raise invalid("A connected account can only transfer to its platform.", param="destination")
    return AccountId(record.body["id"])


def transfer_update(call: Call) -> JsonObject:
    """Change a transfer's metadata or description."""
    record = call.record("transfer")
    if call.params.has("description"):
        record.body["description"] = call.params.text("description")
    return change_metadata(call, record, "transfer.updated")


def reversal_create(call: Call) -> JsonObject:
    """Take money back from a transfer's destination; all that is left unless told."""
    record, params = call.record("transfer"), call.params
    left = record.body["amount"] - record.body["amount_reversed"]
    amount = params.integer("amount")
    if left == 0:
        raise invalid(f"Transfer {record.id} has already been reversed.", param="amount")
    with_fee = params.boolean("refund_application_fee")
    payment = call.world.shelves.get(record.body["destination_payment"])
    if with_fee and payment.body["application_fee"] is None:
        raise invalid(
            f"Transfer {record.id} has no application fee to refund.",
            param="refund_application_fee",
        )
    reversal = reversals.reverse(
        call.world,
        record,
        left if amount is None else amount,
        metadata=params.metadata(),
    )
    if with_fee:
        fee = call.world.shelves.get(payment.body["application_fee"])
        share = fee.body["amount"] * reversal.body["amount"] // record.body["amount"]
        open_minor = fee.body["amount"] - fee.body["amount_refunded"]
        if back := open_minor if record.body["reversed"] else min(open_minor, share):
            fees.refund_fee(call.world, fee, back)
    return call.answer(reversal)


def reversal_list(call: Call) -> JsonObject:
    """The reversals of a transfer."""
    return call.answer_list(transfers.reversals_of(call.world, call.record("transfer")))


def reversal(call: Call) -> JsonObject:
    """One reversal of a transfer."""
    return call.answer(_of_parent(call, "transfer_reversal", "transfer"))


def reversal_update(call: Call) -> JsonObject:
    """Change a reversal's metadata."""
    return change_metadata(call, _of_parent(call, "transfer_reversal", "transfer"))


def _of_parent(call: Call, kind: str, parent: str) -> Record:
    record = call.record(kind, place="inner")
    if record.body["fee" if parent == "application_fee" else parent] != call.record(parent).id:
        raise missing(kind, record.id)
    return record


def fee(call: Call) -> JsonObject:
    """An application fee with its first refunds."""
    return call.answer(call.record("application_fee"))


def fee_list(call: Call) -> JsonObject:
    """Application fees, by charge."""
    charge = call.params.text("charge")
    return call.answer_list(
        call.world.shelves.of("application_fee", call.owner),
        lambda record: charge in (None, record.body["charge"]),
    )


def fee_refund_create(call: Call) -> JsonObject:
    """Give a fee back, all that is left unless told."""
    record = call.record("application_fee")
    amount = call.params.integer("amount")
    left = record.body["amount"] - record.body["amount_refunded"]
    made = fees.refund_fee(
        call.world, record, left if amount is None else amount, metadata=call.params.metadata()
    )
    return call.answer(made)


def fee_refund_list(call: Call) -> JsonObject:
    """The refunds of a fee."""
    record = call.record("application_fee")
    return call.answer_list(call.world.shelves.linked("fee_refund", record.id))


def fee_refund(call: Call) -> JsonObject:
    """One refund of a fee."""
    return call.answer(_of_parent(call, "fee_refund", "application_fee"))


def payout(call: Call) -> JsonObject:
    """A payout."""
    return call.answer(call.record("payout"))


def payout_list(call: Call) -> JsonObject:
    """Payouts, by status or destination."""
    filters = {key: value for key in ("status", "destination") if (value := call.params.text(key))}
    return call.answer_list(
        call.world.shelves.of("payout", call.owner),
        lambda record: all(record.body[key] == value for key, value in filters.items()),
    )


def payout_create(call: Call) -> JsonObject:
    """Pay out by hand."""
    params = call.params
    made = payouts.create(
        call.world,
        call.world.shelves.get(call.owner),
        params.required_integer("amount"),
        params.required_currency(),
        metadata=params.metadata(),
        description=params.text("description"),
    )
    return call.answer(made)


def payout_cancel(call: Call) -> JsonObject:
    """Stop a payout that hasn't left."""
    record = call.record("payout")
    payouts.cancel(call.world, record)
    return call.answer(record)


def payout_reverse(call: Call) -> JsonObject:
    """Take a payout back from the bank."""
    made = payouts.reverse(call.world, call.record("payout"), call.params.metadata())
    return call.answer(made)


def topup(call: Call) -> JsonObject:
    """A top-up."""
    return call.answer(call.record("topup"))


def topup_list(call: Call) -> JsonObject:
    """Top-ups, by status."""
    status = call.params.text("status")
    return call.answer_list(
        call.world.shelves.of("topup", call.owner),
        lambda record: status in (None, record.body["status"]),
    )


def topup_create(call: Call) -> JsonObject:
    """Add money to the platform's balance."""
    params = call.params
    if not call.world.is_platform(call.owner):
        raise invalid("Only the platform can top up its balance here.")
    made = topups.create(
        call.world,
        params.required_integer("amount"),
        params.required_currency(),
        description=params.text("description"),
        metadata=params.metadata(),
        statement_descriptor=params.text("statement_descriptor"),
        transfer_group=params.text("transfer_group"),
    )
    return call.answer(made)


def topup_cancel(call: Call) -> JsonObject:
    """Withdraw a top-up that hasn't arrived."""
    record = call.record("topup")
    topups.cancel(call.world, record)
    return call.answer(record)
