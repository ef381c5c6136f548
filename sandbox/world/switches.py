"""What the sandbox does where Stripe's documents disagree, and the prices it charges.

It holds choices only; whoever needs one reads it here.
"""

from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from fractions import Fraction

from sandbox.shapes import JsonObject


class Short(StrEnum):
    """What Stripe does when a connected account can't pay a reversal."""

    ERROR = "error"
    NEGATIVE = "negative"


@dataclass(slots=True, kw_only=True)
class Switches:
    """Choices that hold for the whole world and may be changed at any time."""

    short: Short = Short.ERROR
    short_code: str | None = "balance_insufficient"
    """The error's code then; the documents name none, others saw `insufficient_funds` or none."""
    stripe_fee_basis_points: int = 290
    stripe_fee_fixed_minor: int = 30
    dispute_fee_minor: int = 1500
    settlement_days: int = 2
    rate_limit_per_second: int | None = None
    """Requests in any second over all endpoints; None: as many as come."""
    rate_limit_per_endpoint: int | None = None
    usd_per_unit: dict[str, str] = field(
        default_factory=lambda: {"usd": "1", "eur": "1.25", "gbp": "1.5", "cad": "0.75"}
    )
    """Worth of one unit in US dollars as a decimal text, for conversions."""

    def set(self, changes: JsonObject) -> None:
        """Change switches by name; raises ValueError for an unknown name or value."""
        known = {item.name for item in fields(self)}
        if unknown := sorted(set(changes) - known):
            raise ValueError(f"unknown switch {unknown[0]!r}: there are {', '.join(sorted(known))}")
        for name, value in changes.items():
            if name == "usd_per_unit":
                self.usd_per_unit = {**self.usd_per_unit, **{k: str(v) for k, v in value.items()}}
            else:
                setattr(self, name, Short(value) if name == "short" else value)

    def stripe_fee(self, amount_minor: int) -> int:
        """Stripe's own fee on a payment, in minor units of its currency, rounded half up."""
        share = (amount_minor * self.stripe_fee_basis_points + 5_000) // 10_000
        return min(amount_minor, share + self.stripe_fee_fixed_minor)

    def rate(self, source: str, target: str) -> Fraction:
        """Units of `target` for one unit of `source`; KeyError if a currency has no price."""
        return Fraction(self.usd_per_unit[source]) / Fraction(self.usd_per_unit[target])

    def shown(self) -> JsonObject:
        """The switches as JSON."""
        return {**asdict(self), "short": self.short.value}
