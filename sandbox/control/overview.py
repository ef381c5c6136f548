"""The control verbs that look at the whole: state, clock, switches, faults, deliveries.

They show and set what surrounds the world and may not touch single objects.
"""

from collections import defaultdict
from dataclasses import asdict

from sandbox.api.door import Door
from sandbox.control.desk import Courier, Order
from sandbox.errors import ApiError, invalid
from sandbox.shapes import JsonObject
from sandbox.world import balances, course, webhooks
from sandbox.world.books import Entry


def movement(order: Order) -> JsonObject:
    """Everything that moved one account's money, oldest first, with the running sums."""
    order.asking.finish()
    account, world = order.account(), order.world
    owner = account.body["id"]
    sums: defaultdict[str, int] = defaultdict(int)
    rows = []
    for record in world.shelves.of("balance_transaction", owner):
        body = record.body
        sums[body["currency"]] += body["net"]
        rows.append({**body, "sum": sums[body["currency"]]})
    return {
        "account": owner,
        "balance": balances.build(world, owner),
        "movement": rows,
        "net": dict(sums),
    }


def switches(order: Order) -> JsonObject:
    """The switches."""
    order.asking.finish()
    return order.world.switches.shown()


def set_switches(order: Order) -> JsonObject:
    """Change switches by name."""
    order.world.switches.set(order.asking.values)
    return order.world.switches.shown()


def clock(order: Order) -> JsonObject:
    """The sandbox's time."""
    order.asking.finish()
    return {"now": order.world.now()}


def advance_clock(order: Order) -> JsonObject:
    """Move forward by `advance` seconds or up to the moment `to`."""
    ask, world = order.asking, order.world
    seconds, moment = ask.integer("advance"), ask.moment("to")
    ask.finish()
    if (seconds is None) == (moment is None):
        raise invalid("Give either advance (seconds) or to (a moment).")
    step = seconds if seconds is not None else (moment or 0) - world.now()
    if step < 0:
        raise invalid("The clock only moves forward.")
    course.advance(world, step)
    return {"now": world.now()}


def state(order: Order) -> JsonObject:
    """The whole world."""
    order.asking.finish()
    return snapshot(order.door, order.courier)


def snapshot(door: Door, courier: Courier | None = None) -> JsonObject:
    """The whole world as JSON: the same story gives the same snapshot."""
    world = door.world
    shelves: defaultdict[str, list[JsonObject]] = defaultdict(list)
    for record in world.shelves.everything():
        shelves[record.kind].append({**record.body, "_owner": record.owner})
    owners = [item["id"] for item in shelves["account"]]
    return {
        "seed": world.seed,
        "now": world.now(),
        "platform": world.platform,
        "balances": {owner: balances.build(world, owner) for owner in owners},
        "objects": dict(shelves),
        "calls": [entry.shown() for entry in door.journal.calls],
        "refused": [entry.shown() for entry in door.journal.refused()],
        "switches": world.switches.shown(),
        "agenda": [asdict(item) for item in world.agenda.all()],
        "faults": [rule.shown() for rule in door.faults.rules],
        "deliveries": None if courier is None else courier.shown(),
        "books": {"entries": len(world.books.entries), "problems": world.books.check()},
    }


def calls(order: Order) -> JsonObject:
    """Every changing API call, the refused ones, and how often each path was read."""
    order.asking.finish()
    journal = order.door.journal
    return {
        "calls": [entry.shown() for entry in journal.calls],
        "refused": [entry.shown() for entry in journal.refused()],
        "reads": dict(journal.reads),
    }


def books(order: Order) -> JsonObject:
    """Every entry of the books, and what is wrong with them: nothing."""
    order.asking.finish()
    world = order.world
    totals: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for entry in world.books.entries:
        totals[entry.account][entry.currency] += entry.amount_minor
    return {
        "entries": [_entry(entry) for entry in world.books.entries],
        "totals": {account: dict(sums) for account, sums in totals.items()},
        "problems": world.books.check(),
    }


def _entry(entry: Entry) -> JsonObject:
    return {
        "account": entry.account,
        "currency": entry.currency,
        "amount": entry.amount_minor,
        "balance_transaction": entry.txn,
    }


def faults(order: Order) -> JsonObject:
    """The fault rules."""
    order.asking.finish()
    return {"faults": [rule.shown() for rule in order.door.faults.rules]}


def add_fault(order: Order) -> JsonObject:
    """Make a fault rule."""
    return order.door.faults.add(order.asking.values).shown()


def clear_faults(order: Order) -> JsonObject:
    """Forget one fault rule or all."""
    rule_id = order.asking.text("id")
    order.asking.finish()
    return {"cleared": order.door.faults.clear(rule_id)}


def _courier(order: Order) -> Courier:
    if order.courier is None:
        raise ApiError(409, "This sandbox has no deliverer: its events are fetched, not sent.")
    return order.courier


def deliveries(order: Order) -> JsonObject:
    """Every delivery and every delivery rule."""
    order.asking.finish()
    return _courier(order).shown()


def add_delivery_rule(order: Order) -> JsonObject:
    """Make a delivery rule."""
    return _courier(order).add_rule(order.asking.values)


def clear_delivery_rules(order: Order) -> JsonObject:
    """Forget all delivery rules."""
    order.asking.finish()
    return {"cleared": _courier(order).clear_rules()}


def release_deliveries(order: Order) -> JsonObject:
    """Send what rules hold back, in the order the rules ask for."""
    order.asking.finish()
    return {"released": _courier(order).release_held()}


def resend_event(order: Order) -> JsonObject:
    """Deliver an event again, `times` times, to every endpoint it is for."""
    times = order.asking.integer("times") or 1
    order.asking.finish()
    event = order.object("event")
    for _ in range(times):
        webhooks.resend(order.world, event, None)
    return {"event": event.id, "times": times}
