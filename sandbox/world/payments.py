"""Payments: the PaymentIntent, its charge, and the transfer and fee that go with it.

It may not refund or dispute what it made.
"""

from dataclasses import dataclass, field

from sandbox.errors import ApiError, invalid
from sandbox.shapes import AccountId, JsonObject
from sandbox.world.accounts import DAY, account_of, settlement_currency
from sandbox.world.books import Party
from sandbox.world.builders import Method, PaymentFate, build_charge, build_intent
from sandbox.world.core import World
from sandbox.world.disputes import Kind, raise_dispute
from sandbox.world.fees import record_fee
from sandbox.world.money import Leg, Outside, convert, exchange, move
from sandbox.world.shelves import Record
from sandbox.world.transfers import Wish, make


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """What a buyer pays and where the money goes; amounts in minor units of `currency`."""

    owner: AccountId
    amount_minor: int
    currency: str
    method: Method
    destination: AccountId | None = None
    transfer_amount_minor: int | None = None
    application_fee_minor: int | None = None
    on_behalf_of: str | None = None
    transfer_group: str | None = None
    available_on: int | None = None
    """When the money can be used; None takes the world's settlement time."""
    customer: str | None = None
    payment_method: str | None = None
    description: str | None = None
    off_session: bool = False
    shown: JsonObject = field(default_factory=dict)
    """What the payment only carries: receipt_email, shipping, statement descriptors."""
    metadata: JsonObject = field(default_factory=dict)


def check(world: World, purchase: Purchase) -> None:
    """Refuse what Stripe refuses before anything is made."""
    if purchase.amount_minor < 1:
        raise invalid("This value must be greater than or equal to 1.", param="amount")
    fee, part = purchase.application_fee_minor, purchase.transfer_amount_minor
    if fee is not None and part is not None:
        raise invalid(
            "You may only specify one of application_fee_amount and transfer_data[amount].",
            param="application_fee_amount",
        )
    if fee is not None and purchase.destination is None and world.is_platform(purchase.owner):
        raise invalid(
            "An application fee needs a connected account: give transfer_data[destination] or "
            "act as the connected account.",
            param="application_fee_amount",
        )
    for name, value in (("application_fee_amount", fee), ("transfer_data[amount]", part)):
        if value is not None and not 0 < value <= purchase.amount_minor:
            raise invalid(f"{name} must be between 1 and the amount of the payment.", param=name)


def begin(world: World, purchase: Purchase) -> Record:
    """A PaymentIntent for a purchase, not yet confirmed."""
    check(world, purchase)
    body = build_intent(
        world,
        intent_id=world.new_id("pi"),
        amount_minor=purchase.amount_minor,
        currency=purchase.currency,
        types=[purchase.method.type],
    )
    body.update(
        application=None if world.is_platform(purchase.owner) else world.application,
        application_fee_amount=purchase.application_fee_minor,
        customer=purchase.customer,
        description=purchase.description,
        metadata=dict(purchase.metadata),
        on_behalf_of=purchase.on_behalf_of,
        transfer_data=_transfer_data(purchase),
        transfer_group=purchase.transfer_group,
        **purchase.shown,
    )
    record = world.put(
        "payment_intent", purchase.owner, body, links=(purchase.customer,), purchase=purchase
    )
    world.emit("payment_intent.created", record)
    return record


def pay(world: World, purchase: Purchase) -> Record:
    """Begin and confirm a payment in one go; answers its PaymentIntent."""
    return confirm(world, begin(world, purchase), purchase)


def confirm(
    world: World, intent: Record, purchase: Purchase, *, authenticated: bool = False
) -> Record:
    """Charge the payment method; raises Stripe's card error when it declines."""
    method = purchase.method
    if method.payment is PaymentFate.DECLINE:
        raise _decline(world, intent, "card_declined", method.decline_code)
    if method.payment is PaymentFate.NEEDS_AUTHENTICATION and purchase.off_session:
        code = "authentication_required"
        raise _decline(world, intent, code, code)
    if method.payment is PaymentFate.NEEDS_AUTHENTICATION and not authenticated:
        return _ask_to_authenticate(world, intent, purchase)
    charge = _charge(world, intent, purchase)
    with world.changing(intent, "payment_intent.succeeded") as body:
        body.update(
            status="succeeded",
            amount_received=purchase.amount_minor,
            latest_charge=charge.id,
            payment_method=purchase.payment_method,
            last_payment_error=None,
            next_action=None,
        )
    complaint = _COMPLAINTS.get(method.payment)
    if complaint is not None:
        raise_dispute(world, charge, kind=complaint, reason="fraudulent")
    return intent


_COMPLAINTS = {PaymentFate.DISPUTE: Kind.CHARGEBACK, PaymentFate.INQUIRY: Kind.INQUIRY}


def _ask_to_authenticate(world: World, intent: Record, purchase: Purchase) -> Record:
    """On session the buyer is there and is asked; `authenticate` is the buyer's answer."""
    with world.changing(intent, "payment_intent.requires_action") as body:
        body.update(
            status="requires_action",
            payment_method=purchase.payment_method,
            next_action={"type": "use_stripe_sdk", "use_stripe_sdk": {}},
        )
    return intent


def authenticate(world: World, intent: Record) -> Record:
    """The buyer has confirmed the payment with the bank."""
    if intent.body["status"] != "requires_action":
        raise invalid(f"PaymentIntent {intent.id} waits for no authentication.")
    return confirm(world, intent, intent.hidden["purchase"], authenticated=True)


