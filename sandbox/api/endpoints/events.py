"""Events and webhook endpoints over the API.

It reads events and may not make or deliver them.
"""

from fnmatch import fnmatchcase

from sandbox.api.call import Call
from sandbox.api.params import ParamError
from sandbox.errors import invalid
from sandbox.shapes import AccountId, JsonObject
from sandbox.world import webhooks
from sandbox.world.accounts import DAY
from sandbox.world.shelves import Record

KEPT_DAYS = 30
MAX_TYPES = 20


def event(call: Call) -> JsonObject:
    """An event."""
    return call.answer(call.record("event"))


def event_list(call: Call) -> JsonObject:
    """Events of the last 30 days, by type and by success of delivery."""
    params, world = call.params, call.world
    one, many = params.text("type"), params.texts("types")
    if one and many:
        raise ParamError("You may only specify one of type and types.", code=None, param="types")
    if len(many) > MAX_TYPES:
        raise ParamError(f"At most {MAX_TYPES} types.", code=None, param="types")
    wanted = many or ([one] if one else [])
    success = params.choice("delivery_success", ("true", "false"))
    oldest = world.now() - KEPT_DAYS * DAY

    def keep(record: Record) -> bool:
        if wanted and not any(fnmatchcase(record.body["type"], pattern) for pattern in wanted):
            return False
        if success is not None and (record.body["pending_webhooks"] == 0) != (success == "true"):
            return False
        return bool(record.body["created"] >= oldest)

    return call.answer_list(world.shelves.of("event", call.owner), keep)


def event_retry(call: Call) -> JsonObject:
    """Deliver an event once more, as the CLI's `events resend` asks."""
    account = call.params.text("account")
    # The CLI names the connected account as a parameter, other callers by the header.
    owner = AccountId(account) if account and call.world.is_platform(call.owner) else call.owner
    record = call.record("event", owner=owner)
    webhooks.resend(call.world, record, call.params.text("webhook_endpoint"))
    return call.answer(record)


def endpoint(call: Call) -> JsonObject:
    """A webhook endpoint; its secret is only told when it is made."""
    return call.answer(call.record("webhook_endpoint"))


def endpoint_list(call: Call) -> JsonObject:
    """The webhook endpoints."""
    return call.answer_list(call.world.shelves.of("webhook_endpoint", call.owner))


def endpoint_create(call: Call) -> JsonObject:
    """Register a URL; Connect endpoints get the connected accounts' events."""
    params = call.params
    record = webhooks.register(
        call.world,
        url=params.required_text("url"),
        connect=params.boolean("connect"),
        enabled_events=params.texts("enabled_events"),
        description=params.text("description"),
        metadata=params.metadata(),
    )
    return {**call.answer(record), "secret": record.hidden["secret"]}


def endpoint_update(call: Call) -> JsonObject:
    """Change a webhook endpoint, or disable it."""
    record, params = call.record("webhook_endpoint"), call.params
    if params.has("enabled_events"):
        record.body["enabled_events"] = params.texts("enabled_events")
    if (url := params.text("url")) is not None:
        record.body["url"] = url
    if params.has("disabled"):
        record.body["status"] = "disabled" if params.boolean("disabled") else "enabled"
    if params.has("description"):
        record.body["description"] = params.text("description")
    if params.has("metadata"):
        record.body["metadata"] = {**record.body["metadata"], **params.metadata()}
    return call.answer(record)


def endpoint_delete(call: Call) -> JsonObject:
    """Forget a webhook endpoint."""
    record = call.record("webhook_endpoint")
    if record.hidden.get("given"):
        raise invalid("This endpoint was given at start and can't be deleted.")
    call.world.shelves.drop(record)
    return {"id": record.id, "object": "webhook_endpoint", "deleted": True}
