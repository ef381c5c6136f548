"""A body either is a Stripe event, whose facts come out, or is refused with one kind of error."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refunds.strict_json import MAX_DEPTH
from tests.support.stripe_events import build_body, build_event
from webhooks.parse import NotAnEventError, parse_event


def test_an_events_facts_come_out_with_its_raw_bytes() -> None:
    body = build_body("evt_42", account="acct_7", type="payout.failed", livemode=True)
    facts = parse_event(body)
    assert (facts.event, facts.account, facts.type) == ("evt_42", "acct_7", "payout.failed")
    assert facts.livemode is True
    assert facts.created == datetime.fromtimestamp(1795406071, UTC)
    assert facts.body == body


@pytest.mark.parametrize("absent", ["account", "api_version"])
@pytest.mark.parametrize("value", [None, ...])
def test_an_event_of_the_platform_has_no_account(absent: str, value: Any) -> None:
    assert getattr(parse_event(build_body(**{absent: value})), absent) is None


DEEP_AND_FINE: list[Any] = [[[[[[[[]]]]]]]]


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {"object": {"unknown": "ü€😀", "deep": DEEP_AND_FINE}}},
        {"created": 0},
        {"unknown_field": 2**63 - 1},
        {"type": "a.type.stripe.invents.later"},
        {"data": {"object": {"many": [{"n": n} for n in range(300)]}}},
    ],
)
def test_what_stripe_may_add_is_no_fault(changes: dict[str, Any]) -> None:
    assert parse_event(build_body(**changes)).event == "evt_1"


@pytest.mark.parametrize(
    "field, value",
    [
        ("object", ...),
        ("object", "v2.core.event"),
        ("id", ...),
        ("id", 1),
        ("id", "re_1"),
        ("id", "evt_"),
        ("id", "evt_1\n"),
        ("id", "evt_" + "x" * 300),
        ("id", "evt_é"),
        ("type", ...),
        ("type", ""),
        ("type", ["refund.created"]),
        ("type", "nul\x00"),
        ("type", "half \ud800 pair"),
        ("created", ...),
        ("created", "1795406071"),
        ("created", 1.5),
        ("created", True),
        ("created", -1),
        ("created", 10**15),
        ("livemode", ...),
        ("livemode", 0),
        ("livemode", "false"),
        ("account", 5),
        ("account", ""),
        ("account", "nul\x00"),
        ("api_version", {}),
        ("data", ...),
        ("data", []),
        ("data.object", None),
    ],
)
def test_the_field_that_is_wrong_is_named(field: str, value: object) -> None:
    changes = {"data": {"object": value}} if field == "data.object" else {field: value}
    with pytest.raises(NotAnEventError) as caught:
        parse_event(build_body(**changes))
    assert caught.value.param == ("data.object" if field == "data" else field)


def in_data(raw: bytes) -> bytes:
    return build_body(data={"object": {"raw": "RAW"}}).replace(b'"RAW"', raw)


@pytest.mark.parametrize(
    "body, says",
    [
        (b"", "not JSON"),
        (b"\x00", "not JSON"),
        (b"\xff", "UTF-8"),
        ('"'.encode("utf-16"), "UTF-8"),
        (b"null", "not an object"),
        (b"[]", "not an object"),
        (b'"evt_1"', "not an object"),
        (b"{", "not JSON"),
        (build_body() + b"x", "not JSON"),
        (b"\xef\xbb\xbf" + build_body(), "not JSON"),
        (in_data(b"NaN"), "NaN"),
        (in_data(b"-Infinity"), "NaN"),
        (in_data(b"1e999"), "too large"),
        (in_data(b"9" * 20), "64 bits"),
        (in_data(b"9" * 100_000), "64 bits"),
        (in_data(b"[" * 100 + b"]" * 100), "deeply"),
        (in_data(b"[" * 100_000 + b"]" * 100_000), "deeply"),
        (in_data(b'{"a":' * 100 + b"1" + b"}" * 100), "deeply"),
        (b'{"id": "evt_1", "id": "evt_2"}', "twice"),
        (in_data(b'{"amount": 1, "amount": 2}'), "twice"),
    ],
)
def test_bodies_that_are_no_event_are_refused(body: bytes, says: str) -> None:
    with pytest.raises(NotAnEventError, match=says):
        parse_event(body)


@pytest.mark.parametrize("depth, fine", [(MAX_DEPTH - 3, True), (MAX_DEPTH - 2, False)])
def test_the_limit_on_depth_is_exact(depth: int, fine: bool) -> None:
    # The event, its data and its object are three levels of their own.
    body = in_data(b"[" * depth + b"]" * depth)
    if fine:
        assert parse_event(body).event == "evt_1"
    else:
        with pytest.raises(NotAnEventError, match="deeply"):
            parse_event(body)


def test_the_error_does_not_repeat_the_body() -> None:
    with pytest.raises(NotAnEventError) as caught:
        parse_event(b'{"card": 4242424242424242')
    assert "4242" not in str(caught.value)
    assert caught.value.__suppress_context__


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(changes=st.dictionaries(st.sampled_from([*build_event(), "request"]), JSON))
def test_any_json_is_either_an_event_that_can_be_stored_or_refused(changes: dict[str, Any]) -> None:
    body = json.dumps(build_event() | changes).encode()
    try:
        facts = parse_event(body)
    except NotAnEventError:
        return
    for word in (facts.event, facts.type, facts.account or "", facts.api_version or ""):
        assert word.isprintable()
        assert word.isascii()
    assert facts.created.tzinfo is UTC


@given(body=st.binary(max_size=300))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    with pytest.raises(NotAnEventError):
        parse_event(body)