def _decline(world: World, intent: Record, code: str, decline_code: str | None) -> ApiError:
    error = ApiError(
        402,
        "Your card was declined."
        if code == "card_declined"
        else "Your card was declined. This transaction requires authentication.",
        kind="card_error",
        code=code,
        decline_code=decline_code,
    )
    with world.changing(intent, "payment_intent.payment_failed") as body:
        body["status"] = "requires_payment_method"
        body["last_payment_error"] = dict(error.error)
    error.error["payment_intent"] = dict(intent.body)
    return error


def _charge(world: World, intent: Record, purchase: Purchase) -> Record:
    card = purchase.method.type == "card"
    charge_id = world.new_id("ch" if card else "py")
    available_on = _available_on(world, purchase)
    settles_in = settlement_currency(world, purchase.owner, purchase.currency)
    gross, rate = convert(world, purchase.amount_minor, purchase.currency, settles_in)
    stripe_fee = world.switches.stripe_fee(gross)
    direct_fee = 0 if world.is_platform(purchase.owner) else purchase.application_fee_minor or 0
    fee_id = world.new_id("fee") if direct_fee else None
    taken, _ = convert(world, direct_fee, purchase.currency, settles_in)
    legs = [
        Leg(
            owner=purchase.owner,
            amount_minor=gross,
            currency=settles_in,
            type="charge" if card else "payment",
            source=charge_id,
            stripe_fee_minor=stripe_fee,
            application_fee_minor=taken,
            available_on=available_on,
            lot=charge_id,
            rate=rate,
        )
    ]
    if fee_id:
        legs.append(
            Leg(
                owner=world.platform,
                amount_minor=direct_fee,
                currency=purchase.currency,
                type="application_fee",
                source=fee_id,
                available_on=available_on,
                lot=fee_id,
            )
        )
    txns = move(
        world,
        legs,
        [
            Outside(
                party=Party.BUYERS,
                amount_minor=-purchase.amount_minor,
                currency=purchase.currency,
            ),
            Outside(party=Party.STRIPE, amount_minor=stripe_fee, currency=settles_in),
            *exchange(
                purchase.currency, purchase.amount_minor - direct_fee, settles_in, gross - taken
            ),
        ],
    )
    charge = _put_charge(world, intent, purchase, charge_id, txns[0].id)
    if fee_id:
        record_fee(
            world,
            fee_id=fee_id,
            account=purchase.owner,
            amount_minor=direct_fee,
            currency=purchase.currency,
            charge=charge_id,
            originating=None,
            balance_transaction=txns[1].id,
            lot=fee_id,
        )
        charge.body["application_fee"] = fee_id
    if purchase.destination is not None:
        _send_on(world, purchase, charge, available_on)
    world.emit("charge.succeeded", charge)
    if purchase.method.payment is PaymentFate.BYPASS_PENDING:
        # This money has no later moment at which Stripe would tell that it is available.
        world.gained += [item for item in (purchase.owner, purchase.destination) if item]
    return charge


def _put_charge(
    world: World, intent: Record, purchase: Purchase, charge_id: str, txn: str
) -> Record:
    body = build_charge(
        world,
        charge_id=charge_id,
        amount_minor=purchase.amount_minor,
        currency=purchase.currency,
        balance_transaction=txn,
        method=purchase.method,
    )
    body.update(
        application=intent.body["application"],
        application_fee_amount=purchase.application_fee_minor,
        customer=purchase.customer,
        description=purchase.description,
        metadata=dict(purchase.metadata),
        on_behalf_of=purchase.on_behalf_of,
        payment_intent=intent.id,
        payment_method=purchase.payment_method,
        transfer_data=_transfer_data(purchase),
        **{key: value for key, value in purchase.shown.items() if key in body},
        transfer_group=purchase.transfer_group
        or (f"group_{intent.id}" if purchase.destination else None),
    )
    return world.put(
        "charge",
        purchase.owner,
        body,
        links=(intent.id, purchase.customer),
        refund_fate=purchase.method.refund,
        card=purchase.method.type == "card",
    )


def _send_on(world: World, purchase: Purchase, charge: Record, available_on: int) -> None:
    if purchase.destination is None:
        return
    transfer = make(
        world,
        Wish(
            sender=purchase.owner,
            destination=purchase.destination,
            amount_minor=purchase.transfer_amount_minor or purchase.amount_minor,
            currency=purchase.currency,
            fee_minor=purchase.application_fee_minor or 0,
            available_on=available_on,
            lot=charge.id,
            source_transaction=charge.id,
            transfer_group=charge.body["transfer_group"],
        ),
    )
    charge.body["transfer"] = transfer.id
    payment = world.shelves.get(transfer.body["destination_payment"])
    charge.body["application_fee"] = payment.body["application_fee"]


def _transfer_data(purchase: Purchase) -> JsonObject | None:
    if purchase.destination is None:
        return None
    data: JsonObject = {"destination": purchase.destination}
    if purchase.transfer_amount_minor is not None:
        data["amount"] = purchase.transfer_amount_minor
    return data


def _available_on(world: World, purchase: Purchase) -> int:
    if purchase.method.payment is PaymentFate.BYPASS_PENDING:
        return world.now()
    if purchase.available_on is not None:
        return purchase.available_on
    owner = purchase.destination or purchase.owner
    override = account_of(world, owner).hidden["delay_days_override"]
    days = world.switches.settlement_days if override is None else override
    return (world.now() // DAY + days) * DAY if days else world.now()


def charge_alone(world: World, purchase: Purchase) -> Record:
    """A charge without a PaymentIntent; raises Stripe's card error when it is declined."""
    intent = pay(world, purchase)
    return world.shelves.get(intent.body["latest_charge"])
