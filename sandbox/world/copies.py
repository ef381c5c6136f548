"""Copies of JSON values.

It copies dicts, lists and plain values only: stored objects hold nothing else.
"""

from typing import TypeVar

T = TypeVar("T")


def clone(value: T) -> T:
    """A copy that shares nothing that can change; several times quicker than copy.deepcopy."""
    if isinstance(value, dict):
        return type(value)((key, clone(item)) for key, item in value.items())
    if isinstance(value, list):
        return type(value)(clone(item) for item in value)
    return value
