"""A wish's form: what is refused before Stripe is asked, and when two wishes are the same."""

from dataclasses import replace
from typing import Any

import pytest

from refunds.errors import InvalidWishError
from refunds.ids import AccountId, TransferId
from refunds.wish import AMOUNT_MAX_MINOR, TransferWish, Wish, check_wish

LAMP = Wish(payment="pi_lamp", amount_minor=1500, reason="duplicate", metadata={"order": "7"})


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"payment": "ch_lamp"},
        {"payment": "py_lamp"},
        {"amount_minor": None},
        {"amount_minor": 1},
        {"amount_minor": AMOUNT_MAX_MINOR},
        {"reason": None},
        {"account": AccountId("acct_shop")},
        {"metadata": {}},
        {"metadata": {"k" * 40: "v" * 500}},
        {"metadata": {f"k{n}": "" for n in range(50)}},
    ],
)
def test_what_is_well_formed_passes(change: dict[str, Any]) -> None:
    check_wish(replace(LAMP, **change), "key")
    check_wish(replace(LAMP, **change), "k" * 255)


@pytest.mark.parametrize(
    "change, param",
    [
        ({"payment": ""}, "payment_intent"),
        ({"payment": "re_lamp"}, "payment_intent"),
        ({"payment": "pi_"}, "payment_intent"),
        ({"payment": "pi_lamp/../../v1"}, "payment_intent"),
        ({"payment": "pi_lamp\n"}, "payment_intent"),
        ({"payment": "pi_" + "x" * 251}, "payment_intent"),
        ({"amount_minor": 0}, "amount"),
        ({"amount_minor": -1}, "amount"),
        ({"amount_minor": AMOUNT_MAX_MINOR + 1}, "amount"),
        ({"account": AccountId("shop")}, "account"),
        ({"account": AccountId("acct_")}, "account"),
        ({"reason": "because"}, "reason"),
        ({"metadata": {f"k{n}": "" for n in range(51)}}, "metadata"),
        ({"metadata": {"": "v"}}, "metadata"),
        ({"metadata": {"k" * 41: "v"}}, "metadata"),
        ({"metadata": {"k": "v" * 501}}, "metadata"),
        ({"metadata": {"k": "a\x00b"}}, "metadata"),
        ({"metadata": {"a\x00b": "v"}}, "metadata"),
    ],
)
def test_what_is_malformed_is_refused_by_name(change: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidWishError) as refused:
        check_wish(replace(LAMP, **change), "key")
    assert refused.value.param == param


@pytest.mark.parametrize("key", ["", "k" * 256, "a\nb", "a\x00b"])
def test_a_key_is_short_and_printable(key: str) -> None:
    with pytest.raises(InvalidWishError) as refused:
        check_wish(LAMP, key)
    assert refused.value.param == "Idempotency-Key"


def test_two_wishes_share_a_digest_only_if_they_ask_for_the_same() -> None:
    changes: list[dict[str, Any]] = [
        {"payment": "pi_chair"},
        {"amount_minor": 1501},
        {"amount_minor": None},
        {"account": AccountId("acct_shop")},
        {"reason": None},
        {"refund_application_fee": True},
        {"additional": True},
        {"metadata": {"order": "8"}},
        {"metadata": {}},
    ]
    digests = [LAMP.digest(), *(replace(LAMP, **change).digest() for change in changes)]
    assert len(set(digests)) == len(digests)
    twice = replace(LAMP, metadata={"b": "2", "a": "1"})
    assert twice.digest() == replace(LAMP, metadata={"a": "1", "b": "2"}).digest()


@pytest.mark.parametrize(
    "transfers, words",
    [
        ([TransferWish(transfer=TransferId("ch_1"))], "tr_"),
        ([TransferWish(transfer=TransferId("tr_1/x"))], "tr_"),
        ([TransferWish(transfer=TransferId("tr_1"), amount_minor=0)], "minor units"),
        ([TransferWish(transfer=TransferId("tr_1"), amount_minor=10**12)], "minor units"),
        ([TransferWish(transfer=TransferId("tr_1"))] * 2, "once"),
        ([TransferWish(transfer=TransferId(f"tr_{n}")) for n in range(51)], "at most 50"),
    ],
)
def test_transfers_are_named_once_and_in_form(transfers: list[TransferWish], words: str) -> None:
    with pytest.raises(InvalidWishError, match=words) as caught:
        check_wish(Wish(payment="pi_1", transfers=tuple(transfers)), "key")
    assert caught.value.param == "transfers"


def test_another_transfer_or_another_amount_is_another_wish() -> None:
    named = [
        (),
        (TransferWish(transfer=TransferId("tr_1")),),
        (TransferWish(transfer=TransferId("tr_1"), amount_minor=1),),
        (TransferWish(transfer=TransferId("tr_2")),),
    ]
    for transfers in named:
        check_wish(Wish(payment="pi_1", transfers=transfers), "key")
    assert len({Wish(payment="pi_1", transfers=each).digest() for each in named}) == len(named)
