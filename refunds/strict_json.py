"""Reads JSON from outside with nothing left to interpretation: one text, one meaning, bounded.

It may not know what the document is about.
"""

import json
from typing import Final, NoReturn

from refunds.errors import SluiceError

MAX_DEPTH: Final = 64
"""Stripe's objects nest less than ten deep; a reader that recurses must not be killed by one."""
MAX_INTEGER_CHARACTERS: Final = 19
"""Stripe's integers fit 64 bits; Python's would grow until they eat the processor."""


class NotJsonError(SluiceError):
    """The body can't be read as JSON; the message never quotes it."""


def read_json(body: bytes) -> object:
    """Return the document. Raise `NotJsonError` for anything that two readers could read as two
    things (keys that come twice, NaN), or that is unreasonably deep or large.
    """
    try:
        loaded: object = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except UnicodeDecodeError:
        raise NotJsonError("The body is not UTF-8.") from None
    except RecursionError:
        raise NotJsonError("The body is nested too deeply.") from None
    except ValueError:
        # `from None`: the decoder's error carries the body.
        raise NotJsonError("The body is not JSON.") from None
    # Every level opens a bracket: few brackets, no need to look.
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH:
        _refuse_depth(loaded)
    return loaded


def holds_unstorable_text(value: object) -> bool:
    """Whether a document that was read has a NUL or half a surrogate pair in a text or a key: no
    database stores the one, no encoding the other.
    """
    match value:
        case str():
            return "\x00" in value or not _encodable(value)
        case dict():
            return any(holds_unstorable_text(each) for pair in value.items() for each in pair)
        case list():
            return any(holds_unstorable_text(each) for each in value)
        case _:
            return False


def _encodable(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        # Two readers could take two different ones for the truth.
        raise NotJsonError("The body has an object with the same key twice.")
    return found


def _integer(digits: str) -> int:
    if len(digits) > MAX_INTEGER_CHARACTERS:
        raise NotJsonError("The body has an integer beyond 64 bits.")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise NotJsonError("The body has a number that is too large.")
    return number


def _refuse_constant(_name: str) -> NoReturn:
    raise NotJsonError("The body has NaN or Infinity, which JSON does not know.")


def _refuse_depth(loaded: object) -> None:
    level = [loaded]
    for _ in range(MAX_DEPTH):
        level = [child for value in level for child in _children(value)]
        if not level:
            return
    raise NotJsonError("The body is nested too deeply.")


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
