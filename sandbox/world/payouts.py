"""Payouts to an account's bank: by schedule, by hand, arriving, failing, canceled, reversed.

It may not touch payments.
"""

from calendar import monthrange
from datetime import UTC, datetime

from sandbox.errors import balance_insufficient, invalid
from sandbox.shapes import AccountId, JsonObject
from sandbox.world.accounts import DAY, Interval, account_of, plan_payout_run
from sandbox.world.agenda import Plan
from sandbox.world.books import Party
from sandbox.world.core import World
from sandbox.world.money import Leg, Outside, move
from sandbox.world.shelves import Record

ARRIVAL_DAYS = 2


def create(
    world: World,
    account: Record,
    amount_minor: int,
    currency: str,
    *,
    automatic: bool = False,
    metadata: JsonObject | None = None,
    description: str | None = None,
) -> Record:
    """Send available money to the bank; refuses more than there is."""
    owner = account.body["id"]
    available = world.books.available(owner, currency)
    if amount_minor < 1:
        raise invalid("This value must be greater than or equal to 1.", param="amount")
    if amount_minor > available:
        raise balance_insufficient(
            f"You have insufficient funds in your Stripe account for this payout: {available} "
            f"{currency} is available."
        )
    if not account.body["payouts_enabled"]:
        raise invalid("Payouts are not enabled on this account.", code="payouts_not_allowed")
    payout_id = world.new_id("po")
    (txn,) = move(
        world,
        [
            Leg(
                owner=owner,
                amount_minor=-amount_minor,
                currency=currency,
                type="payout",
                source=payout_id,
                description="STRIPE PAYOUT" if automatic else description,
            )
        ],
        [Outside(party=Party.BANKS, amount_minor=amount_minor, currency=currency)],
    )
    body = _body(
        world,
        payout_id,
        owner,
        amount_minor=amount_minor,
        currency=currency,
        balance_transaction=txn.id,
    )
    body.update(description=description, metadata=metadata or {})
    if automatic:
        body.update(
            automatic=True,
            description="STRIPE PAYOUT",
            reconciliation_status="in_progress",
            status="in_transit",
        )
    record = world.put("payout", owner, body)
    if automatic:
        _settle_into(world, record, txn)
    world.emit("payout.created", record)
    world.agenda.add(body["arrival_date"], Plan.PAYOUT_ARRIVES, payout_id)
    return record


def _settle_into(world: World, payout: Record, own: Record) -> None:
    """Note which transactions an automatic payout pays: those available since the last one."""
    account = account_of(world, payout.owner)
    paid: set[str] = account.hidden["paid_out"]
    for record in world.shelves.of("balance_transaction", payout.owner):
        body = record.body
        due = body["status"] == "available" and body["currency"] == payout.body["currency"]
        if due and record.id not in paid and record is not own:
            paid.add(record.id)
            record.hidden["payout"] = payout.id


def arrive(world: World, payout: Record) -> None:
    """The bank has the money, or sends it back if the account's bank refuses payouts."""
    if payout.body["status"] not in ("pending", "in_transit"):
        return
    refusal = account_of(world, payout.owner).hidden["payouts_fail"]
    if refusal is not None:
        fail(world, payout, refusal)
        return
    with world.changing(payout, "payout.updated", "payout.paid") as body:
        body["status"] = "paid"
        if body["automatic"]:
            body["reconciliation_status"] = "completed"


def fail(world: World, payout: Record, code: str = "account_closed") -> None:
    """The bank sent the money back; the account has it again."""
    if payout.body["status"] in ("failed", "canceled"):
        raise invalid(f"Payout {payout.id} is {payout.body['status']} already.")
    with world.changing(payout, "payout.updated", "payout.failed") as body:
        body.update(
            status="failed",
            failure_code=code,
            failure_message=f"The bank refused the payout ({code}).",
            failure_balance_transaction=_back(world, payout, "payout_failure").id,
        )


def cancel(world: World, payout: Record) -> None:
    """Stop a payout that was made by hand and hasn't left yet."""
    if payout.body["status"] != "pending":
        raise invalid(
            f"Payout {payout.id} can't be canceled: its status is {payout.body['status']} and "
            "only a pending payout can be.",
            code="payout_already_canceled" if payout.body["status"] == "canceled" else None,
        )
    with world.changing(payout, "payout.updated", "payout.canceled") as body:
        body["status"] = "canceled"
        body["failure_balance_transaction"] = _back(world, payout, "payout_cancel").id


def reverse(world: World, payout: Record, metadata: JsonObject | None = None) -> Record:
    """Debit the bank for a payout that arrived; answers the payout that undoes it."""
    if payout.body["status"] != "paid" or payout.body["reversed_by"] is not None:
        raise invalid(
            f"Payout {payout.id} can't be reversed: it is {payout.body['status']}"
            f"{' and reversed already' if payout.body['reversed_by'] else ''}."
        )
    body = payout.body
    record = _undo(world, payout.owner, body["amount"], body["currency"], payout, metadata or {})
    with world.changing(payout, "payout.updated") as changed:
        changed["reversed_by"] = record.id
    return record


