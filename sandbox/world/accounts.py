"""Accounts: the platform, and the connected accounts that come, change and go.

It may not move money.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from sandbox.errors import invalid
from sandbox.shapes import AccountId, JsonObject
from sandbox.world.agenda import Plan
from sandbox.world.core import World
from sandbox.world.ids import token
from sandbox.world.shelves import Record

DAY = 86_400


class Interval(StrEnum):
    """How often an account is paid out by itself."""

    MANUAL = "manual"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


def found(*, seed: int = 0, world: World, country: str = "US", currency: str = "usd") -> Record:
    """Begin a world with its platform; call once, before anything else."""
    if world.platform:
        raise ValueError("this world has its platform already")
    account_id = AccountId(f"acct_{token(f'{seed}:platform', 16)}")
    world.platform = account_id
    world.application = f"ca_{token(f'{seed}:application', 24)}"
    body = _account(world, account_id, country=country, currency=currency)
    body.update(type="standard", email="platform@example.com")
    body["controller"] = {"type": "account"}
    body["business_profile"]["name"] = "Sandbox platform"
    body["settings"]["dashboard"]["display_name"] = "Sandbox platform"
    return world.put("account", account_id, body, connected=True, **_hidden(Interval.MANUAL))


def open_connected(
    world: World,
    *,
    account_id: str | None = None,
    country: str = "US",
    currency: str = "usd",
    losses: str = "application",
    interval: Interval = Interval.MANUAL,
    currencies: tuple[str, ...] = (),
    details: Mapping[str, Any] | None = None,
) -> Record:
    """Connect a new account; `currencies` beside its default one are settled as they come."""
    if losses not in ("application", "stripe"):
        raise invalid(
            f"Invalid losses: must be application or stripe, not {losses}", param="losses"
        )
    new_id = AccountId(account_id or world.new_id("acct", length=16))
    if world.shelves.find(new_id):
        raise invalid(f"Account {new_id} exists already", code="account_already_exists")
    body = _account(world, new_id, country=country, currency=currency)
    body["controller"] = {
        "type": "application",
        "is_controller": True,
        "fees": {"payer": "application" if losses == "application" else "account"},
        "losses": {"payments": losses},
        "requirement_collection": losses,
        "stripe_dashboard": {"type": "express" if losses == "application" else "full"},
    }
    body["settings"]["payouts"]["debit_negative_balances"] = losses == "stripe"
    merge(body, details or {})
    record = world.put(
        "account",
        new_id,
        body,
        connected=True,
        settles=sorted({currency, *currencies}),
        **_hidden(interval),
    )
    _bank_account(world, record)
    _show_schedule(record)
    plan_payout_run(world, record)
    world.emit("account.application.authorized", record, shown=application(world))
    world.emit("account.updated", record, shown=present(world, record), previous={})
    return record


def connected(world: World, account_id: str) -> Record | None:
    """A connected account the platform still has access to."""
    record = world.shelves.find(account_id)
    if record is None or record.kind != "account" or not record.hidden["connected"]:
        return None
    return record


def account_of(world: World, owner: AccountId) -> Record:
    """The account that owns something."""
    return world.shelves.get(owner)


def application(world: World) -> JsonObject:
    """The platform's application object, as deauthorization events carry it."""
    return {"id": world.application, "object": "application", "name": "Sandbox platform"}


def present(world: World, record: Record) -> JsonObject:
    """An account as Stripe answers it: with its bank accounts."""
    banks = [bank.body for bank in world.shelves.of("bank_account", record.body["id"])]
    return {
        **record.body,
        "external_accounts": {
            "object": "list",
            "data": banks,
            "has_more": False,
            "total_count": len(banks),
            "url": f"/v1/accounts/{record.id}/external_accounts",
        },
    }


def update(world: World, record: Record, changes: Mapping[str, Any]) -> Record:
    """Change fields of an account, nested ones too, and tell by account.updated."""
    with world.changing(record, "account.updated", present=present) as body:
        merge(body, changes)
    return record


def deauthorize(world: World, record: Record) -> None:
    """The connected account withdraws the platform's access; nothing of it can be read after."""
    record.hidden["connected"] = False
    world.emit("account.application.deauthorized", record, shown=application(world))


def reject(world: World, record: Record, reason: str) -> Record:
    """The platform or Stripe rejects the account: no charges, no payouts."""
    return update(
        world,
        record,
        {
            "charges_enabled": False,
            "payouts_enabled": False,
            "requirements": {"disabled_reason": f"rejected.{reason}"},
        },
    )


