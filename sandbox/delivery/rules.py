"""What goes wrong with deliveries, by rule.

It chooses what happens to a delivery and may not send any.
"""

from dataclasses import asdict, dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from sandbox.chance import falls
from sandbox.shapes import JsonObject


class Mishap(StrEnum):
    """The ways in which a delivery can go wrong."""

    DROP = "drop"
    """Never sent; only the event list has it."""
    DUPLICATE = "duplicate"
    """Sent `copies` times more, all at once."""
    DELAY = "delay"
    """Sent `seconds` later."""
    HOLD = "hold"
    """Kept until released by hand, then in order."""
    REORDER = "reorder"
    """Kept until `size` of them are there, then sent newest first."""


@dataclass(slots=True, kw_only=True)
class DeliveryRule:
    """One mishap, for the next `times` deliveries of matching events."""

    kind: Mishap
    type: str = "*"
    """The event's type; `*` matches anything, as in `refund.*`."""
    account: str | None = None
    times: int | None = 1
    """None: for ever."""
    copies: int = 1
    seconds: float = 1.0
    size: int = 2
    chance: float = 1.0
    """How likely a matching delivery meets the mishap, decided by the world's seed."""
    id: str = ""
    seen: int = 0
    hits: int = 0

    def shown(self) -> JsonObject:
        """The rule as JSON."""
        return {**asdict(self), "kind": self.kind.value}


class DeliveryRules:
    """The rules in force, in the order they were made."""

    def __init__(self, *, seed: int = 0) -> None:
        self._seed = seed
        self.rules: list[DeliveryRule] = []
        self._count = 0

    def add(self, wish: JsonObject) -> DeliveryRule:
        """Make a rule from JSON; raises ValueError or TypeError for one that makes no sense."""
        kind = Mishap(wish.get("kind", ""))
        given = {
            key: value for key, value in wish.items() if key not in ("kind", "id", "seen", "hits")
        }
        rule = DeliveryRule(kind=kind, **given)
        if kind is Mishap.REORDER and rule.times is not None:
            rule.times = max(rule.times, rule.size)
        self._count += 1
        rule.id = f"delivery_rule_{self._count}"
        self.rules.append(rule)
        return rule

    def take(self, event_type: str, account: str | None) -> DeliveryRule | None:
        """The mishap that a new delivery meets, if any; counts it."""
        for rule in self.rules:
            if (
                rule.times != 0
                and fnmatchcase(event_type, rule.type)
                and rule.account in (None, account)
            ):
                rule.seen += 1
                if not falls(self._seed, rule.id, rule.seen, rule.chance):
                    continue
                rule.hits += 1
                if rule.times is not None:
                    rule.times -= 1
                return rule
        return None
