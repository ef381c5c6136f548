"""Customers and their payment methods over the API.

It translates between parameters and the verbs of the world.
"""

from sandbox.api.call import Call, change_metadata
from sandbox.errors import invalid
from sandbox.shapes import JsonObject
from sandbox.world import methods
from sandbox.world.builders import METHODS
from sandbox.world.ids import token
from sandbox.world.shelves import Record


def retrieve(call: Call) -> JsonObject:
    """A customer."""
    return call.answer(call.record("customer"))


def listing(call: Call) -> JsonObject:
    """Customers, by email."""
    email = call.params.text("email")
    return call.answer_list(
        call.world.shelves.of("customer", call.owner),
        lambda record: email in (None, record.body["email"]),
    )


def create(call: Call) -> JsonObject:
    """A customer, with a payment method when one is given."""
    params, world = call.params, call.world
    customer_id = world.new_id("cus", length=14)
    body: JsonObject = {
        "id": customer_id,
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": world.now(),
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": params.text("description"),
        "discount": None,
        "email": params.text("email"),
        "invoice_prefix": token(customer_id, 8).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": params.metadata(),
        "name": params.text("name"),
        "next_invoice_sequence": 1,
        "phone": params.text("phone"),
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
    given = params.text("payment_method") or params.text("source")
    chosen = methods.find(world, call.owner, given, customer_id)
    record = world.put("customer", call.owner, body)
    if chosen.id is not None:
        methods.attach(world, world.shelves.get(chosen.id), record)
    _default_method(call, record)
    world.emit("customer.created", record)
    return call.answer(record)


def update(call: Call) -> JsonObject:
    """Change a customer."""
    record, params = call.record("customer"), call.params
    for key in ("description", "email", "name", "phone"):
        if params.has(key):
            record.body[key] = params.text(key)
    _default_method(call, record)
    return change_metadata(call, record, "customer.updated")


def _default_method(call: Call, record: Record) -> None:
    settings = call.params.nested("invoice_settings")
    chosen = settings.text("default_payment_method")
    if chosen is not None:
        found = methods.find(call.world, call.owner, chosen, record.id)
        record.body["invoice_settings"]["default_payment_method"] = found.id


def delete(call: Call) -> JsonObject:
    """Forget a customer."""
    record = call.record("customer")
    call.world.shelves.drop(record)
    call.world.emit("customer.deleted", record)
    return {"id": record.id, "object": "customer", "deleted": True}


def method(call: Call) -> JsonObject:
    """A payment method."""
    return call.answer(call.record("payment_method"))


def method_create(call: Call) -> JsonObject:
    """A card as a payment method, from a test token."""
    if call.params.text("type") not in (None, "card"):
        raise invalid("The sandbox makes payment methods of type card only.", param="type")
    card = call.params.nested("card")
    chosen = methods.find(call.world, call.owner, card.text("token") or "tok_visa", None)
    return call.answer(call.world.shelves.get(chosen.id or ""))


def method_list(call: Call) -> JsonObject:
    """The payment methods of a customer."""
    customer = call.record("customer")
    return call.answer_list(
        call.world.shelves.of("payment_method", call.owner),
        lambda record: bool(record.body["customer"] == customer.id),
    )


def all_methods(call: Call) -> JsonObject:
    """Payment methods, by customer."""
    customer = call.params.text("customer")
    return call.answer_list(
        call.world.shelves.of("payment_method", call.owner),
        lambda record: (
            record.body["customer"] is not None and customer in (None, record.body["customer"])
        ),
    )


def attach(call: Call) -> JsonObject:
    """Store a payment method, a test one by name included, with a customer."""
    world, name = call.world, call.named["id"]
    customer = call.referred("customer", call.params.required_text("customer"), "customer")
    record = (
        methods.make(world, call.owner, METHODS[name])
        if name in METHODS
        else call.record("payment_method")
    )
    return call.answer(methods.attach(world, record, customer))


def detach(call: Call) -> JsonObject:
    """Take a payment method from its customer."""
    return call.answer(methods.detach(call.world, call.record("payment_method")))
