"""The Gateway over Stripe's SDK: one method per question, one for everything that moves money.

This module knows which call answers which question; it may not retry, cache an answer or decide
what an answer means for a request.
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice
from typing import Final, Self, assert_never

import stripe

from gateway import objects
from gateway.errors import NoVerdict, Refusal, read_error, refused, unknown
from gateway.exchange import Answer, Call, Exchange, read_call
from gateway.fields import MalformedAnswerError
from gateway.listing import walk
from gateway.pace import Pace
from gateway.payment import read_payment, read_transfer, shares_group
from gateway.payout_settings import read_settings, write_settings
from gateway.port import ReadOnlyError, RejectedReadError
from gateway.transport import API_VERSION, build_client, default_http_client, livemode_of
from refunds.clock import utc_now
from refunds.eta import Arrival
from refunds.facts import (
    AccountFacts,
    BalanceFacts,
    ChargeFacts,
    DisputeFacts,
    EventFacts,
    PlatformFacts,
    RefundFacts,
    ReversalFacts,
    SentFacts,
    TransferFacts,
)
from refunds.ids import AccountId, ChargeId, DisputeId, EventId, RefundId, TransferId
from refunds.payout_settings import PayoutSettings, SettingsWrite
from refunds.steps import Done, Refused, StepKind, StepOutcome, StripeCall, Trouble, Unknown

MAX_REFUNDS_OF_A_CHARGE: Final = 1_000
MAX_REVERSALS_OF_A_TRANSFER: Final = 1_000
MAX_TRANSFERS_OF_A_LISTING: Final = 5_000
MAX_EVENTS_OF_A_LISTING: Final = 10_000
MAX_TRANSACTIONS_OF_A_LISTING: Final = 2_000
MAX_EVENT_TYPES: Final = 20
"""Stripe's own limit. Source: Stripe docs, "List all events"."""

_TRANSFER: Final = re.compile(r"tr_[A-Za-z0-9_]+")


