"""Stripe's form encoding: bracketed names become nested objects and lists.

It decodes and may not interpret.
"""

import re
from typing import Any
from urllib.parse import parse_qsl

from sandbox.errors import ApiError
from sandbox.shapes import JsonObject

MAX_FIELDS = 2_000
_PART = re.compile(r"\[([^\[\]]*)\]")


def decode(text: str) -> JsonObject:
    """A query string or form body as nested JSON; every leaf is a text."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise ApiError(400, "The request's form can't be read.") from error
    root: JsonObject = {}
    for name, value in pairs:
        head = name.split("[", 1)[0]
        _put(root, [head, *_PART.findall(name[len(head) :])], value, name)
    return {key: _lists(value) for key, value in root.items()}


def _put(node: JsonObject, path: list[str], value: str, name: str) -> None:
    for part in path[:-1]:
        node = node.setdefault(part, {})
        if not isinstance(node, dict):
            raise ApiError(400, f"Invalid parameter: {name} is given as a value and as an object.")
    last = path[-1]
    if last == "":
        last = str(len(node))
    if isinstance(node.get(last), dict):
        raise ApiError(400, f"Invalid parameter: {name} is given as a value and as an object.")
    node[last] = value


def _lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    inner = {key: _lists(value) for key, value in node.items()}
    if inner and all(key.isdigit() for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner
