"""The table of the API: method, path, endpoint and the parameters it takes.

One row per call; adding a call is adding a row and its endpoint.
"""

import re
from dataclasses import dataclass
from functools import cache

from sandbox.api.call import Endpoint
from sandbox.api.endpoints import accounts, customers, events, money, payments, refunds
from sandbox.api.lists import PAGE


@dataclass(frozen=True, slots=True)
class Route:
    """One call: `accepts` are its parameters beside `expand`."""

    method: str
    path: str
    endpoint: Endpoint
    accepts: frozenset[str] = frozenset()


def _row(method: str, path: str, endpoint: Endpoint, accepts: str = "") -> Route:
    names = frozenset(accepts.split()) | {"expand"}
    return Route(method, path, endpoint, names | PAGE if "@page" in names else names)


_ACCOUNT = (
    "email metadata business_profile business_type tos_acceptance company individual settings "
    "external_account capabilities country controller type default_currency groups"
)
_PAY = (
    "amount currency application_fee_amount customer description metadata on_behalf_of "
    "receipt_email shipping statement_descriptor statement_descriptor_suffix transfer_data "
    "transfer_group"
)

ROUTES = (
    _row("GET", "/v1/account", accounts.own),
    _row("GET", "/v1/accounts", accounts.listing, "@page"),
    _row("POST", "/v1/accounts", accounts.create, _ACCOUNT),
    _row("GET", "/v1/accounts/{id}", accounts.retrieve),
    _row("POST", "/v1/accounts/{id}", accounts.update, _ACCOUNT),
    _row("POST", "/v1/accounts/{id}/reject", accounts.reject, "reason"),
    _row("DELETE", "/v1/accounts/{id}", accounts.delete),
    _row("GET", "/v1/balance_settings", accounts.settings),
    _row("POST", "/v1/balance_settings", accounts.change_settings, "payments"),
    _row("GET", "/v1/balance", money.balance),
    _row(
        "GET",
        "/v1/balance_transactions",
        money.transaction_list,
        "@page currency payout source type",
    ),
    _row("GET", "/v1/balance_transactions/{id}", money.transaction),
    _row("GET", "/v1/transfers", money.transfer_list, "@page destination transfer_group"),
    _row(
        "POST",
        "/v1/transfers",
        money.transfer_create,
        "amount currency destination source_transaction transfer_group description metadata "
        "source_type",
    ),
    _row("GET", "/v1/transfers/{id}", money.transfer),
    _row("POST", "/v1/transfers/{id}", money.transfer_update, "description metadata"),
    _row("GET", "/v1/transfers/{id}/reversals", money.reversal_list, "@page"),
    _row(
        "POST",
        "/v1/transfers/{id}/reversals",
        money.reversal_create,
        "amount description metadata refund_application_fee",
    ),
    _row("GET", "/v1/transfers/{id}/reversals/{inner}", money.reversal),
    _row("POST", "/v1/transfers/{id}/reversals/{inner}", money.reversal_update, "metadata"),
    _row("GET", "/v1/application_fees", money.fee_list, "@page charge"),
    _row("GET", "/v1/application_fees/{id}", money.fee),
    _row("GET", "/v1/application_fees/{id}/refunds", money.fee_refund_list, "@page"),
    _row("POST", "/v1/application_fees/{id}/refunds", money.fee_refund_create, "amount metadata"),
    _row("GET", "/v1/application_fees/{id}/refunds/{inner}", money.fee_refund),
    _row("GET", "/v1/payouts", money.payout_list, "@page status destination"),
    _row(
        "POST",
        "/v1/payouts",
        money.payout_create,
        "amount currency description metadata method destination source_type statement_descriptor",
    ),
    _row("GET", "/v1/payouts/{id}", money.payout),
    _row("POST", "/v1/payouts/{id}/cancel", money.payout_cancel),
    _row("POST", "/v1/payouts/{id}/reverse", money.payout_reverse, "metadata"),
    _row("GET", "/v1/topups", money.topup_list, "@page status amount"),
    _row(
        "POST",
        "/v1/topups",
        money.topup_create,
        "amount currency description metadata source statement_descriptor transfer_group",
    ),
    _row("GET", "/v1/topups/{id}", money.topup),
    _row("POST", "/v1/topups/{id}/cancel", money.topup_cancel),
    _row("GET", "/v1/payment_intents", payments.intent_list, "@page customer"),
    _row(
        "POST",
        "/v1/payment_intents",
        payments.intent_create,
        f"{_PAY} confirm payment_method payment_method_types automatic_payment_methods "
        "off_session return_url setup_future_usage confirmation_method capture_method",
    ),
    _row("GET", "/v1/payment_intents/{id}", payments.intent, "client_secret"),
    _row("POST", "/v1/payment_intents/{id}", payments.intent_update, "description metadata"),
    _row(
        "POST",
        "/v1/payment_intents/{id}/confirm",
        payments.intent_confirm,
        "payment_method off_session return_url",
    ),
    _row("POST", "/v1/payment_intents/{id}/cancel", payments.intent_cancel, "cancellation_reason"),
    _row(
        "GET", "/v1/charges", payments.charge_list, "@page payment_intent customer transfer_group"
    ),
    _row("POST", "/v1/charges", payments.charge_create, f"{_PAY} source capture"),
    _row("GET", "/v1/charges/{id}", payments.charge),
    _row("POST", "/v1/charges/{id}", payments.charge_update, "description metadata"),
    _row("GET", "/v1/charges/{id}/refunds", refunds.charge_refund_list, "@page"),
    _row("GET", "/v1/refunds", refunds.refund_list, "@page charge payment_intent"),
    _row(
        "POST",
        "/v1/refunds",
        refunds.refund_create,
        "charge payment_intent amount reverse_transfer refund_application_fee reason metadata "
        "instructions_email",
    ),
    _row("GET", "/v1/refunds/{id}", refunds.refund),
    _row("POST", "/v1/refunds/{id}", refunds.refund_update, "metadata"),
    _row("POST", "/v1/refunds/{id}/cancel", refunds.refund_cancel),
    _row("GET", "/v1/disputes", refunds.dispute_list, "@page charge payment_intent"),
    _row("GET", "/v1/disputes/{id}", refunds.dispute),
    _row("POST", "/v1/disputes/{id}", refunds.dispute_update, "evidence metadata submit"),
    _row("POST", "/v1/disputes/{id}/close", refunds.dispute_close),
    _row(
        "GET",
        "/v1/radar/early_fraud_warnings",
        refunds.warning_list,
        "@page charge payment_intent",
    ),
    _row("GET", "/v1/radar/early_fraud_warnings/{id}", refunds.warning),
    _row("GET", "/v1/customers", customers.listing, "@page email"),
    _row(
        "POST",
        "/v1/customers",
        customers.create,
        "email name description metadata phone payment_method invoice_settings source address "
        "shipping",
    ),
    _row("GET", "/v1/customers/{id}", customers.retrieve),
    _row(
        "POST",
        "/v1/customers/{id}",
        customers.update,
        "email name description metadata phone invoice_settings",
    ),
    _row("DELETE", "/v1/customers/{id}", customers.delete),
    _row("GET", "/v1/customers/{id}/payment_methods", customers.method_list, "@page type"),
    _row("GET", "/v1/payment_methods", customers.all_methods, "@page type customer"),
    _row(
        "POST", "/v1/payment_methods", customers.method_create, "type card billing_details metadata"
    ),
    _row("GET", "/v1/payment_methods/{id}", customers.method),
    _row("POST", "/v1/payment_methods/{id}/attach", customers.attach, "customer"),
    _row("POST", "/v1/payment_methods/{id}/detach", customers.detach),
    _row("GET", "/v1/events", events.event_list, "@page type types delivery_success"),
    _row("GET", "/v1/events/{id}", events.event),
    _row(
        "POST",
        "/v1/events/{id}/retry",
        events.event_retry,
        "account for_stripecli webhook_endpoint",
    ),
    _row("GET", "/v1/webhook_endpoints", events.endpoint_list, "@page"),
    _row(
        "POST",
        "/v1/webhook_endpoints",
        events.endpoint_create,
        "url connect enabled_events description metadata api_version",
    ),
    _row("GET", "/v1/webhook_endpoints/{id}", events.endpoint),
    _row(
        "POST",
        "/v1/webhook_endpoints/{id}",
        events.endpoint_update,
        "url enabled_events description metadata disabled",
    ),
    _row("DELETE", "/v1/webhook_endpoints/{id}", events.endpoint_delete),
)


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], dict[str, Route]], ...]:
    found: dict[str, dict[str, Route]] = {}
    for route in ROUTES:
        found.setdefault(route.path, {})[route.method] = route
    return tuple(
        (re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)), methods)
        for path, methods in found.items()
    )


def match(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The route of a request and the ids in its path."""
    for pattern, methods in _patterns():
        if (hit := pattern.fullmatch(path)) and method in methods:
            return methods[method], hit.groupdict()
    return None
