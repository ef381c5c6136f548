"""How stored objects are answered: with their embedded lists, and with what `expand` asks for.

It reads the world and may not change it.
"""

from collections.abc import Callable

from sandbox.errors import ApiError
from sandbox.shapes import JsonObject
from sandbox.world import accounts, fees, transfers
from sandbox.world.copies import clone
from sandbox.world.core import World
from sandbox.world.shelves import Record

MAX_DEPTH = 4
"""Stripe expands this deep (documentation: "Expanding responses")."""

PRESENT: dict[str, Callable[[World, Record], JsonObject]] = {
    "account": accounts.present,
    "application_fee": fees.present,
    "transfer": transfers.present,
}
"""Kinds that are answered with lists of other objects embedded."""


def render(world: World, record: Record, expand: list[str] | None = None) -> JsonObject:
    """One object as JSON; raises Stripe's refusal for what can't be expanded."""
    present = PRESENT.get(record.kind)
    body = clone(present(world, record) if present else record.body)
    for path in expand or []:
        expand_path(world, body, path)
    return body


def expand_path(world: World, body: JsonObject, path: str) -> None:
    """Replace the ids along a dotted path by their objects, in place."""
    parts = path.split(".")
    if len(parts) > MAX_DEPTH:
        raise _refusal(f"You cannot expand more than {MAX_DEPTH} levels of a property.", path)
    nodes = [body]
    for part in parts:
        following: list[JsonObject] = []
        for node in nodes:
            following += _step(world, node, part, path)
        nodes = following


def _step(world: World, node: JsonObject, part: str, path: str) -> list[JsonObject]:
    if part == "refunds" and node.get("object") == "charge":
        node.setdefault("refunds", _refunds(world, node))
    if part == "data" and isinstance(node.get("data"), list):
        return [item for item in node["data"] if isinstance(item, dict)]
    if part not in node:
        # Optional fields that an object hasn't got stay absent, as at Stripe.
        if part in ("transfer", "balance_transaction", "source"):
            return []
        raise _refusal(f"This property cannot be expanded ({part}).", path)
    value = node[part]
    if isinstance(value, dict):
        return [value]
    if value is None:
        return []
    record = world.shelves.find(value) if isinstance(value, str) else None
    if record is None and value == world.application:
        node[part] = accounts.application(world)
        return []
    if record is None:
        raise _refusal(f"This property cannot be expanded ({part}).", path)
    node[part] = render(world, record)
    return [node[part]]


def _refunds(world: World, charge: JsonObject) -> JsonObject:
    found = [item.body for item in reversed(world.shelves.linked("refund", charge["id"]))]
    return {
        "object": "list",
        "data": clone(found[:10]),
        "has_more": len(found) > 10,
        "total_count": len(found),
        "url": f"/v1/charges/{charge['id']}/refunds",
    }


def _refusal(message: str, path: str) -> ApiError:
    return ApiError(400, message, param=f"expand[{path}]")
