"""Faults by rule: which API requests go wrong, how often, and in what way.

It chooses faults and may not carry them out.
"""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from sandbox.chance import falls
from sandbox.shapes import JsonObject


class Kind(StrEnum):
    """The ways in which a request can go wrong."""

    DELAY = "delay"
    """Answered late; `after_effect` says whether the wait comes after the effect."""
    LOST_RESPONSE = "lost_response"
    """Carried out, then the connection is closed without an answer."""
    HANG = "hang"
    """Never answered: the connection stays open for `seconds`, then closes."""
    RESET = "reset"
    """The connection is reset."""
    HTTP_429 = "http_429"
    HTTP_500 = "http_500"
    HTTP_503 = "http_503"
    LOCK_TIMEOUT = "lock_timeout"
    REVOKED_KEY = "revoked_key"
    INTERLUDE = "interlude"
    """Control verbs in `steps` are carried out around the request, which itself is answered."""


_HANG_SECONDS = 120.0


@dataclass(slots=True, kw_only=True)
class Rule:
    """One fault: for the `times` matching requests after the first `skip`."""

    kind: Kind
    path: str = "*"
    method: str = "*"
    account: str | None = None
    """A connected account's id, "platform", or None for any."""
    params: JsonObject = field(default_factory=dict)
    """Top-level parameters that must be exactly so."""
    times: int | None = 1
    """None: for ever."""
    skip: int = 0
    chance: float = 1.0
    """How likely a matching request meets the fault, decided by the world's seed."""
    seconds: float = 0.0
    after_effect: bool | None = None
    should_retry: bool | None = None
    """The `Stripe-Should-Retry` header of an error answer; None sends none."""
    steps: list[JsonObject] = field(default_factory=list)
    id: str = ""
    seen: int = 0
    hits: int = 0

    @property
    def late(self) -> bool:
        """Whether the effect happens before the fault."""
        if self.after_effect is not None:
            return self.after_effect
        return self.kind in (Kind.LOST_RESPONSE, Kind.INTERLUDE)

    @property
    def wait_seconds(self) -> float:
        """How long the request is kept waiting."""
        return self.seconds or (_HANG_SECONDS if self.kind is Kind.HANG else 0.0)

    def shown(self) -> JsonObject:
        """The rule as JSON."""
        return {**asdict(self), "kind": self.kind.value}


class Faults:
    """The rules in force, in the order they were made."""

    def __init__(self, *, seed: int = 0) -> None:
        self.rules: list[Rule] = []
        self._seed = seed
        self._count = 0

    def add(self, wish: JsonObject) -> Rule:
        """Make a rule from JSON; raises ValueError or TypeError for one that makes no sense."""
        kind = Kind(wish.get("kind", ""))
        given = {
            key: value for key, value in wish.items() if key not in ("kind", "id", "seen", "hits")
        }
        rule = Rule(kind=kind, **given)
        if rule.kind is Kind.LOST_RESPONSE and rule.after_effect is False:
            raise ValueError("a lost response comes after the effect: use reset or hang for before")
        self._count += 1
        rule.id = f"fault_{self._count}"
        self.rules.append(rule)
        return rule

    def clear(self, rule_id: str | None = None) -> int:
        """Forget one rule or all; answers how many."""
        before = len(self.rules)
        self.rules = [rule for rule in self.rules if rule_id not in (None, rule.id)]
        return before - len(self.rules)

    def take(self, *, method: str, path: str, account: str, params: JsonObject) -> Rule | None:
        """The fault that this request meets, if any; counts it."""
        for rule in self.rules:
            if (
                rule.times != 0
                and rule.method in ("*", method)
                and fnmatchcase(path, rule.path)
                and rule.account in (None, account)
                and all(params.get(key) == value for key, value in rule.params.items())
            ):
                rule.seen += 1
                if rule.seen <= rule.skip or not falls(self._seed, rule.id, rule.seen, rule.chance):
                    continue
                rule.hits += 1
                if rule.times is not None:
                    rule.times -= 1
                return rule
        return None
