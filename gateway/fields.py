"""Takes typed values out of the JSON Stripe sends, and says which field is wrong when one is.

This module reads single fields; it may not know what an object means, coerce a type (an amount that
is a float, a string or a boolean is no amount) or repeat a value in an error.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias

from gateway.port import UnavailableError
from refunds.money import Currency, Money
from refunds.steps import Trouble

JsonObject: TypeAlias = Mapping[str, object]

_NOTHING: Final[JsonObject] = {}


class MalformedAnswerError(UnavailableError):
    """Stripe answered 200 with something that is not the object asked for."""

    def __init__(self, what: str, field: str) -> None:
        super().__init__(
            Trouble.UNREADABLE, f"Stripe's answer is no usable {what}: look at its {field}"
        )


class Fields:
    """One JSON object, read field by field; `what` names it in errors."""

    __slots__ = ("_data", "_what")

    def __init__(self, data: object, what: str) -> None:
        if not isinstance(data, Mapping):
            raise MalformedAnswerError(what, "type")
        self._data: JsonObject = data
        self._what = what

    def _wrong(self, key: str) -> MalformedAnswerError:
        return MalformedAnswerError(self._what, key)

    def has(self, key: str) -> bool:
        """Whether the field is there and not null."""
        return self._data.get(key) is not None

    def text(self, key: str) -> str:
        """Return a string that must be there and not be empty."""
        value = self._data.get(key)
        if not isinstance(value, str) or not value:
            raise self._wrong(key)
        return value

    def text_or_none(self, key: str) -> str | None:
        """Return a string; absent, null, empty or of another type is `None`."""
        value = self._data.get(key)
        return value if isinstance(value, str) and value else None

    def integer(self, key: str) -> int:
        """Return an integer that must be there."""
        value = self._data.get(key)
        # bool is a subclass of int: `true` would pass as one minor unit.
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(key)
        return value

    def integer_or_none(self, key: str) -> int | None:
        """Return an integer, `None` where absent or null; another type is an error."""
        return self.integer(key) if self.has(key) else None

    def flag(self, key: str, *, absent: bool | None = None) -> bool:
        """Return a boolean, `absent` where it is missing or null; without `absent` it must be
        there.
        """
        value = self._data.get(key)
        if value is None:
            value = absent
        if not isinstance(value, bool):
            raise self._wrong(key)
        return value

    def money(self, amount: str, currency: str = "currency") -> Money:
        """Return the amount in `amount` with the currency in `currency`."""
        return Money(self.integer(amount), Currency(self.text(currency).lower()))

    def moment(self, key: str) -> datetime:
        """Return a Unix timestamp (seconds) as an aware UTC time."""
        try:
            return datetime.fromtimestamp(self.integer(key), UTC)
        except (OverflowError, ValueError, OSError):
            raise self._wrong(key) from None

    def moment_or_none(self, key: str) -> datetime | None:
        """Return a Unix timestamp as a time, `None` where absent or null."""
        return self.moment(key) if self.has(key) else None

    def reference(self, key: str) -> str:
        """Return the id in an expandable field that must be set."""
        found = self.reference_or_none(key)
        if found is None:
            raise self._wrong(key)
        return found

    def reference_or_none(self, key: str) -> str | None:
        """Return the id in an expandable field, whether Stripe expanded it or not."""
        value = self._data.get(key)
        if isinstance(value, Mapping):
            return Fields(value, key).text("id")
        return self.text_or_none(key)

    def child(self, key: str) -> "Fields":
        """Return a nested object; absent, null or unexpanded reads like an empty one."""
        value = self._data.get(key)
        return Fields(value if isinstance(value, Mapping) else _NOTHING, f"{self._what}.{key}")

    def expanded(self, key: str) -> JsonObject | None:
        """Return the object in an expandable field, `None` where it isn't expanded."""
        value = self._data.get(key)
        return value if isinstance(value, Mapping) else None

    def objects(self, key: str) -> Sequence[JsonObject]:
        """Return a list of nested objects that must be there, though it may be empty."""
        value = self._data.get(key)
        if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
            raise self._wrong(key)
        return value

    def children(self, key: str) -> Sequence["Fields"]:
        """Return the same list with each object ready to be read."""
        return tuple(Fields(item, f"{self._what}.{key}") for item in self.objects(key))

    def words(self, key: str) -> list[str]:
        """Return a list of words or whole numbers as words; absent, null or of another type is
        empty.
        """
        value = self._data.get(key)
        if not isinstance(value, list):
            return []
        return [str(each) for each in value if isinstance(each, str | int)]

    def strings(self, key: str) -> Mapping[str, str]:
        """Return a mapping of strings, such as metadata; absent or null is empty."""
        value = self._data.get(key)
        if not isinstance(value, Mapping):
            return {}
        return {k: v for k, v in value.items() if isinstance(k, str) and isinstance(v, str)}
