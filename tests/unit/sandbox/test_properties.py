"""Whatever is asked of the sandbox, in any order: the books balance, a key has one effect."""

import json
from collections import Counter
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.api.door import Exchange, Request
from sandbox.inprocess import InProcessSandbox

DAY = 86_400
Json = dict[str, Any]

KINDS = ("platform", "destination", "direct", "separate")
FATES = ("succeed", "pending", "pending_fail", "fail_now", "fail_late", "requires_action")


class Teller:
    """A sandbox and the ids made so far; commands name them by number, so that any number fits."""

    def __init__(self) -> None:
        self.sandbox = InProcessSandbox(seed=1)
        self.accounts = [
            self.sandbox.control("POST", "accounts", wish)["id"]
            for wish in (
                {},
                {"country": "DE", "default_currency": "eur", "payouts": "daily"},
                {"losses": "stripe", "payouts": "weekly"},
            )
        ]
        self.sandbox.control("POST", "accounts/platform/balance", {"available": 20_000})
        self.keys = 0

    def control(self, path: str, body: Json) -> None:
        """A control verb; what the world refuses is refused."""
        status, answer = self.sandbox._sandbox.desk.handle("POST", f"/_sandbox/{path}", body)
        assert status < 500, answer

    def ask(self, method: str, path: str, params: Json, account: str | None = None) -> Exchange:
        """A call, sent twice with one key when it changes something."""
        self.keys += 1
        headers = {"authorization": "Bearer sk_test_sandbox_key"}
        if account is not None:
            headers["stripe-account"] = account
        text = urlencode(params)
        if method == "POST":
            headers["idempotency-key"] = f"key_{self.keys}"
            request = Request(method=method, path=path, body=text, headers=headers)
        else:
            request = Request(method=method, path=path, query=text, headers=headers)
        first = self.sandbox.door.exchange(request)
        assert first.status < 500, first.body
        return first if method == "GET" else self._again(request, first)

    def _again(self, request: Request, first: Exchange) -> Exchange:
        before = objects(self.sandbox)
        second = self.sandbox.door.exchange(request)
        assert (second.status, second.body) == (first.status, first.body)
        assert second.headers["Idempotent-Replayed"] == "true"
        assert objects(self.sandbox) == before
        return first

    def nth(self, kind: str, number: int, *, connected: bool | None = None) -> Any:
        """Some object of a kind, or None while there is none."""
        platform = self.sandbox.world.platform
        found = [
            record
            for record in self.sandbox.world.shelves.everything()
            if record.kind == kind
            and (connected is None or (record.owner != platform) is connected)
        ]
        return found[number % len(found)] if found else None


def objects(sandbox: InProcessSandbox) -> int:
    """How many objects there are, events and balance transactions included."""
    return sum(1 for _ in sandbox.world.shelves.everything())


