"""The books: nothing comes from nowhere, pending money becomes available once and on time."""

import pytest

from sandbox.shapes import AccountId
from sandbox.world.books import Books, BooksError, Entry, Line

ONE = AccountId("acct_1")


def entry(account: str, amount_minor: int, currency: str = "usd") -> Entry:
    """A line of the books."""
    return Entry(account=account, currency=currency, amount_minor=amount_minor)


@pytest.mark.parametrize(
    "entries",
    [
        [entry("acct_1", 5)],
        [entry("acct_1", 5), entry("buyers", -4)],
        [entry("acct_1", 5), entry("buyers", -5, "eur")],
    ],
)
def test_money_from_nowhere_is_refused(entries: list[Entry]) -> None:
    books = Books()
    with pytest.raises(BooksError):
        books.post(entries)
    assert books.entries == []


def test_a_line_without_its_entry_is_found() -> None:
    books = Books()
    line = Line(owner=ONE, currency="usd", net_minor=5, lot=None, available_on=0, pending=False)
    books.open_line("txn_1", line)
    assert books.check() == ["acct_1 shows 5 usd, entries say otherwise"]


def test_pending_money_becomes_available_once_and_on_time() -> None:
    books = Books()
    for number, due in enumerate((30, 10, 20)):
        line = Line(
            owner=ONE,
            currency="usd",
            net_minor=10**number,
            lot="py_1",
            available_on=due,
            pending=True,
        )
        books.open_line(f"txn_{number}", line)
    assert (books.pending(ONE, "usd"), books.available(ONE, "usd")) == (111, 0)
    assert books.lot_pending("py_1") == (111, 30)
    assert books.next_due() == 10
    assert [txn for txn, _ in books.settle(25)] == ["txn_1", "txn_2"]
    assert books.settle(25) == []
    assert (books.pending(ONE, "usd"), books.available(ONE, "usd")) == (1, 110)
    assert books.bring_forward(ONE, "eur", 26) == []
    assert books.bring_forward(ONE, None, 26) == ["txn_0"]
    assert [txn for txn, _ in books.settle(26)] == ["txn_0"]
    assert books.next_due() is None
    assert books.lot_pending("py_1") == (0, None)
