"""Top-ups: the platform adds money from its bank to its Stripe balance.

It may not spend it.
"""

from sandbox.errors import invalid
from sandbox.shapes import JsonObject
from sandbox.world.accounts import DAY
from sandbox.world.agenda import Plan
from sandbox.world.books import Party
from sandbox.world.core import World
from sandbox.world.money import Leg, Outside, move
from sandbox.world.shelves import Record

ARRIVAL_DAYS = 1


def create(
    world: World,
    amount_minor: int,
    currency: str,
    *,
    description: str | None = None,
    metadata: JsonObject | None = None,
    statement_descriptor: str | None = None,
    transfer_group: str | None = None,
) -> Record:
    """Ask the platform's bank for money; it arrives a day later."""
    if amount_minor < 1:
        raise invalid("This value must be greater than or equal to 1.", param="amount")
    expected = world.now() + ARRIVAL_DAYS * DAY
    record = world.put(
        "topup",
        world.platform,
        {
            "id": world.new_id("tu"),
            "object": "topup",
            "amount": amount_minor,
            "balance_transaction": None,
            "created": world.now(),
            "currency": currency,
            "description": description,
            "expected_availability_date": expected,
            "failure_code": None,
            "failure_message": None,
            "livemode": False,
            "metadata": metadata or {},
            "source": None,
            "statement_descriptor": statement_descriptor,
            "status": "pending",
            "transfer_group": transfer_group,
        },
    )
    world.emit("topup.created", record)
    world.agenda.add(expected, Plan.TOPUP_ARRIVES, record.id)
    return record


def arrive(world: World, topup: Record) -> None:
    """The bank's money is there."""
    if topup.body["status"] != "pending":
        return
    (txn,) = move(
        world,
        [
            Leg(
                owner=topup.owner,
                amount_minor=topup.body["amount"],
                currency=topup.body["currency"],
                type="topup",
                source=topup.id,
            )
        ],
        [
            Outside(
                party=Party.BANKS,
                amount_minor=-topup.body["amount"],
                currency=topup.body["currency"],
            )
        ],
    )
    with world.changing(topup, "topup.succeeded") as body:
        body.update(status="succeeded", balance_transaction=txn.id)
    world.gained.append(topup.owner)


def fail(world: World, topup: Record, code: str = "insufficient_funds") -> None:
    """The platform's bank refuses, also after the money was there."""
    if topup.body["status"] not in ("pending", "succeeded"):
        raise invalid(f"Topup {topup.id} is {topup.body['status']} already.")
    if topup.body["status"] == "succeeded":
        _take_back(world, topup)
    with world.changing(topup, "topup.failed") as body:
        body.update(
            status="failed",
            failure_code=code,
            failure_message=f"The bank refused the debit ({code}).",
        )


def _take_back(world: World, topup: Record) -> None:
    body = topup.body
    move(
        world,
        [
            Leg(
                owner=topup.owner,
                amount_minor=-body["amount"],
                currency=body["currency"],
                type="topup_reversal",
                source=topup.id,
            )
        ],
        [Outside(party=Party.BANKS, amount_minor=body["amount"], currency=body["currency"])],
    )


def cancel(world: World, topup: Record) -> None:
    """Withdraw a top-up before it arrives."""
    if topup.body["status"] != "pending":
        raise invalid(f"Topup {topup.id} can't be canceled: its status is {topup.body['status']}.")
    with world.changing(topup, "topup.canceled") as body:
        body["status"] = "canceled"
