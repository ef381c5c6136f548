"""Disputes: chargebacks that take the money at once, and inquiries that only ask.

It may not refund; a disputed charge is refused elsewhere by what is written here.
"""

from enum import StrEnum

from sandbox.errors import invalid
from sandbox.shapes import JsonObject
from sandbox.world import refund_course
from sandbox.world.accounts import DAY
from sandbox.world.books import Party
from sandbox.world.core import World
from sandbox.world.money import Leg, Outside, convert, exchange, move
from sandbox.world.shelves import Record

RESPONSE_DAYS = 14


class Kind(StrEnum):
    """How a buyer's bank complains."""

    CHARGEBACK = "chargeback"
    INQUIRY = "inquiry"


OPEN = frozenset(
    {
        "needs_response",
        "under_review",
        "warning_needs_response",
        "warning_under_review",
    }
)

_EVIDENCE = (
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
)


def raise_dispute(
    world: World,
    charge: Record,
    *,
    kind: Kind = Kind.CHARGEBACK,
    amount_minor: int | None = None,
    reason: str = "general",
) -> Record:
    """The buyer's bank disputes a charge: a chargeback debits it and fails pending refunds."""
    if any(item.body["status"] in OPEN for item in world.shelves.linked("dispute", charge.id)):
        raise invalid(f"Charge {charge.id} has an open dispute already.")
    chargeback = kind is Kind.CHARGEBACK
    body: JsonObject = {
        "id": world.new_id("dp"),
        "object": "dispute",
        "amount": charge.body["amount"] if amount_minor is None else amount_minor,
        "balance_transactions": [],
        "charge": charge.id,
        "created": world.now(),
        "currency": charge.body["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(_EVIDENCE), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": world.now() + RESPONSE_DAYS * DAY,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": not chargeback,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge.body["payment_intent"],
        "payment_method_details": {
            "card": {
                "brand": "visa",
                "case_type": kind.value,
                "network": "visa",
                "network_reason_code": "10.4",
            },
            "type": "card",
        },
        "reason": reason,
        "status": "needs_response" if chargeback else "warning_needs_response",
    }
    dispute = world.put("dispute", charge.owner, body, links=(charge.id,))
    with world.changing(charge, "charge.updated") as changed:
        changed["disputed"] = True
    if chargeback:
        _withdraw(world, charge, dispute)
        _fail_pending(world, charge)
    world.emit("charge.dispute.created", dispute)
    if chargeback:
        world.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def answer(world: World, dispute: Record, evidence: JsonObject, *, submit: bool) -> Record:
    """The account answers with evidence; submitted, it is for the bank to decide."""
    if dispute.body["status"] not in OPEN:
        raise invalid(f"Dispute {dispute.id} is {dispute.body['status']} already.")
    with world.changing(dispute, "charge.dispute.updated") as body:
        body["evidence"].update(evidence)
        body["evidence_details"]["has_evidence"] = True
        if submit:
            body["evidence_details"]["submission_count"] += 1
            body["evidence_details"]["submission_method"] = "manual"
            body["status"] = body["status"].replace("needs_response", "under_review")
    return dispute


def warn(world: World, charge: Record, fraud_type: str = "made_with_stolen_card") -> Record:
    """The issuer suspects fraud before anybody disputed the charge."""
    body: JsonObject = {
        "id": world.new_id("issfr"),
        "object": "radar.early_fraud_warning",
        "actionable": not (charge.body["refunded"] or charge.body["disputed"]),
        "charge": charge.id,
        "created": world.now(),
        "fraud_type": fraud_type,
        "livemode": False,
        "payment_intent": charge.body["payment_intent"],
    }
    warning = world.put("radar.early_fraud_warning", charge.owner, body, links=(charge.id,))
    world.emit("radar.early_fraud_warning.created", warning)
    return warning


def close(world: World, dispute: Record, status: str) -> Record:
    """End a dispute: `won` and `lost` for chargebacks, `warning_closed` for inquiries."""
    if dispute.body["status"] not in OPEN:
        raise invalid(f"Dispute {dispute.id} is {dispute.body['status']} already.")
    inquiry = dispute.body["status"].startswith("warning")
    allowed = ("warning_closed",) if inquiry else ("won", "lost")
    if status not in allowed:
        raise invalid(f"This dispute can end as {' or '.join(allowed)}.", param="status")
    charge = world.shelves.get(dispute.body["charge"])
    if status == "won":
        _reinstate(world, charge, dispute)
        world.emit("charge.dispute.funds_reinstated", dispute)
    with world.changing(dispute, "charge.dispute.closed") as body:
        body["status"] = status
        body["is_charge_refundable"] = status != "lost"
    # A lost one took the money for good, whatever becomes of the charge's other disputes.
    others = world.shelves.linked("dispute", charge.id)
    if all(each.body["status"] != "lost" for each in others):
        with world.changing(charge, "charge.updated") as changed:
            changed["disputed"] = False
    return dispute


def escalate(world: World, inquiry: Record) -> Record:
    """An inquiry becomes a chargeback of the same dispute."""
    if not inquiry.body["status"].startswith("warning_") or inquiry.body["status"] not in OPEN:
        raise invalid(f"Dispute {inquiry.id} is no open inquiry.")
    charge = world.shelves.get(inquiry.body["charge"])
    with world.changing(inquiry, "charge.dispute.updated") as body:
        body.update(status="needs_response", is_charge_refundable=False)
        body["payment_method_details"]["card"]["case_type"] = Kind.CHARGEBACK.value
        _withdraw(world, charge, inquiry)
    _fail_pending(world, charge)
    world.emit("charge.dispute.funds_withdrawn", inquiry)
    return inquiry


def _fail_pending(world: World, charge: Record) -> None:
    for refund in world.shelves.linked("refund", charge.id):
        if refund.body["status"] == refund_course.State.PENDING:
            refund_course.fail(world, refund, "charge_for_pending_refund_disputed")


def _withdraw(world: World, charge: Record, dispute: Record) -> None:
    _adjust(world, charge, dispute, -1, world.switches.dispute_fee_minor)


def _reinstate(world: World, charge: Record, dispute: Record) -> None:
    _adjust(world, charge, dispute, 1, 0)


def _adjust(world: World, charge: Record, dispute: Record, sign: int, fee: int) -> None:
    settled = world.shelves.get(charge.body["balance_transaction"]).body["currency"]
    amount, rate = convert(world, dispute.body["amount"], dispute.body["currency"], settled)
    word = "withdrawal" if sign < 0 else "reversal"
    (txn,) = move(
        world,
        [
            Leg(
                owner=charge.owner,
                amount_minor=sign * amount,
                currency=settled,
                type="adjustment",
                source=dispute.id,
                stripe_fee_minor=fee,
                rate=rate,
                category="dispute" if sign < 0 else "dispute_reversal",
                description=f"Chargeback {word} for {charge.id}",
            )
        ],
        [
            Outside(
                party=Party.BUYERS,
                amount_minor=-sign * dispute.body["amount"],
                currency=dispute.body["currency"],
            ),
            Outside(party=Party.STRIPE, amount_minor=fee, currency=settled),
            *exchange(
                settled, -sign * amount, dispute.body["currency"], -sign * dispute.body["amount"]
            ),
        ],
    )
    dispute.body["balance_transactions"].append(dict(txn.body))
