"""Whatever arrives as a body or a key: a 4xx that says what is wrong, never a 500, nothing kept."""

import gzip
import json
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.incoming import MAX_BODY_BYTES
from api.shapes import WishBody
from store.requests import list_requests
from tests.support.caller import Caller, error_of

WISH: Final = {"charge": "ch_1"}
PATHS: Final = [
    "/refund_requests",
    "/refund_requests/preview",
    "/refund_requests/batch",
    "/refund_requests/rr_0/cancel",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "data, status, code",
    [
        (b"", 400, "not_json"),
        (b"{", 400, "not_json"),
        (b"charge=ch_1", 400, "not_json"),
        (b"\xff\xfe{}", 400, "not_json"),
        (b'{"charge":"ch_1","charge":"ch_1"}', 400, "not_json"),
        (b'{"charge":"ch_1","amount":NaN}', 400, "not_json"),
        (b'{"charge":"ch_1","amount":' + b"9" * 5_000 + b"}", 400, "not_json"),
        (b'{"charge":"ch_1","amount":1e999}', 400, "not_json"),
        (b"[" * 100_000, 400, "not_json"),
        (b'{"a":' * 100_000, 400, "not_json"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, 400, "not_json"),
        (b'{"note":"\\u0000"}', 400, "parameter_invalid"),
        (b'{"note":"\\ud800"}', 400, "parameter_invalid"),
        (b'{"a\\u0000b":1}', 400, "parameter_invalid"),
        (b" " * (MAX_BODY_BYTES + 1), 413, "body_too_large"),
        (b" " * (5 * MAX_BODY_BYTES), 413, "body_too_large"),
        (b'"' + b"x" * (MAX_BODY_BYTES - 2) + b'"', 400, "parameter_invalid"),
    ],
)
def test_what_is_no_document_is_refused(
    shared_caller: Caller, path: str, data: bytes, status: int, code: str
) -> None:
    answer = shared_caller.post(path, data=data)
    assert answer.status_code == status
    assert error_of(answer)["code"] == code


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/json; charset=utf-8", "Content-Encoding": "gzip"},
        {"Content-Type": ""},
        {"Content-Type": "application/jsonx"},
    ],
)
def test_only_plain_json_is_read(shared_caller: Caller, headers: dict[str, str]) -> None:
    data = gzip.compress(b" " * 50_000_000) if "Content-Encoding" in headers else b'{"note":"x"}'
    answer = shared_caller.post("/refund_requests/rr_0/cancel", data=data, headers=headers)
    assert (answer.status_code, error_of(answer)["code"]) == (415, "media_type_unsupported")
    fine = {"Content-Type": "application/json; charset=UTF-8"}
    read = shared_caller.post("/refund_requests/rr_0/cancel", data=b'{"note":"x"}', headers=fine)
    assert read.status_code == 404


@pytest.mark.parametrize(
    "key, code",
    [
        (None, "parameter_missing"),
        (" ", "parameter_invalid"),
        ("x" * 256, "parameter_invalid"),
        ("k\xe9y", "parameter_invalid"),
        ("k\ty", "parameter_invalid"),
        ("k\x7fy", "parameter_invalid"),
    ],
)
def test_a_wish_needs_a_key(shared_caller: Caller, key: str | None, code: str) -> None:
    answer = shared_caller.post("/refund_requests", WISH, key=key)
    assert answer.status_code == 400
    assert (error_of(answer)["code"], error_of(answer)["param"]) == (code, "Idempotency-Key")


def test_the_longest_key_and_an_odd_one_are_fine(shared_caller: Caller) -> None:
    for key in ("x" * 255, "'; DROP TABLE refund_request; --", "1"):
        assert shared_caller.post("/refund_requests", WISH, key=key).status_code == 404


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from([*WishBody.__annotations__, "note", "refund_requests", "more"])
BODIES = st.binary(max_size=200) | (st.dictionaries(FIELDS, VALUES) | VALUES).map(
    lambda document: json.dumps(document).encode()
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS), body=BODIES)
def test_no_body_makes_a_500_or_a_row(shared_caller: Caller, path: str, body: bytes) -> None:
    answer = shared_caller.post(path, data=body)
    assert answer.status_code in (400, 404), answer.json
    error_of(answer)
    with shared_caller.stage.services.database.reading() as unit:
        assert list_requests(unit) == []
