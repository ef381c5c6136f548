"""A document has one meaning, fits into memory, and can be stored; or it is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refunds.strict_json import (
    MAX_DEPTH,
    MAX_INTEGER_CHARACTERS,
    NotJsonError,
    holds_unstorable_text,
    read_json,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**53), max_value=2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_what_was_written_is_read(document: Any) -> None:
    assert read_json(json.dumps(document).encode()) == document


def nested(depth: int, inner: str = "1") -> bytes:
    return ('{"a":[' * (depth // 2) + inner + "]}" * (depth // 2)).encode()


@pytest.mark.parametrize(
    "body, says",
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'{"a": 1, "a": 1}', "same key twice"),
        (b'[{"b": {"a": 1, "\\u0061": 2}}]', "same key twice"),
        (b"NaN", "NaN or Infinity"),
        (b"[-Infinity]", "NaN or Infinity"),
        (b"1" * (MAX_INTEGER_CHARACTERS + 1), "beyond 64 bits"),
        (b"1e400", "too large"),
        (b"-1e400", "too large"),
        (nested(MAX_DEPTH + 2), "too deeply"),
        (b"[" * 200_000, "too deeply"),
    ],
)
def test_what_has_no_one_meaning_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(NotJsonError, match=says) as caught:
        read_json(body)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_bounds_are_inclusive() -> None:
    read_json(nested(MAX_DEPTH - 2, "[{}]"))
    assert read_json(b"[" + b"[]," * 100 + b"{}]") == [[] for _ in range(100)] + [{}]
    assert read_json(b"9" * MAX_INTEGER_CHARACTERS) == int("9" * MAX_INTEGER_CHARACTERS)


@pytest.mark.parametrize(
    "document, unstorable",
    [
        ("plain", False),
        ("grüße 😀", False),
        ("a\x00", True),
        ("ü\ud800", True),
        ({"a\udfff": 1}, True),
        ({"a": ["b", {"c": "\x00"}]}, True),
        ([1, 1.5, None, True, {"a": {}}], False),
    ],
)
def test_text_that_no_database_stores_is_seen(document: Any, unstorable: bool) -> None:
    assert holds_unstorable_text(document) is unstorable
