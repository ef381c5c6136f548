"""Payout settings over the wire: nulls, missing fields, what is sent, what is known afterwards.

It drives the real SDK against a canned transport; nothing here may look at the SDK's insides.
"""

from collections.abc import Mapping

import pytest
import stripe

from gateway.client import StripeGateway
from gateway.port import ReadOnlyError, UnavailableError
from refunds.ids import AccountId, IdempotencyKey
from refunds.money import Currency
from refunds.payout_settings import PayoutSettings, SettingsWrite
from refunds.steps import Refused, Trouble, Unknown
from tests.unit.gateway.canned import KEY, NOW, Canned, Reply, Request, always, error, gateway_over

ACCOUNT = AccountId("acct_1")
USD, EUR = Currency("usd"), Currency("eur")
WRITE = SettingsWrite(
    account=ACCOUNT,
    params={
        "payments": {
            "payouts": {
                "minimum_balance_by_currency": {"usd": 6000, "eur": ""},
                "schedule": {"interval": "weekly", "weekly_payout_days": ["monday", "friday"]},
            }
        }
    },
    idempotency_key=IdempotencyKey("sluice-ga_1"),
)


def body(**payouts: object) -> dict[str, object]:
    """Balance settings as Stripe answers them, nulls included."""
    return {
        "object": "balance_settings",
        "payments": {
            "debit_negative_balances": None,
            "payouts": {
                "automatic_transfer_rules_by_currency": None,
                "minimum_balance_by_currency": None,
                "schedule": {"interval": "daily"},
                "statement_descriptor": None,
                "status": "enabled",
                **payouts,
            },
            "settlement_timing": {"delay_days": 2},
        },
    }


@pytest.mark.parametrize(
    "payouts, minimum, schedule",
    [
        ({}, {}, "daily"),
        ({"minimum_balance_by_currency": {}}, {}, "daily"),
        ({"minimum_balance_by_currency": {"usd": 1500, "EUR": 0}}, {USD: 1500, EUR: 0}, "daily"),
        ({"minimum_balance_by_currency": {"usd": None}}, {}, "daily"),
        ({"schedule": None}, {}, None),
        ({"schedule": {"interval": None}}, {}, None),
        ({"schedule": {"interval": "manual"}}, {}, "manual"),
        (
            {"schedule": {"interval": "weekly", "weekly_payout_days": ["monday", "friday"]}},
            {},
            "weekly monday friday",
        ),
        ({"schedule": {"interval": "weekly", "weekly_payout_days": None}}, {}, "weekly"),
        ({"schedule": {"interval": "monthly", "monthly_payout_days": [1, 15]}}, {}, "monthly 1 15"),
    ],
)
def test_settings_are_read_nulls_and_all(
    payouts: Mapping[str, object], minimum: Mapping[Currency, int], schedule: str | None
) -> None:
    transport = Canned(always(200, body(**payouts)))
    found = gateway_over(transport).read_payout_settings(ACCOUNT)
    assert found == PayoutSettings(minimum=minimum, schedule=schedule, read_at=NOW)
    (request,) = transport.requests
    assert (request.method, request.path) == ("get", "/v1/balance_settings")
    assert request.headers["Stripe-Account"] == "acct_1"


@pytest.mark.parametrize("amount", ["1500", 15.0, True])
def test_an_amount_that_is_no_whole_number_is_not_guessed(amount: object) -> None:
    transport = Canned(always(200, body(minimum_balance_by_currency={"usd": amount})))
    with pytest.raises(UnavailableError) as caught:
        gateway_over(transport).read_payout_settings(ACCOUNT)
    assert caught.value.trouble is Trouble.UNREADABLE


def test_a_change_is_sent_exactly_as_stored() -> None:
    transport = Canned(always(200, body(minimum_balance_by_currency={"usd": 6000})))
    answer = gateway_over(transport).write_payout_settings(WRITE)
    assert isinstance(answer, PayoutSettings)
    assert answer.minimum == {USD: 6000}
    (request,) = transport.requests
    assert (request.method, request.path) == ("post", "/v1/balance_settings")
    assert request.headers["Stripe-Account"] == "acct_1"
    assert request.headers["Idempotency-Key"] == "sluice-ga_1"
    assert request.fields == {
        "payments[payouts][minimum_balance_by_currency][usd]": "6000",
        "payments[payouts][minimum_balance_by_currency][eur]": "",
        "payments[payouts][schedule][interval]": "weekly",
        "payments[payouts][schedule][weekly_payout_days][0]": "monday",
        "payments[payouts][schedule][weekly_payout_days][1]": "friday",
    }


def test_a_refusal_is_a_refusal() -> None:
    transport = Canned(always(400, error(message="Minimum balances aren't available in BR.")))
    answer = gateway_over(transport).write_payout_settings(WRITE)
    assert isinstance(answer, Refused)
    assert "BR" in answer.message


@pytest.mark.parametrize(
    "status, answer, trouble",
    [
        (403, error(message="This key lacks a permission."), Trouble.DENIED),
        (409, error("idempotency_key_in_use"), Trouble.CONFLICT),
        (500, error(kind="api_error"), Trouble.SERVER_ERROR),
        (200, body(minimum_balance_by_currency={"usd": "much"}), Trouble.UNREADABLE),
    ],
)
def test_no_verdict_is_unknown(status: int, answer: object, trouble: Trouble) -> None:
    outcome = gateway_over(Canned(always(status, answer))).write_payout_settings(WRITE)
    assert isinstance(outcome, Unknown)
    assert outcome.trouble is trouble


def test_a_lost_answer_is_unknown() -> None:
    def lost(_request: Request) -> Reply:
        raise stripe.APIConnectionError("Timed out")  # type: ignore[no-untyped-call]  # the SDK's

    transport = Canned(lost)
    outcome = gateway_over(transport).write_payout_settings(WRITE)
    assert isinstance(outcome, Unknown)


def test_in_shadow_mode_nothing_is_sent() -> None:
    transport = Canned(always(200, body()))
    gateway = StripeGateway(KEY, http_client=transport, read_only=True, clock=lambda: NOW)
    with pytest.raises(ReadOnlyError):
        gateway.write_payout_settings(WRITE)
    assert transport.requests == []