class StripeGateway:
    """Fulfils `gateway.port.Gateway` over HTTP. Threads may share one.

    `http_client` takes the place of the SDK's own transport, timeouts included. One that is
    `read_only` refuses every call that would change something at Stripe. Without a `pace` calls are
    made as they come.
    """

    def __init__(
        self,
        api_key: str,
        *,
        api_base: str | None = None,
        http_client: stripe.HTTPClient | None = None,
        read_only: bool = False,
        pace: Pace | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._livemode = livemode_of(api_key)
        self._api_base = api_base
        self._http_client = http_client or default_http_client()
        self._exchange = Exchange(
            build_client(api_key, api_base=api_base, http_client=self._http_client), pace
        )
        self._read_only = read_only
        self._pace = pace
        self._clock = clock

    def __repr__(self) -> str:
        mode = "live" if self._livemode else "test"
        return f"StripeGateway({mode} mode, {self._api_base or 'Stripe'}, {API_VERSION})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the calling thread's connections; those of other threads end with them."""
        self._http_client.close()  # type: ignore[no-untyped-call]  # the SDK leaves it untyped

    def share_rate(self, workers: int) -> None:
        """Take one part of so many of the allowed rate, where there is one."""
        if self._pace is not None:
            self._pace.share(workers)

    def read_platform(self) -> PlatformFacts:
        """Return whose key this is; the key's prefix says live or test."""
        data = self._exchange.read(read_call("platform.read", "/v1/account"))
        return objects.platform_facts(data, livemode=self._livemode)

    def read_payment(self, payment: str, account: AccountId | None = None) -> ChargeFacts:
        """Return the charge behind a `pi_…`, `ch_…` or `py_…`, with transfer and settlement."""
        return read_payment(self._exchange, payment, account, self._clock())

    def read_transfer(self, transfer: TransferId) -> TransferFacts:
        """Return a transfer of the platform's as it is now, with its settlement."""
        return read_transfer(self._exchange, transfer)

    def shares_group(self, charge: ChargeId, group: str) -> bool:
        """Whether a transfer group holds another charge whose money could have been passed on."""
        return shares_group(self._exchange, group, charge)

    def list_sent(self, account: AccountId, *, since: datetime) -> Sequence[SentFacts]:
        """Return the platform's transfers to an account, newest first; `ListingTooLongError` beyond
        `MAX_TRANSFERS_OF_A_LISTING`.
        """
        call = read_call(
            "transfers.list",
            "/v1/transfers",
            subject=account,
            params={"destination": account, "created": {"gte": int(since.timestamp())}},
        )
        pages = walk(
            self._exchange, call, cursor="starting_after", bound=MAX_TRANSFERS_OF_A_LISTING
        )
        return [objects.sent_facts(item) for item in pages]

    def read_balance(self, account: AccountId | None) -> BalanceFacts:
        """Return a balance as it is now."""
        # Taken before the call, here and below: what happened later may be in the answer, but
        # nothing from before can be missing.
        read_at = self._clock()
        call = read_call("balance.read", "/v1/balance", account=account)
        return objects.balance_facts(self._exchange.read(call), account, read_at)

    def read_refund(self, refund: RefundId, account: AccountId | None = None) -> RefundFacts:
        """Return one refund as it is now."""
        read_at = self._clock()
        call = read_call("refund.read", "/v1/refunds/{id}", subject=refund, account=account)
        return objects.refund_facts(self._exchange.read(call), account, read_at)

    def list_refunds(
        self, charge: ChargeId, account: AccountId | None = None
    ) -> Sequence[RefundFacts]:
        """Return every refund of a charge, newest first; `ListingTooLongError` beyond
        `MAX_REFUNDS_OF_A_CHARGE`.
        """
        read_at = self._clock()
        call = read_call(
            "refunds.list",
            "/v1/refunds",
            subject=charge,
            account=account,
            params={"charge": charge},
        )
        pages = walk(self._exchange, call, cursor="starting_after", bound=MAX_REFUNDS_OF_A_CHARGE)
        return [objects.refund_facts(item, account, read_at) for item in pages]

    def list_reversals(self, transfer: TransferId) -> Sequence[ReversalFacts]:
        """Return every reversal of a transfer, newest first; `ListingTooLongError` beyond
        `MAX_REVERSALS_OF_A_TRANSFER`.
        """
        call = read_call("reversals.list", "/v1/transfers/{id}/reversals", subject=transfer)
        pages = walk(
            self._exchange, call, cursor="starting_after", bound=MAX_REVERSALS_OF_A_TRANSFER
        )
        return [objects.reversal_facts(item) for item in pages]

    def list_arrivals(self, account: AccountId, *, since: datetime) -> Sequence[Arrival]:
        """Return the pending balance transactions of an account's payments balance.

        Stripe can't filter them by status, so everything since then is read and most of it left
        out; `ListingTooLongError` beyond `MAX_TRANSACTIONS_OF_A_LISTING`.
        """
        call = read_call(
            "balance_transactions.list",
            "/v1/balance_transactions",
            account=account,
            params={"created": {"gte": int(since.timestamp())}},
        )
        bound = MAX_TRANSACTIONS_OF_A_LISTING
        pages = walk(self._exchange, call, cursor="starting_after", bound=bound)
        arrivals = (objects.arrival(item) for item in pages)
        return [arrival for arrival in arrivals if arrival is not None]

    def read_account(self, account: AccountId) -> AccountFacts:
        """Return a connected account as it is now."""
        read_at = self._clock()
        call = read_call("account.read", "/v1/accounts/{id}", subject=account)
        found = self._exchange.send(call)
        if isinstance(found, Answer):
            return objects.account_facts(found.data, read_at)
        # A 403 says that this account is out of the platform's reach, a 401 is about the key.
        raise read_error(found, account if found.http_status == 403 else None)

    def read_payout_settings(self, account: AccountId) -> PayoutSettings:
        """Return how a connected account is paid out now."""
        return read_settings(self._exchange, account, self._clock())

    def write_payout_settings(self, write: SettingsWrite) -> PayoutSettings | Refused | Unknown:
        """Change how a connected account is paid out.

        Raises `ReadOnlyError` where nothing may be changed, before anything is sent.
        """
        if self._read_only:
            raise ReadOnlyError("payout settings were to be written in shadow mode; nothing was")
        return write_settings(self._exchange, write, self._clock())

    def read_dispute(self, dispute: DisputeId, account: AccountId | None = None) -> DisputeFacts:
        """Return one dispute as it is now."""
        call = read_call("dispute.read", "/v1/disputes/{id}", subject=dispute, account=account)
        return objects.dispute_facts(self._exchange.read(call))

    def list_events(
        self,
        types: Sequence[str],
        account: AccountId | None,
        *,
        since: datetime,
        ending_before: EventId | None = None,
    ) -> Sequence[EventFacts]:
        """Return events created at or after `since`, oldest first.

        With `ending_before` (the last event already known) the list grows from there, and beyond
        `MAX_EVENTS_OF_A_LISTING` it ends early: go on from its last event. Without it the list
        starts at the newest, so that a list cut short would lack the oldest: `ListingTooLongError`.
        """
        if not 1 <= len(types) <= MAX_EVENT_TYPES:
            raise RejectedReadError(
                f"events are listed by 1 to {MAX_EVENT_TYPES} types at once, not {len(types)}"
            )
        params: dict[str, object] = {
            "types": list(types),
            "created": {"gte": int(since.timestamp())},
        }
        if ending_before is None:
            call = read_call("events.list", "/v1/events", account=account, params=params)
            found = list(
                walk(self._exchange, call, cursor="starting_after", bound=MAX_EVENTS_OF_A_LISTING)
            )[::-1]
        else:
            params["ending_before"] = ending_before
            call = read_call("events.list", "/v1/events", account=account, params=params)
            growing = walk(
                self._exchange, call, cursor="ending_before", bound=MAX_EVENTS_OF_A_LISTING
            )
            found = list(islice(growing, MAX_EVENTS_OF_A_LISTING))
        return [objects.event_facts(item, account) for item in found]

    def execute(self, call: StripeCall) -> StepOutcome:
        """Make one call that moves money and say what is known of it afterwards.

        Raises `ValueError` for a call that can't be sent at all, and `ReadOnlyError` where nothing
        may be, before anything is.
        """
        if self._read_only:
            raise ReadOnlyError(f"a {call.kind} was to be sent in shadow mode; nothing was")
        read_at = self._clock()
        result = self._exchange.send(_post_of(call))
        match result:
            case Answer():
                return _done(call, result, read_at)
            case Refusal():
                return refused(result)
            case NoVerdict():
                return unknown(result)


def _post_of(call: StripeCall) -> Call:
    match call.kind:
        case StepKind.REFUND:
            name, path = "refund.create", "/v1/refunds"
        case StepKind.REVERSAL:
            name, path = "reversal.create", f"/v1/transfers/{_transfer_in(call)}/reversals"
        case StepKind.TRANSFER:
            name, path = "transfer.create", "/v1/transfers"
        case _:
            assert_never(call.kind)
    subject = call.target or call.params.get("charge") or call.params.get("payment_intent")
    return Call(
        name=name,
        method="post",
        path=path,
        subject=str(subject) if subject else None,
        params=call.params,
        account=call.account,
        idempotency_key=call.idempotency_key,
    )


def _transfer_in(call: StripeCall) -> str:
    target = call.target or ""
    if not _TRANSFER.fullmatch(target):
        raise ValueError(f"a reversal needs the transfer it reverses, not {call.target!r}")
    return target


def _done(call: StripeCall, answer: Answer, read_at: datetime) -> StepOutcome:
    made: RefundFacts | ReversalFacts | SentFacts
    try:
        match call.kind:
            case StepKind.REFUND:
                made = objects.refund_facts(answer.data, call.account, read_at)
            case StepKind.REVERSAL:
                made = objects.reversal_facts(answer.data)
            case StepKind.TRANSFER:
                made = objects.sent_facts(answer.data)
            case _:
                assert_never(call.kind)
    except MalformedAnswerError as error:
        return Unknown(
            trouble=Trouble.UNREADABLE,
            message=str(error),
            http_status=200,
            stripe_request=answer.stripe_request,
        )
    return Done(object=made, stripe_request=answer.stripe_request, replayed=answer.replayed)
