"""What goes wrong on the way to Stripe and back, drawn at random: faults of calls, interludes.

It words control verbs and may not carry them out.
"""

import random
from typing import Any

from tests.simulation.scene import Scene

_REFUNDS = {"path": "/v1/refunds", "method": "POST"}
_PLACES: tuple[dict[str, Any], ...] = (
    *(_REFUNDS,) * 4,
    {"path": "/v1/transfers/*/reversals", "method": "POST"},
    {"path": "/v1/balance"},
    {"path": "*"},
)
_KINDS = (
    ("lost_response",) * 4
    + ("reset",) * 2
    + (
        "http_429",
        "http_500",
        "http_503",
        "lock_timeout",
        "hang",
        "interlude",
    )
)

Verb = tuple[str, dict[str, Any]]


def payout(chance: random.Random, scene: Scene) -> Verb:
    """An account pays out all it has."""
    return f"accounts/{chance.choice(scene.accounts)}/payout", {}


def foreign_refund(chance: random.Random, scene: Scene) -> Verb:
    """Somebody refunds in the Dashboard."""
    paid = chance.choice(scene.paid)
    amount = max(1, int(paid.amount_minor * chance.choice([0.2, 0.5, 1.0])))
    reverse = paid.account is not None and chance.random() < 0.5
    return "refunds", {"charge": paid.charge, "amount": amount, "reverse_transfer": reverse}


def complaint(chance: random.Random, scene: Scene) -> Verb:
    """A buyer's bank complains."""
    kind = chance.choice(["chargeback", "chargeback", "inquiry"])
    return "disputes", {"charge": chance.choice(scene.paid).charge, "kind": kind}


def bad_calls(chance: random.Random, scene: Scene) -> Verb:
    """The next calls of a kind go wrong, or the world changes under a balance being read."""
    kind = chance.choice(_KINDS)
    body: dict[str, Any] = {"kind": kind, "times": chance.choice([1, 1, 2, 5])}
    body |= chance.choice(_PLACES)
    if kind == "interlude":
        happens = chance.choice([payout, foreign_refund, complaint])
        verb, step = happens(chance, scene)
        steps = [{"path": f"/_sandbox/{verb}", "body": step}]
        return "faults", {"kind": kind, "path": "/v1/balance", "steps": steps}
    if kind in ("reset", "hang", "http_500", "http_503"):
        body["after_effect"] = chance.random() < 0.4
    if kind in ("http_429", "http_500"):
        body["should_retry"] = chance.choice([None, True, False])
    return "faults", body


def revocation(chance: random.Random, scene: Scene) -> Verb:
    """The key is revoked, or an account's connection."""
    body: dict[str, Any] = {"kind": "revoked_key", "times": None}
    if chance.random() < 0.5:
        body["account"] = chance.choice(scene.accounts)
    return "faults", body