def _undo(
    world: World,
    owner: AccountId,
    amount_minor: int,
    currency: str,
    original: Record | None,
    metadata: JsonObject,
) -> Record:
    """Money from the bank to the balance: a payout with a negative amount."""
    payout_id = world.new_id("po")
    (txn,) = move(
        world,
        [
            Leg(
                owner=owner,
                amount_minor=amount_minor,
                currency=currency,
                type="payout",
                source=payout_id,
                category="payout_reversal",
            )
        ],
        [Outside(party=Party.BANKS, amount_minor=-amount_minor, currency=currency)],
    )
    body = _body(
        world,
        payout_id,
        owner,
        amount_minor=-amount_minor,
        currency=currency,
        balance_transaction=txn.id,
    )
    body.update(
        automatic=original is None,
        metadata=metadata,
        original_payout=None if original is None else original.id,
    )
    record = world.put("payout", owner, body)
    world.emit("payout.created", record)
    world.agenda.add(body["arrival_date"], Plan.PAYOUT_ARRIVES, payout_id)
    return record


def _body(
    world: World,
    payout_id: str,
    owner: AccountId,
    *,
    amount_minor: int,
    currency: str,
    balance_transaction: str,
) -> JsonObject:
    bank = next(iter(world.shelves.of("bank_account", owner)), None)
    return {
        "id": payout_id,
        "object": "payout",
        "amount": amount_minor,
        "application_fee": None,
        "application_fee_amount": None,
        "arrival_date": (world.now() // DAY + ARRIVAL_DAYS) * DAY,
        "automatic": False,
        "balance_transaction": balance_transaction,
        "created": world.now(),
        "currency": currency,
        "description": None,
        "destination": None if bank is None else bank.id,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": {},
        "method": "standard",
        "original_payout": None,
        "payout_method": None,
        "reconciliation_status": "not_applicable",
        "reversed_by": None,
        "source_type": "card",
        "statement_descriptor": None,
        # A payout made by hand can be stopped for a while, an automatic one can't.
        "status": "pending",
        "trace_id": None,
        "type": "bank_account",
    }


def _back(world: World, payout: Record, kind: str) -> Record:
    body = payout.body
    (txn,) = move(
        world,
        [
            Leg(
                owner=payout.owner,
                amount_minor=body["amount"],
                currency=body["currency"],
                type=kind,
                source=payout.id,
            )
        ],
        [Outside(party=Party.BANKS, amount_minor=-body["amount"], currency=body["currency"])],
    )
    return txn


def run(world: World, account: Record) -> list[Record]:
    """One automatic payout run: everything available above the minimum balance."""
    account.hidden["run_planned"] = False
    plan_payout_run(world, account)
    if not _due_today(world, account):
        return []
    return drain(world, account, automatic=True)


def drain(world: World, account: Record, *, automatic: bool) -> list[Record]:
    """Pay out what is available above the minimum balance, in every currency."""
    if not account.body["payouts_enabled"]:
        return []
    owner = account.body["id"]
    keep = account.hidden["minimum_balance"] or {}
    sent = []
    for currency in world.books.currencies(owner):
        available = world.books.available(owner, currency)
        if automatic and available < 0:
            sent += _debit_bank(world, account, -available, currency)
        amount = available - keep.get(currency, 0)
        if amount > 0:
            sent.append(create(world, account, amount, currency, automatic=automatic))
    return sent


BANK_DEBITS = frozenset(
    {"AU", "CA", "GB", "NZ", "US", "AT", "BE", "DE", "ES", "FR", "IE", "IT", "NL"}
)
"""Where Stripe may debit an account's bank for a negative balance."""


def _debit_bank(world: World, account: Record, amount_minor: int, currency: str) -> list[Record]:
    """Fill a negative balance from the account's bank, where that is switched on and possible."""
    allowed = account.body["settings"]["payouts"]["debit_negative_balances"]
    if not allowed or account.body["country"] not in BANK_DEBITS:
        return []
    return [_undo(world, account.body["id"], amount_minor, currency, None, {})]


def _due_today(world: World, account: Record) -> bool:
    interval: Interval = account.hidden["interval"]
    today = datetime.fromtimestamp(world.now(), tz=UTC)
    match interval:
        case Interval.MANUAL:
            return False
        case Interval.DAILY:
            return True
        case Interval.WEEKLY:
            days = account.hidden["weekly_payout_days"] or ["friday"]
            return today.strftime("%A").lower() in days
        case Interval.MONTHLY:
            days = account.hidden["monthly_payout_days"] or [1]
            last = monthrange(today.year, today.month)[1]
            return today.day in days or (today.day == last and max(days) > last)