def pay(teller: Teller, number: int, amount: int) -> None:
    """A payment of some kind, in some currency, with some fee and fate."""
    kind = KINDS[number % 4]
    wish: Json = {
        "charge_type": kind,
        "amount": amount,
        "currency": ("usd", "eur")[number // 4 % 2],
        "funds": ("available", "pending")[number // 8 % 2],
        "refund_fate": FATES[number // 16 % 6],
    }
    if kind != "platform" and kind != "separate":
        wish["account"] = teller.accounts[number % 3]
        if number % 5 == 0:
            wish["application_fee_amount"] = max(1, amount // 7)
        elif kind == "destination" and number % 5 == 1:
            wish["transfer_amount"] = max(1, amount // 2)
    teller.control("payments", wish)


def refund(teller: Teller, number: int, amount: int) -> None:
    """A refund of some charge, in full or in part, with or without its transfer and fee."""
    charge = teller.nth("charge", number)
    if charge is None:
        return
    params: Json = {"charge": charge.id}
    if number % 3:
        params["amount"] = amount
    if number % 2:
        params["reverse_transfer"] = "true"
        if number % 7 == 0:
            params["refund_application_fee"] = "true"
    acting = None if charge.owner == teller.sandbox.world.platform else charge.owner
    teller.ask("POST", "/v1/refunds", params, acting)


def transfer(teller: Teller, number: int, amount: int) -> None:
    """A transfer one way or the other, from what is available or from one charge."""
    account = teller.accounts[number % 3]
    params: Json = {"amount": amount, "currency": "usd", "destination": account}
    if number % 4 == 0:
        params["destination"] = teller.sandbox.world.platform
        teller.ask("POST", "/v1/transfers", params, account)
        return
    charge = teller.nth("charge", number, connected=False)
    if charge is not None and number % 2:
        params.update(source_transaction=charge.id, currency=charge.body["currency"])
    teller.ask("POST", "/v1/transfers", params)


def reverse(teller: Teller, number: int, amount: int) -> None:
    """A reversal of some transfer."""
    found = teller.nth("transfer", number, connected=False)
    if found is not None:
        path = f"/v1/transfers/{found.id}/reversals"
        teller.ask("POST", path, {"amount": amount} if number % 2 else {})


def pay_out(teller: Teller, number: int, amount: int) -> None:
    """A payout by hand, or one of them canceled, failed or reversed."""
    account = teller.accounts[number % 3]
    made = teller.nth("payout", number, connected=True)
    if made is None or number % 4 == 0:
        teller.ask("POST", "/v1/payouts", {"amount": amount, "currency": "usd"}, account)
    elif number % 4 == 1:
        teller.control(f"payouts/{made.id}/fail", {})
    else:
        verb = "cancel" if number % 4 == 2 else "reverse"
        teller.ask("POST", f"/v1/payouts/{made.id}/{verb}", {}, made.owner)


def dispute(teller: Teller, number: int, amount: int) -> None:
    """A dispute begins, escalates or ends."""
    made, charge = teller.nth("dispute", number), teller.nth("charge", number)
    if made is not None and number % 2:
        if number % 8 == 1:
            teller.control(f"disputes/{made.id}/escalate", {})
        else:
            end = ("won", "lost", "warning_closed")[number // 2 % 3]
            teller.control(f"disputes/{made.id}/close", {"status": end})
    elif charge is not None:
        kind = ("chargeback", "inquiry")[number // 2 % 2]
        teller.control("disputes", {"charge": charge.id, "kind": kind})


def wait(teller: Teller, number: int, amount: int) -> None:
    """Time passes: an hour, or up to two months."""
    teller.control("clock", {"advance": 3600 if number % 2 else number % 60 * DAY})


def stage(teller: Teller, number: int, amount: int) -> None:
    """Money by decree, a top-up, another switch, or another setting."""
    account = teller.accounts[number % 3]
    match number % 5:
        case 0:
            teller.control(f"accounts/{account}/earn", {"amount": amount, "funds": "pending"})
        case 1:
            teller.control(f"accounts/{account}/balance", {"available": amount})
        case 2:
            teller.control("switches", {"short": ("error", "negative")[number // 5 % 2]})
        case 3:
            teller.ask("POST", "/v1/topups", {"amount": amount, "currency": "usd"})
        case _:
            key = "payments[payouts][minimum_balance_by_currency][usd]"
            teller.ask("POST", "/v1/balance_settings", {key: amount}, account)


COMMANDS = (pay, refund, transfer, reverse, pay_out, dispute, wait, stage)
STEP = st.tuples(
    st.sampled_from(COMMANDS), st.integers(0, 200), st.sampled_from([1, 3, 99, 1000, 4567, 10_000])
)


def check(sandbox: InProcessSandbox) -> None:
    """What must hold at any time."""
    world = sandbox.world
    assert world.books.check() == []
    nets: Counter[tuple[str, str]] = Counter()
    for record in world.shelves.everything():
        body = record.body
        if record.kind == "balance_transaction":
            assert body["net"] == body["amount"] - body["fee"]
            assert body["fee"] == sum(detail["amount"] for detail in body["fee_details"])
            assert (body["status"] == "pending") == (body["available_on"] > world.now())
            nets[record.owner, body["currency"]] += body["net"]
        elif record.kind == "charge":
            live = [
                item.body["amount"]
                for item in world.shelves.linked("refund", record.id)
                if item.body["status"] not in ("failed", "canceled")
            ]
            assert body["amount_refunded"] == sum(live) <= body["amount"]
            assert body["refunded"] == (body["amount_refunded"] == body["amount"])
        elif record.kind == "transfer":
            made = [
                item.body["amount"]
                for item in world.shelves.linked("transfer_reversal", body["id"])
            ]
            assert body["amount_reversed"] == sum(made) <= body["amount"]
        elif record.kind == "application_fee":
            back = [item.body["amount"] for item in world.shelves.linked("fee_refund", body["id"])]
            assert body["amount_refunded"] == sum(back) <= body["amount"]
    for (owner, currency), net in nets.items():
        assert world.books.total(world.shelves.get(owner).body["id"], currency) == net
    red = [
        -world.books.total(owner, currency)
        for owner, currency in world.books.in_the_red
        if owner != world.platform
        and world.shelves.get(owner).body["controller"]["losses"]["payments"] == "application"
    ]
    assert sum(world.reserved.values()) == sum(red)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEP, max_size=40))
def test_the_books_balance_after_any_sequence_of_calls(steps: list[Any]) -> None:
    teller = Teller()
    for command, number, amount in steps:
        command(teller, number, amount)
        check(teller.sandbox)


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(STEP, min_size=5, max_size=25), limit=st.integers(1, 7))
def test_a_list_pages_through_everything_once_in_both_directions(
    steps: list[Any], limit: int
) -> None:
    teller = Teller()
    for command, number, amount in steps:
        command(teller, number, amount)
    for path in ("/v1/events", "/v1/balance_transactions", "/v1/refunds", "/v1/charges"):
        for account in (None, teller.accounts[0]):
            forward = walk(teller, path, limit, account, "starting_after")
            assert len(set(forward)) == len(forward)
            if forward:
                back = walk(teller, path, limit, account, "ending_before", start=forward[-1])
                assert [*back, forward[-1]] == forward


def walk(
    teller: Teller, path: str, limit: int, account: str | None, cursor: str, start: str = ""
) -> list[str]:
    """Every id of a list, newest first, page by page."""
    found: list[str] = []
    at = start
    while True:
        params = {"limit": limit, **({cursor: at} if at else {})}
        page = json.loads(teller.ask("GET", path, params, account).body)
        ids = [item["id"] for item in page["data"]]
        assert len(ids) <= limit
        assert ids or not found, "has_more promised more"
        found = [*found, *ids] if cursor == "starting_after" else [*ids, *found]
        if not page["has_more"]:
            return found
        at = ids[-1] if cursor == "starting_after" else ids[0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0},
        {"limit": 101},
        {"limit": "ten"},
        {"starting_after": "re_nobody"},
        {"starting_after": "a", "ending_before": "b"},
        {"created[since]": 1},
    ],
)
def test_a_page_that_makes_no_sense_is_refused(wrong: Json) -> None:
    assert Teller().ask("GET", "/v1/refunds", wrong).status == 400
