"""Errors: each carries its subject and says in a sentence what happened and what to do.

It may not check who raises them.
"""

import inspect
from collections.abc import Callable
from datetime import date

import pytest

from refunds import errors
from refunds.errors import (
    AccountNotFoundError,
    CurrencyMismatchError,
    DispatchNotFoundError,
    EventNotFoundError,
    IllegalMoveError,
    InvalidWishError,
    KeyReusedError,
    LeaseLostError,
    PaymentNotFoundError,
    PeriodError,
    PolicyError,
    RequestNotFoundError,
    RequestOpenError,
    SluiceError,
    TransfersUnclearError,
    UnknownTierError,
    WishError,
    WrongPlatformError,
    WrongStateError,
)

# Made inside the test, so that an error that can't even be made fails it by name.
EXAMPLES: list[tuple[Callable[[], SluiceError], str, dict[str, object]]] = [
    (
        lambda: CurrencyMismatchError("usd", "eur"),
        "can't add USD and EUR: amounts of different currencies",
        {"left": "usd", "right": "eur"},
    ),
    (
        lambda: IllegalMoveError("closed", "held"),
        "no transition leads from closed to held",
        {"from_bucket": "closed", "to_bucket": "held"},
    ),
    (
        lambda: InvalidWishError("amount must be at least 1", param="amount"),
        "amount must be at least 1",
        {"param": "amount", "code": "parameter_invalid"},
    ),
    (
        lambda: PeriodError(date(2026, 5, 2), date(2026, 5, 1)),
        "the period ends on 2026-05-01, before it begins on 2026-05-02",
        {},
    ),
    (
        lambda: PaymentNotFoundError("no payment pi_x"),
        "no payment pi_x",
        {"param": None, "code": "resource_missing"},
    ),
    (
        lambda: PaymentNotFoundError.out_of_sight("acct_x"),
        (
            "Stripe shows the platform nothing of acct_x: check its id, and whether it is still "
            "connected"
        ),
        {"param": "account", "code": "resource_missing"},
    ),
    (lambda: KeyReusedError("key k-1 was used"), "key k-1 was used", {"code": "idempotency_error"}),
    (
        lambda: TransfersUnclearError("ch_x was split over 2 transfers"),
        "ch_x was split over 2 transfers",
        {"code": "transfers_ambiguous"},
    ),
    (
        lambda: RequestOpenError("ch_lamp", "rr_first"),
        (
            "ch_lamp already has the open refund request rr_first; wait for it, cancel it, or say "
            "that this one is additional if the buyer is owed both"
        ),
        {"open_request": "rr_first", "param": "additional", "code": "refund_request_open"},
    ),
    (
        lambda: AccountNotFoundError("acct_x"),
        "nothing is known of the account acct_x: it had no refund request",
        {"account": "acct_x"},
    ),
    (
        lambda: UnknownTierError("hihg", ["low", "high"]),
        "the policy has no risk tier hihg; there are high, low, and none",
        {"tier": "hihg"},
    ),
    (
        lambda: RequestNotFoundError("rr_x"),
        "no refund request has the id rr_x",
        {"request": "rr_x"},
    ),
    (
        lambda: EventNotFoundError("evt_x"),
        "the inbox holds no event with the id evt_x",
        {"event": "evt_x"},
    ),
    (
        lambda: DispatchNotFoundError(7),
        "no notification is on its way under the number 7",
        {"dispatch": 7},
    ),
    (
        lambda: WrongStateError("rr_x", "approve", "closed", "review"),
        "can't approve rr_x: it is closed; approve needs review",
        {"subject": "rr_x", "state": "closed"},
    ),
    (
        lambda: LeaseLostError("acct_shop"),
        "the lease on acct_shop was lost to another worker",
        {"subject": "acct_shop"},
    ),
    (
        lambda: PolicyError(("risk", "high", "order"), "is one of these"),
        "risk.high.order is one of these",
        {"path": ("risk", "high", "order"), "reason": "is one of these"},
    ),
    (
        lambda: WrongPlatformError("acct_a (live)", "acct_b (test)"),
        (
            "this database belongs to acct_a (live), but STRIPE_API_KEY is a key of acct_b (test); "
            "use the right key, or another DATABASE_URL for the other account"
        ),
        {},
    ),
]


@pytest.mark.parametrize(
    "make, sentence, carried", EXAMPLES, ids=[type(make()).__name__ for make, _, _ in EXAMPLES]
)
def test_an_error_says_its_sentence_and_carries_its_subject(
    make: Callable[[], SluiceError], sentence: str, carried: dict[str, object]
) -> None:
    error = make()
    assert str(error) == sentence
    assert {name: getattr(error, name) for name in carried} == carried


def own_errors() -> list[type[SluiceError]]:
    return [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, SluiceError) and kind.__module__ == errors.__name__
    ]


def test_every_error_has_an_example_here() -> None:
    shown = {type(make()) for make, _, _ in EXAMPLES}
    assert set(own_errors()) - {SluiceError, WishError} == shown


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = {}
    parent = {0: ""}
    assert errors.__doc__ is not None
    for line in errors.__doc__.splitlines():
        words = [word for word in line.split() if word.endswith("Error")]
        if not words or line.index(words[0]) > 16:
            continue
        depth = line.index(words[0]) // 4
        parent[depth] = words[0]
        drawn[words[0]] = parent.get(depth - 1, "")
    real = {
        kind.__name__: kind.__mro__[1].__name__ if kind is not SluiceError else ""
        for kind in own_errors()
    }
    assert drawn == real


def test_a_code_tells_one_wish_error_from_every_other() -> None:
    wishes = [kind for kind in own_errors() if issubclass(kind, WishError)]
    codes = [kind.code for kind in wishes if kind is not WishError]
    assert len(set(codes)) == len(codes) == 5


def test_without_tiers_the_error_says_where_they_are_written() -> None:
    assert str(UnknownTierError("high", [])).endswith(r"it has none: add a section [risk.…]")
