"""A signature counts when one of our secrets made it, over these bytes, about now; else a 400."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.stripe_events import OTHER_SECRET, SECRET, build_body, sign
from webhooks.signature import SignatureFault, SignatureRejectedError, verify

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BODY = build_body()
SECRETS = [SECRET, OTHER_SECRET]


def fault_of(header: str | None, *, body: bytes = BODY, now: datetime = NOW) -> SignatureFault:
    with pytest.raises(SignatureRejectedError) as caught:
        verify(body, header, SECRETS, now)
    return caught.value.fault


@pytest.mark.parametrize("index", [0, 1])
def test_the_secret_that_matched_is_named_by_its_index(index: int) -> None:
    assert verify(BODY, sign(BODY, SECRETS[index], at=NOW), SECRETS, NOW) == index


def test_while_a_secret_rolls_stripe_sends_two_signatures_and_one_is_enough() -> None:
    ours = sign(BODY, OTHER_SECRET, at=NOW)
    theirs = sign(BODY, "whsec_unknown", at=NOW).split(",")[1]
    assert verify(BODY, f"{ours},{theirs}", SECRETS, NOW) == 1
    time, signature = ours.split(",")
    assert verify(BODY, f"{time},{theirs},{signature},v0=abc", SECRETS, NOW) == 1


@pytest.mark.parametrize(
    "age_seconds, fault",
    [
        (300, None),
        (301, SignatureFault.TOO_OLD),
        (-300, None),
        (-301, SignatureFault.IN_FUTURE),
        (10**9, SignatureFault.TOO_OLD),
    ],
)
def test_the_tolerance_is_five_minutes_both_ways(
    age_seconds: int, fault: SignatureFault | None
) -> None:
    header = sign(BODY, at=NOW - timedelta(seconds=age_seconds))
    if fault is None:
        assert verify(BODY, header, SECRETS, NOW) == 0
    else:
        assert fault_of(header) is fault


GOOD = sign(BODY, at=NOW)
TIME, V1 = GOOD.split(",")


@pytest.mark.parametrize(
    "header, fault",
    [
        (None, SignatureFault.MISSING),
        ("", SignatureFault.MISSING),
        ("nonsense", SignatureFault.MALFORMED),
        (",", SignatureFault.MALFORMED),
        (V1, SignatureFault.MALFORMED),
        (TIME, SignatureFault.MALFORMED),
        (f"{TIME},v0={V1[3:]}", SignatureFault.MALFORMED),
        (f"{TIME},{TIME},{V1}", SignatureFault.MALFORMED),
        (f"t=,{V1}", SignatureFault.MALFORMED),
        (f"t=-1,{V1}", SignatureFault.MALFORMED),
        (f"t=1e9,{V1}", SignatureFault.MALFORMED),
        (f"t=١٢٣,{V1}", SignatureFault.MALFORMED),
        (f"t={'9' * 5000},{V1}", SignatureFault.MALFORMED),
        (f"{TIME},v1=ü", SignatureFault.MALFORMED),
        (f"{TIME},v1=\x00", SignatureFault.MALFORMED),
        (f"{TIME},v1=", SignatureFault.MALFORMED),
        (f"{TIME},v1={'0' * 64}", SignatureFault.NO_MATCH),
        (sign(BODY, "whsec_wrong", at=NOW), SignatureFault.NO_MATCH),
        (sign(BODY + b" ", at=NOW), SignatureFault.NO_MATCH),
        (f"t={int(TIME[2:]) + 1},{V1}", SignatureFault.NO_MATCH),
    ],
)
def test_whatever_is_wrong_with_a_header_has_a_name(
    header: str | None, fault: SignatureFault
) -> None:
    assert fault_of(header) is fault


def test_a_body_that_is_not_text_was_not_signed() -> None:
    assert fault_of(GOOD, body=b"\xff\xfe{}") is SignatureFault.NOT_UTF8


def test_the_error_repeats_neither_body_nor_secret_nor_signature() -> None:
    with pytest.raises(SignatureRejectedError) as caught:
        verify(b'{"card": "4242"}', GOOD, SECRETS, NOW)
    shown = f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    assert caught.value.__suppress_context__
    assert not any(word in shown for word in ("4242", SECRET, V1[3:]))


@given(header=st.none() | st.text(max_size=200), body=st.binary(max_size=200))
def test_no_header_and_no_body_raise_anything_else(header: str | None, body: bytes) -> None:
    with pytest.raises(SignatureRejectedError):
        verify(body, header, SECRETS, NOW)
