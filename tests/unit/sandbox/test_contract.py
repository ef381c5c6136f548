"""Every object the sandbox answers or sends is as the SDK types it, field by field."""

import ast
import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.api.door import Request
from sandbox.api.rendering import render
from sandbox.inprocess import InProcessSandbox
from sandbox.world import balance_settings, balances
from tests.support.repository import ROOT, modules_of
from tests.unit.sandbox.sdk_types import Json, event_types, partial_problems, problems
from tests.unit.sandbox.whole_story import told

# Kinds that may turn up; one that the story doesn't make would go unchecked.
KINDS = frozenset(
    {
        "account",
        "application_fee",
        "balance_transaction",
        "bank_account",
        "charge",
        "customer",
        "dispute",
        "event",
        "fee_refund",
        "payment_intent",
        "payment_method",
        "payout",
        "radar.early_fraud_warning",
        "refund",
        "topup",
        "transfer",
        "transfer_reversal",
        "webhook_endpoint",
    }
)


@pytest.fixture(scope="module")
def world() -> InProcessSandbox:
    """A sandbox in which everything has happened."""
    return told()


def rendered(sandbox: InProcessSandbox) -> Iterator[Json]:
    """Every object as the API answers it."""
    world = sandbox.world
    for record in world.shelves.everything():
        yield render(world, record)
        if record.kind == "account":
            yield balances.build(world, record.body["id"])
            yield balance_settings.present(record)


def test_every_object_is_as_the_sdk_types_it(world: InProcessSandbox) -> None:
    found = {problem for body in rendered(world) for problem in problems(body)}
    assert found == set()


def test_every_event_carries_an_object_as_the_sdk_types_it(world: InProcessSandbox) -> None:
    for record in world.world.shelves.everything():
        if record.kind != "event":
            continue
        data = record.body["data"]
        assert problems(data["object"]) == [], record.body["type"]
        previous = data.get("previous_attributes", {})
        assert partial_problems(previous, data["object"]["object"]) == [], record.body["type"]


def test_the_story_leaves_no_kind_out(world: InProcessSandbox) -> None:
    assert {record.kind for record in world.world.shelves.everything()} == KINDS
    put = {
        node.args[0].value
        for module in modules_of("sandbox")
        for node in ast.walk(ast.parse((ROOT / module).read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "put"
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }
    assert put == KINDS


def test_the_story_leaves_no_event_type_out(world: InProcessSandbox) -> None:
    known = event_types()
    written = {
        node.value
        for module in modules_of("sandbox")
        for node in ast.walk(ast.parse((ROOT / module).read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in known
    }
    seen = {
        record.body["type"] for record in world.world.shelves.everything() if record.kind == "event"
    }
    assert seen <= known
    assert written == seen


def test_answers_with_expansions_are_as_typed(world: InProcessSandbox) -> None:
    paths = [
        ("/v1/charges", "data.transfer.reversals data.balance_transaction data.application_fee"),
        ("/v1/charges", "data.refunds data.payment_intent data.on_behalf_of data.customer"),
        ("/v1/refunds", "data.charge data.transfer_reversal.transfer data.balance_transaction"),
        ("/v1/transfers", "data.destination data.destination_payment.balance_transaction"),
        ("/v1/payment_intents", "data.latest_charge.transfer data.payment_method"),
        ("/v1/application_fees", "data.account data.charge data.originating_transaction"),
        ("/v1/disputes", "data.charge data.payment_intent"),
        ("/v1/balance_transactions", "data.source"),
    ]
    for path, expand in paths:
        answer = _get(world, path, "&".join(f"expand[]={item}" for item in expand.split()))
        assert answer["data"], path
        for body in answer["data"]:
            assert problems(body) == [], path


def _get(sandbox: InProcessSandbox, path: str, query: str) -> Json:
    headers = {"authorization": "Bearer sk_test_sandbox_key"}
    exchange = sandbox.door.exchange(
        Request(method="GET", path=path, query=f"limit=100&{query}", headers=headers)
    )
    assert exchange.status == 200, exchange.body
    body: Json = json.loads(exchange.body)
    return body


def _leaves(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(body, dict):
        for key, value in body.items():
            yield (*path, key)
            yield from _leaves(value, (*path, key))
    elif isinstance(body, list):
        for number, value in enumerate(body):
            yield from _leaves(value, (*path, number))


# Fields whose names are the caller's or a currency's: any spelling is right.
FREE = {"metadata", "minimum_balance_by_currency", "data", "previous_attributes"}


def test_a_misspelt_field_is_noticed_wherever_it_is(world: InProcessSandbox) -> None:
    """One object of each kind, each of its fields misspelt in turn."""
    chosen = {body["object"]: body for body in rendered(world)}
    tried = 0
    for name, body in chosen.items():
        for path in _leaves(body):
            if name == "event" and path[0] == "data" and len(path) > 1:
                continue
            if any(part in FREE for part in path[:-1]) and "external_accounts" not in path:
                continue
            wrong = copy.deepcopy(body)
            holder: Any = wrong
            for part in path[:-1]:
                holder = holder[part]
            holder[f"{path[-1]}x"] = holder.pop(path[-1])
            assert problems(wrong), f"{name}: {path} misspelt goes unnoticed"
            tried += 1
    assert tried > 400


@pytest.mark.parametrize(
    "field, value",
    [
        ("amount", "100"),
        ("amount", None),
        ("amount", True),
        ("status", "done"),
        ("destination_details", {"type": "card", "crad": {}}),
        ("metadata", {"a": 1}),
        ("charge", {"id": "ch_1", "object": "charge"}),
    ],
)
def test_a_wrong_value_is_noticed(world: InProcessSandbox, field: str, value: object) -> None:
    (owner,) = {world.world.platform}
    kind = "dispute" if field == "status" else "refund"
    body = copy.deepcopy(world.world.shelves.of(kind, owner)[0].body)
    assert problems(body) == []
    body[field] = value
    assert problems(body)
