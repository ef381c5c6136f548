"""Fault rules, seeded chance, rate limits, and what idempotency keys make of them."""

from typing import Any

import pytest
import stripe

from sandbox.clock import Clock
from sandbox.inprocess import InProcessSandbox


@pytest.fixture
def sandbox() -> InProcessSandbox:
    """A platform with money and one charge of 50.00."""
    made = InProcessSandbox(seed=5)
    made.control("POST", "accounts/platform/balance", {"available": 100_000})
    made.control("POST", "payments", {"charge_type": "platform", "amount": 5000})
    return made


@pytest.fixture
def charge(sandbox: InProcessSandbox) -> str:
    """The charge's id."""
    return sandbox.world.shelves.of("charge", sandbox.world.platform)[0].id


def refunds(sandbox: InProcessSandbox) -> int:
    """How many refunds there are."""
    return len(sandbox.world.shelves.of("refund", sandbox.world.platform))


# kind, after_effect -> refunds after the faulty call, refunds after a repetition with the same key,
# and whether that repetition is answered with success.
TABLE = [
    ("lost_response", None, 1, 1, True),
    ("hang", None, 0, 1, True),
    ("hang", True, 1, 1, True),
    ("reset", None, 0, 1, True),
    ("reset", True, 1, 1, True),
    # A refusal before anything began isn't kept under the key, a 500 is.
    ("http_429", None, 0, 1, True),
    ("lock_timeout", None, 0, 1, True),
    ("http_503", None, 0, 1, True),
    ("revoked_key", None, 0, 1, True),
    ("http_500", None, 0, 0, False),
    ("http_500", True, 1, 1, False),
    # The effect is kept with its true answer, the spoilt one was said once.
    ("http_503", True, 1, 1, True),
]


@pytest.mark.parametrize("kind, after, first, second, success", TABLE)
def test_a_fault_and_a_repetition_with_the_same_key(
    sandbox: InProcessSandbox,
    charge: str,
    kind: str,
    after: bool | None,
    first: int,
    second: int,
    success: bool,
) -> None:
    rule = {"kind": kind, "path": "/v1/refunds", "after_effect": after}
    sandbox.control("POST", "faults", rule)
    client = sandbox.client()
    wish: Any = {"charge": charge, "amount": 100}
    with pytest.raises(stripe.StripeError):
        client.v1.refunds.create(wish, {"idempotency_key": "k"})
    assert refunds(sandbox) == first
    try:
        client.v1.refunds.create(wish, {"idempotency_key": "k"})
        assert success
    except stripe.APIError:
        assert not success
    assert refunds(sandbox) == second


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("kind", ["http_429", "http_500", "reset"])
def test_faults_meet_repetitions_as_well_and_leave_the_kept_answer(
    sandbox: InProcessSandbox, charge: str, kind: str, late: bool
) -> None:
    client = sandbox.client()
    wish: Any = {"charge": charge, "amount": 100}
    made = client.v1.refunds.create(wish, {"idempotency_key": "k"})
    rule = {"kind": kind, "path": "/v1/refunds", "after_effect": late}
    sandbox.control("POST", "faults", rule)
    with pytest.raises(stripe.StripeError):
        client.v1.refunds.create(wish, {"idempotency_key": "k"})
    assert client.v1.refunds.create(wish, {"idempotency_key": "k"}).id == made.id
    assert refunds(sandbox) == 1


def test_a_conflict_uses_no_fault_up(sandbox: InProcessSandbox, charge: str) -> None:
    client = sandbox.client()
    client.v1.refunds.create({"charge": charge, "amount": 100}, {"idempotency_key": "k"})
    sandbox.control("POST", "faults", {"kind": "http_503", "path": "/v1/refunds"})
    with pytest.raises(stripe.IdempotencyError):
        client.v1.refunds.create({"charge": charge, "amount": 101}, {"idempotency_key": "k"})
    assert sandbox.control("GET", "faults")["faults"][0]["hits"] == 0


def test_a_key_is_forgotten_after_a_day_and_not_before(
    sandbox: InProcessSandbox, charge: str
) -> None:
    client = sandbox.client()
    wish: Any = {"charge": charge, "amount": 100}
    first = client.v1.refunds.create(wish, {"idempotency_key": "k"})
    sandbox.control("POST", "clock", {"advance": 24 * 3600 - 1})
    assert client.v1.refunds.create(wish, {"idempotency_key": "k"}).id == first.id
    sandbox.control("POST", "clock", {"advance": 1})
    assert client.v1.refunds.create(wish, {"idempotency_key": "k"}).id != first.id


def test_two_accounts_may_use_the_same_key(sandbox: InProcessSandbox) -> None:
    client = sandbox.client()
    made = []
    for _ in range(2):
        account = sandbox.control("POST", "accounts", {"available": 500})["id"]
        options: Any = {"idempotency_key": "k", "stripe_account": account}
        made.append(client.v1.payouts.create({"amount": 100, "currency": "usd"}, options).id)
    assert made[0] != made[1]


