"""Typed reading of a request's parameters, refusing as Stripe refuses.

It checks form and may not check meaning.
"""

from collections.abc import Iterable
from typing import TypeVar

from sandbox.errors import ApiError
from sandbox.shapes import JsonObject

T = TypeVar("T")


class ParamError(ApiError):
    """A parameter's form is wrong. Such answers aren't kept under an idempotency key."""

    def __init__(self, message: str, *, code: str | None, param: str) -> None:
        super().__init__(400, message, code=code, param=param)


class Params:
    """A request's parameters; `path` is where a nested object of them sits."""

    def __init__(self, values: JsonObject, path: str = "") -> None:
        self.values = values
        self._path = path

    def name(self, key: str) -> str:
        """A parameter's name as Stripe writes it, such as `transfer_data[destination]`."""
        return f"{self._path}[{key}]" if self._path else key

    def only(self, known: Iterable[str]) -> None:
        """Refuse parameters that this call doesn't have."""
        if unknown := sorted(set(self.values) - set(known)):
            name = self.name(unknown[0])
            raise ParamError(
                f"Received unknown parameter: {name}", code="parameter_unknown", param=name
            )

    def has(self, key: str) -> bool:
        """Whether the parameter was given at all, empty included."""
        return key in self.values

    def text(self, key: str) -> str | None:
        """A text; an empty one counts as not given."""
        value = self.values.get(key)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise ParamError(f"Invalid string: {value}", code=None, param=self.name(key))
        return value

    def required_text(self, key: str) -> str:
        """A text that must be there."""
        return self._required(key, self.text(key))

    def integer(self, key: str) -> int | None:
        """A whole number."""
        value = self.text(key)
        if value is None:
            return None
        if not value.removeprefix("-").isascii() or not value.removeprefix("-").isdigit():
            raise ParamError(
                f"Invalid integer: {value}",
                code="parameter_invalid_integer",
                param=self.name(key),
            )
        number = int(value[:20])
        if abs(number) > 99_999_999_999:
            raise ParamError(
                f"Invalid integer: {value[:20]} is too large",
                code="parameter_invalid_integer",
                param=self.name(key),
            )
        return number

    def required_integer(self, key: str) -> int:
        """A whole number that must be there."""
        return self._required(key, self.integer(key))

    def boolean(self, key: str, *, default: bool = False) -> bool:
        """`true` or `false`."""
        value = self.text(key)
        if value is None:
            return default
        if value not in ("true", "false"):
            raise ParamError(f"Invalid boolean: {value}", code=None, param=self.name(key))
        return value == "true"

    def choice(self, key: str, allowed: Iterable[str]) -> str | None:
        """One of a few texts."""
        value = self.text(key)
        options = list(allowed)
        if value is not None and value not in options:
            raise ParamError(
                f"Invalid {key}: must be one of {', '.join(options)}",
                code=None,
                param=self.name(key),
            )
        return value

    def texts(self, key: str) -> list[str]:
        """A list of texts."""
        value = self.values.get(key, [])
        if value == "":
            return []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ParamError("Invalid array", code=None, param=self.name(key))
        return [str(item) for item in value]

    def nested(self, key: str, known: Iterable[str] | None = None) -> "Params":
        """An object of parameters; empty when it isn't given."""
        value = self.values.get(key)
        if value is None or value == "":
            return Params({}, self.name(key))
        if not isinstance(value, dict):
            raise ParamError("Invalid object", code=None, param=self.name(key))
        inner = Params(value, self.name(key))
        if known is not None:
            inner.only(known)
        return inner

    def metadata(self) -> JsonObject:
        """Key-value pairs within Stripe's limits; empty values mean unset."""
        values = self.nested("metadata").values
        if len(values) > 50:
            raise ParamError("Metadata can have at most 50 keys.", code=None, param="metadata")
        for key, value in values.items():
            if not isinstance(value, str) or len(key) > 40 or len(value) > 500:
                raise ParamError(
                    "Metadata keys have at most 40 characters and values are texts of at most 500.",
                    code=None,
                    param=f"metadata[{key[:40]}]",
                )
        return {key: value for key, value in values.items() if value != ""}

    def currency(self, key: str = "currency") -> str | None:
        """A three-letter currency code in lower case."""
        value = self.text(key)
        if value is None:
            return None
        if len(value) != 3 or not value.isalpha():
            raise ParamError(f"Invalid currency: {value}", code=None, param=self.name(key))
        return value.lower()

    def required_currency(self, key: str = "currency") -> str:
        """A currency that must be there."""
        return self._required(key, self.currency(key))

    def _required(self, key: str, value: T | None) -> T:
        if value is None:
            name = self.name(key)
            raise ParamError(
                f"Missing required param: {name}.", code="parameter_missing", param=name
            )
        return value
