"""Writes a policy down: as TOML that reads back as the same, and as plain values for JSON.

This module knows how values are written; it may not know whom a policy is for.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from enum import StrEnum
from typing import TypeAlias, assert_never

from refunds.money import Currency
from refunds.policy import Partial, PayoutGuard, Policy

Plain: TypeAlias = str | int | bool | list[str] | dict[str, "Plain"]
"""What TOML and JSON have in common here."""

_Value: TypeAlias = (
    bool
    | int
    | StrEnum
    | timedelta
    | Partial
    | tuple[StrEnum, ...]
    | Mapping[Currency, int]
    | Mapping[str, timedelta]
    | None
)


def plain_policy(policy: Policy) -> dict[str, Plain]:
    """Return every key with its value, as a policy file would give it."""
    return {each.name: plain_value(getattr(policy, each.name)) for each in fields(policy)}


def plain_value(value: _Value) -> Plain:
    """Return one value as a policy file would give it."""
    match value:
        case None | PayoutGuard.OFF:
            return False
        case StrEnum():
            return True if value is PayoutGuard.ON else str(value)
        case bool() | int():
            return value
        case timedelta():
            return _span(value)
        case tuple():
            return [str(step) for step in value]
        case Partial():
            return {"minimum": plain_value(value.minimum), "parts": value.parts}
        case Mapping():
            return {str(key): plain_value(each) for key, each in value.items()}
        case _:
            assert_never(value)


def toml_line(key: str, value: Plain) -> str:
    """Return `key = value` as TOML."""
    return f"{key} = {_toml(value)}"


def _toml(value: Plain) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        # JSON's quotes and escapes are TOML's basic strings.
        return json.dumps(value)
    if isinstance(value, list):
        return f"[{', '.join(_toml(each) for each in value)}]"
    inside = ", ".join(toml_line(key, each) for key, each in value.items())
    return f"{{ {inside} }}" if inside else "{}"


def _span(value: timedelta) -> str:
    minutes = value // timedelta(minutes=1)
    for unit, size in (("d", 24 * 60), ("h", 60)):
        if minutes % size == 0:
            return f"{minutes // size}{unit}"
    return f"{minutes}m"