def test_what_is_misspelt_is_not_kept_under_the_key(sandbox: InProcessSandbox, charge: str) -> None:
    client = sandbox.client()
    options: Any = {"idempotency_key": "k"}
    wrong: Any = {"charge": charge, "amuont": 100}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create(wrong, options)
    assert (refused.value.code, refused.value.param) == ("parameter_unknown", "amuont")
    assert client.v1.refunds.create({"charge": charge, "amount": 100}, options).amount == 100


def test_rules_choose_their_requests(sandbox: InProcessSandbox) -> None:
    account = sandbox.control("POST", "accounts", {})["id"]
    other = sandbox.control("POST", "accounts", {})["id"]
    rule = {"kind": "http_503", "path": "/v1/bal*", "account": account, "skip": 1, "times": 2}
    sandbox.control("POST", "faults", rule)
    client = sandbox.client()
    outcomes = []
    for name in (account, other, account, None, account, account):
        try:
            client.v1.balance.retrieve(options={"stripe_account": name} if name else {})
            outcomes.append("ok")
        except stripe.APIError:
            outcomes.append("503")
    assert outcomes == ["ok", "ok", "503", "ok", "503", "ok"]
    assert sandbox.control("GET", "faults")["faults"][0]["hits"] == 2
    assert sandbox.control("DELETE", "faults") == {"cleared": 1}


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"kind": "fire"},
        {"kind": "delay", "secnods": 1},
        {"kind": "lost_response", "after_effect": False},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(
    sandbox: InProcessSandbox, wrong: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"fire|secnods|''|lost response"):
        sandbox.control("POST", "faults", wrong)


def test_chance_is_decided_by_the_seed() -> None:
    def outcomes(seed: int) -> list[bool]:
        sandbox = InProcessSandbox(seed=seed)
        rule = {"kind": "http_503", "chance": 0.3, "times": None}
        sandbox.control("POST", "faults", rule)
        client = sandbox.client()
        found = []
        for _ in range(300):
            try:
                client.v1.balance.retrieve()
                found.append(True)
            except stripe.APIError:
                found.append(False)
        return found

    first = outcomes(1)
    assert first == outcomes(1)
    assert first != outcomes(2)
    assert 50 < first.count(False) < 130


@pytest.mark.parametrize("should_retry, tries", [(True, 2), (False, 1), (None, 1)])
def test_429_is_retried_by_the_sdk_only_when_told(
    sandbox: InProcessSandbox, charge: str, should_retry: bool | None, tries: int
) -> None:
    rule = {"kind": "http_429", "path": "/v1/refunds", "should_retry": should_retry}
    sandbox.control("POST", "faults", rule)
    client = sandbox.client(max_network_retries=2)
    wish: Any = {"charge": charge, "amount": 100}
    try:
        client.v1.refunds.create(wish)
        refused = False
    except stripe.RateLimitError:
        refused = True
    assert refused is (tries == 1)
    assert len(sandbox.control("GET", "calls")["calls"]) == tries


@pytest.mark.parametrize(
    "switch, spread, reason",
    [
        ("rate_limit_per_second", True, "global-rate"),
        ("rate_limit_per_endpoint", False, "endpoint-rate"),
    ],
)
def test_rate_limits(switch: str, spread: bool, reason: str) -> None:
    now = [1_795_406_400.0]
    sandbox = InProcessSandbox(clock=Clock.running(wall=lambda: now[0]))
    sandbox.control("POST", "switches", {switch: 3})
    client = sandbox.client()

    def ask(number: int) -> None:
        if spread and number % 2:
            client.v1.events.list()
        else:
            client.v1.balance.retrieve()

    for number in range(3):
        ask(number)
    if not spread:
        client.v1.events.list()
    with pytest.raises(stripe.RateLimitError) as refused:
        ask(0)
    assert refused.value.headers is not None
    assert refused.value.headers["Stripe-Rate-Limited-Reason"] == reason
    now[0] += 1.01
    ask(0)


@pytest.mark.parametrize(
    "step, refused",
    [
        ("payout", "balance_insufficient"),
        ("refund", "charge_already_refunded"),
        ("dispute", "charge_disputed"),
    ],
)
def test_something_happens_between_the_balance_read_and_the_refund(step: str, refused: str) -> None:
    sandbox = InProcessSandbox()
    sandbox.control("POST", "accounts/platform/balance", {"available": 100_000})
    account = sandbox.control("POST", "accounts", {})["id"]
    wish = {"charge_type": "destination", "account": account, "amount": 5000}
    charge = sandbox.control("POST", "payments", wish)["charge"]["id"]
    steps: dict[str, dict[str, Any]] = {
        "payout": {"path": f"/_sandbox/accounts/{account}/payout"},
        "refund": {"path": "/_sandbox/refunds", "body": {"charge": charge}},
        "dispute": {"path": "/_sandbox/disputes", "body": {"charge": charge}},
    }
    rule = {"kind": "interlude", "path": "/v1/balance", "method": "GET", "account": account}
    sandbox.control("POST", "faults", {**rule, "steps": [steps[step]]})
    client = sandbox.client()
    balance = client.v1.balance.retrieve(options={"stripe_account": account})
    assert balance.available[0].amount == 5000
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.refunds.create({"charge": charge, "reverse_transfer": True})
    assert error.value.code == refused
