"""Reads what a request carries, body, query and key, and lets through only what has its form.

It may not read more than a bounded body, or unpack one.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from flask import Request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from api.refusals import RefusedError
from api.route import JSON, Key, Route
from api.shapes import IdempotencyKey, validated
from refunds.strict_json import NotJsonError, holds_unstorable_text, read_json

MAX_BODY_BYTES: Final = 1024 * 1024
KEY_HEADER: Final = "Idempotency-Key"

_INTEGER: Final = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_NUMBERS: Final = frozenset({"limit"})
"""Query parameters that are numbers; all others are text."""


def read_query(route: Route, request: Request) -> Mapping[str, Any]:
    """Return the query; raise `RefusedError` (400) for a parameter that is unknown, comes twice or
    has another form.
    """
    found: dict[str, object] = {}
    for name, values in request.args.lists():
        if len(values) > 1:
            raise RefusedError(400, "parameter_invalid", f"{name} comes twice.", param=name)
        [value] = values
        is_number = name in _NUMBERS and _INTEGER.fullmatch(value)
        found[name] = int(value) if is_number else value
    if route.query is None:
        for name in found:
            raise RefusedError(
                400, "parameter_unknown", f"There is no parameter {name}.", param=name
            )
        return {}
    checked: Mapping[str, Any] = validated(route.query, found)
    return checked


def read_key(route: Route, request: Request) -> str | None:
    """Return the idempotency key; raise `RefusedError` (400) if it is missing or malformed."""
    if route.key is Key.NONE:
        return None
    value = request.headers.get(KEY_HEADER)
    if value is None:
        if route.key is Key.OPTIONAL:
            return None
        raise RefusedError(
            400,
            "parameter_missing",
            f"Send an {KEY_HEADER} header, a new one for each new wish: the same key never refunds "
            "twice.",
            param=KEY_HEADER,
        )
    try:
        checked: str = validated(IdempotencyKey, value)
    except RefusedError as error:
        message = f"{KEY_HEADER}: {error.view['message'].removeprefix('The body: ')}"
        raise RefusedError(400, "parameter_invalid", message, param=KEY_HEADER) from None
    return checked


def read_document(route: Route, request: Request) -> object:
    """Return the body as a document of the route's shape.

    Raise `RefusedError`: 415 for another type than JSON, 413 if it is too large, 400 otherwise.
    """
    if route.body is None:
        return None
    if (
        request.mimetype != JSON
        or request.headers.get("Content-Encoding", "identity") != "identity"
    ):
        raise RefusedError(
            415, "media_type_unsupported", f"Send plain JSON, with Content-Type: {JSON}."
        )
    try:
        document = read_json(_read_body(request))
    except NotJsonError as error:
        raise RefusedError(400, "not_json", str(error)) from None
    if holds_unstorable_text(document):
        raise RefusedError(
            400, "parameter_invalid", "The body holds a NUL character or half a surrogate pair."
        )
    return validated(route.envelope or route.body, document)


def _read_body(request: Request) -> bytes:
    # One byte more than allowed: a body that doesn't announce its length is cut off there, without
    # an error.
    request.max_content_length = MAX_BODY_BYTES + 1
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        body = b" " * (MAX_BODY_BYTES + 1)
    except ClientDisconnected:
        raise _incomplete() from None
    if len(body) > MAX_BODY_BYTES:
        raise RefusedError(
            413, "body_too_large", f"The body is larger than {MAX_BODY_BYTES} bytes."
        )
    if len(body) < (request.content_length or 0):
        # gunicorn hands over what came, as if it were all.
        raise _incomplete()
    return body


def _incomplete() -> RefusedError:
    return RefusedError(400, "body_incomplete", "The body ended early or came too slowly.")