def merge(target: JsonObject, changes: Mapping[str, Any]) -> None:
    """Put changes into an object, field by field where both are objects."""
    for name, value in changes.items():
        if isinstance(value, Mapping) and isinstance(target.get(name), dict):
            merge(target[name], value)
        else:
            target[name] = dict(value) if isinstance(value, Mapping) else value


def plan_payout_run(world: World, record: Record) -> None:
    """Appoint the next automatic payout of an account that has a schedule."""
    if record.hidden["interval"] is not Interval.MANUAL and not record.hidden["run_planned"]:
        record.hidden["run_planned"] = True
        world.agenda.add((world.now() // DAY + 1) * DAY, Plan.PAYOUT_RUN, record.id)


def carries_losses(world: World, owner: AccountId) -> bool:
    """Whether the platform is liable for this account's negative balance."""
    losses = account_of(world, owner).body["controller"].get("losses")
    return losses is not None and losses["payments"] == "application"


def settlement_currency(world: World, owner: AccountId, currency: str) -> str:
    """In which of its currencies an account gets money that comes in `currency`."""
    record = account_of(world, owner)
    settles: list[str] | None = record.hidden.get("settles")
    if settles is None or currency in settles:
        return currency
    return str(record.body["default_currency"])


def _hidden(interval: Interval) -> dict[str, Any]:
    return {
        "interval": interval,
        "weekly_payout_days": [],
        "monthly_payout_days": [],
        "minimum_balance": None,
        "delay_days_override": None,
        "statement_descriptor": None,
        "run_planned": False,
        "payouts_fail": None,
        "paid_out": set[str](),
    }


def _show_schedule(record: Record) -> None:
    schedule = record.body["settings"]["payouts"]["schedule"]
    schedule["interval"] = record.hidden["interval"].value


def _bank_account(world: World, account: Record) -> None:
    body: JsonObject = {
        "id": world.new_id("ba"),
        "object": "bank_account",
        "account": account.id,
        "account_holder_name": None,
        "account_holder_type": "company",
        "account_type": None,
        "available_payout_methods": ["standard"],
        "bank_name": "STRIPE TEST BANK",
        "country": account.body["country"],
        "currency": account.body["default_currency"],
        "default_for_currency": True,
        "fingerprint": token(f"{account.id}:bank", 16),
        "last4": "6789",
        "metadata": {},
        "routing_number": "110000000",
        "status": "new",
    }
    world.put("bank_account", account.body["id"], body)


def _account(world: World, account_id: AccountId, *, country: str, currency: str) -> JsonObject:
    nothing_due: JsonObject = {
        "alternatives": [],
        "current_deadline": None,
        "currently_due": [],
        "disabled_reason": None,
        "errors": [],
        "eventually_due": [],
        "past_due": [],
        "pending_verification": [],
    }
    return {
        "id": account_id,
        "object": "account",
        "business_profile": {
            "mcc": "5734",
            "name": None,
            "product_description": None,
            "support_address": None,
            "support_email": None,
            "support_phone": None,
            "support_url": None,
            "url": None,
        },
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "country": country,
        "created": world.now(),
        "default_currency": currency,
        "details_submitted": True,
        "email": f"{account_id.lower()}@example.com",
        "future_requirements": {**nothing_due},
        "metadata": {},
        "payouts_enabled": True,
        "requirements": {**nothing_due},
        "settings": _settings(),
        "tos_acceptance": {"date": world.now()},
        "type": "none",
    }


def _settings() -> JsonObject:
    return {
        "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
        "card_issuing": {"tos_acceptance": {"date": None, "ip": None}},
        "card_payments": {
            "decline_on": {"avs_failure": False, "cvc_failure": False},
            "statement_descriptor_prefix": None,
            "statement_descriptor_prefix_kana": None,
            "statement_descriptor_prefix_kanji": None,
        },
        "dashboard": {"display_name": None, "timezone": "Etc/UTC"},
        "payments": {
            "statement_descriptor": None,
            "statement_descriptor_kana": None,
            "statement_descriptor_kanji": None,
            "statement_descriptor_prefix_kana": None,
            "statement_descriptor_prefix_kanji": None,
        },
        "payouts": {
            "debit_negative_balances": True,
            "schedule": {"delay_days": 2, "interval": "manual"},
            "statement_descriptor": None,
        },
        "sepa_debit_payments": {},
    }
