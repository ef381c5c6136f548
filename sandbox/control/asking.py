"""Typed reading of a control request's JSON body.

It checks form and may not check meaning.
"""

from collections.abc import Iterable
from typing import TypeVar

from sandbox.clock import moment_from_iso
from sandbox.errors import ApiError, invalid
from sandbox.shapes import JsonObject

T = TypeVar("T")


class Asking:
    """A JSON object and the fields that are read from it; `finish` refuses the rest."""

    def __init__(self, values: JsonObject) -> None:
        self.values = values
        self._read: set[str] = set()

    def finish(self) -> None:
        """Refuse fields that nobody read: a misspelt one must not be ignored."""
        if unknown := sorted(set(self.values) - self._read):
            known = ", ".join(sorted(self._read)) or "none"
            raise invalid(f"Unknown field {unknown[0]!r}; this verb takes: {known}.")

    def only(self, known: Iterable[str]) -> None:
        """Refuse fields that aren't among those known, before anything is done."""
        self._read |= set(known)
        self.finish()

    def text(self, key: str) -> str | None:
        """A text or nothing."""
        return self._typed(key, str)

    def integer(self, key: str) -> int | None:
        """A whole number or nothing."""
        return self._typed(key, int)

    def boolean(self, key: str, *, default: bool = False) -> bool:
        """True or false."""
        value = self._typed(key, bool)
        return default if value is None else value

    def mapping(self, key: str) -> JsonObject:
        """A JSON object; empty when it isn't given."""
        return self._typed(key, dict) or {}

    def rows(self, key: str) -> list[JsonObject]:
        """A list of JSON objects; empty when it isn't given."""
        found = self._typed(key, list) or []
        if not all(isinstance(item, dict) for item in found):
            raise invalid(f"{key} must be a list of objects.", param=key)
        return found

    def texts(self, key: str) -> list[str]:
        """A list of texts; empty when it isn't given."""
        found = self._typed(key, list) or []
        if not all(isinstance(item, str) for item in found):
            raise invalid(f"{key} must be a list of texts.", param=key)
        return found

    def moment(self, key: str) -> int | None:
        """A moment as seconds since the epoch or as ISO 8601 text."""
        self._read.add(key)
        value = self.values.get(key)
        if isinstance(value, str):
            try:
                return moment_from_iso(value)
            except ValueError as error:
                raise invalid(f"{key}: {value!r} is no ISO 8601 moment.", param=key) from error
        return self._typed(key, int)

    def required(self, key: str, value: T | None) -> T:
        """A value that must have been given."""
        if value is None:
            raise ApiError(400, f"{key} must be given.", code="parameter_missing", param=key)
        return value

    def choice(self, key: str, allowed: Iterable[str], default: str) -> str:
        """One of a few texts."""
        value = self.text(key) or default
        options = list(allowed)
        if value not in options:
            raise invalid(f"{key} must be one of {', '.join(options)}.", param=key)
        return value

    def _typed(self, key: str, kind: type[T]) -> T | None:
        self._read.add(key)
        value = self.values.get(key)
        if value is None:
            return None
        # bool is an int to Python; an amount of `true` is a mistake all the same.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise invalid(f"{key} must be of type {kind.__name__}.", param=key)
        return value
