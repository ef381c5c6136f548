"""The verdict once all is at rest: nothing coverable held, both books the same, disputes heeded.

What it expects it works out from the sandbox; it may not take a handler's word or mend anything.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from sqlmodel import col, select

from refunds.decision import Outcome, Rule
from refunds.facts import METADATA_ATTEMPT, METADATA_REQUEST, RefundStatus
from refunds.lifecycle import Bucket, Status
from refunds.policy import Policy
from sandbox.world.refunds import _reversal_amount
from sandbox.world.shelves import Record
from store.database import Unit
from store.ledger import amounts_of, entries_of
from store.requests import latest_evaluation, waived_rules
from store.tables.attempts import AttemptStep, ReleaseAttempt
from store.tables.observations import Refund
from store.tables.recovery import RecoveryAttempt
from store.tables.requests import Charge, RefundRequest
from tests.simulation.scene import Scene
from tests.simulation.told import misled

_NOT_LIVE: Final = ("failed", "canceled")


@dataclass(slots=True)
class Verdict:
    """Reads our books beside the sandbox's; `policy` is the one that was in force."""

    scene: Scene
    unit: Unit
    policy: Policy
    requests: list[RefundRequest] = field(init=False)
    attempts: list[ReleaseAttempt] = field(init=False)
    refunds: list[Record] = field(init=False)

    def __post_init__(self) -> None:
        order = col(RefundRequest.id)
        self.requests = [*self.unit.exec(select(RefundRequest).order_by(order))]
        self.attempts = [*self.unit.exec(select(ReleaseAttempt).order_by(col(ReleaseAttempt.id)))]
        self.refunds = self.scene.refunds()

    def at_rest(self) -> list[str]:
        """Return what is wrong now that nothing more will happen by itself."""
        return [
            *self._coverable(),
            *self._against_sandbox(),
            *self._reversals(),
            *self._unexplained(),
            *self._disputed(),
            *misled(self.unit, self.requests),
        ]

    def all_released(self) -> list[str]:
        """Return what still waits although everybody has all they need."""
        return [
            f"{each.id}: held with plenty, {self._why(each)}"
            for each in self.requests
            if each.status is Status.HELD and not self._left(each)
        ]

    # --- nothing coverable held -------------------------------------------------------------

    def _coverable(self) -> Iterator[str]:
        """What is held must not fit; only an older one that starved may stand before it."""
        held = [each for each in self.requests if each.status is Status.HELD]
        starving = {
            (each.lane, self._purse(each))
            for each in held
            if each.skipped_runs >= self.policy.starve_after and not self._fits(each)
        }
        for request in held:
            if self._left(request):
                if not self._let_wait(request):
                    yield f"{request.id}: held though its account left, {self._why(request)}"
            elif self._fits(request) and (request.lane, self._purse(request)) not in starving:
                yield f"{request.id}: held though it fits, {self._why(request)}"

    def _fits(self, request: RefundRequest) -> bool:
        assert request.charge_id is not None
        available = self.scene.available()
        for each in filter(queued, self.refunds):
            available["platform", each.body["currency"]] -= each.body["amount"]
        amount_minor = amounts_of(self.unit, request.id)[Bucket.HELD]  # type: ignore[arg-type]
        if amount_minor > available["platform", request.currency or ""]:
            return False
        charge = self.scene.sandbox.world.shelves.get(request.charge_id)
        transfer = self.scene.transfer_of(charge.id)
        taken_minor = _reversal_amount(charge, transfer, amount_minor)
        debit = self.scene.debit_of(charge.id, taken_minor)
        if debit is None or not taken_minor:
            return True
        account, currency, minor = debit
        # A cent for rounding, and the buffer where the rate is not known yet.
        buffer_minor = minor * self.policy.fx_buffer_percent // 100 + 2
        minor += buffer_minor if currency != request.currency else 1
        if self.policy.count_own_pending:
            minor -= self.scene.own_pending(charge.id)
        return minor <= available[account, currency]

    def _left(self, request: RefundRequest) -> bool:
        return request.account is not None and not self.scene.connected(request.account)

    def _let_wait(self, request: RefundRequest) -> bool:
        """Whether a person lets it wait though its account left."""
        waived = waived_rules(self.unit, request.id, self.scene.now())
        return Rule.ACCOUNT_DEAUTHORIZED in waived

    def _purse(self, request: RefundRequest) -> str | None:
        assert request.charge_id is not None
        debit = self.scene.debit_of(request.charge_id, 1)
        return None if debit is None else debit[1]

    # --- both books say the same ------------------------------------------------------------

    def _against_sandbox(self) -> Iterator[str]:
        theirs: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for refund in self.refunds:
            if METADATA_REQUEST in refund.body["metadata"]:
                status = refund.body["status"]
                theirs[refund.body["metadata"][METADATA_REQUEST]][status] += refund.body["amount"]
        waiting: dict[str, int] = defaultdict(int)
        for row in self.unit.exec(select(Refund)):
            if row.request_id and row.status is RefundStatus.REQUIRES_ACTION:
                waiting[row.request_id] += row.amount_minor
        for request in self.requests:
            amounts = amounts_of(self.unit, request.id)  # type: ignore[arg-type]
            ours = {
                "succeeded": amounts.get(Bucket.SUCCEEDED, 0),
                "pending": amounts.get(Bucket.SUBMITTED, 0),
                "requires_action": waiting[request.id],
            }
            said = {status: theirs[request.id][status] for status in ours}
            if ours != said:
                yield f"{request.id}: we say {ours}, the sandbox says {said}"

    def _reversals(self) -> Iterator[str]:
        """What an account was debited for our refunds is what we said it would be, to a cent."""
        alone = _charges_with_one(self.refunds)
        steps = [*self.unit.exec(select(AttemptStep).where(col(AttemptStep.ordinal) == 2))]
        by_step = {step.attempt_id: step.object_minor or 0 for step in steps}
        for recovery in self.unit.exec(select(RecoveryAttempt)):
            later_minor = recovery.reversed_minor or 0
            by_step[recovery.attempt_id] = by_step.get(recovery.attempt_id, 0) + later_minor
        for attempt in self.attempts:
            refund = alone.get(attempt.charge_id)
            if refund is None or attempt_named_by(refund) != attempt.id:
                continue
            reversals = self.scene.reversals(attempt.charge_id)
            taken_minor = sum(each.body["amount"] for each in reversals)
            expected_minor = by_step.get(attempt.id, 0)
            if not attempt.uncovered and attempt.need_currency == attempt.currency:
                expected_minor = attempt.need_minor or 0
            elif not attempt.uncovered:
                continue
            if abs(taken_minor - expected_minor) > 1:
                yield f"{attempt.id}: {taken_minor} reversed, {expected_minor} expected"

    def _unexplained(self) -> Iterator[str]:
        """Every refund has a row: ours under its attempt, others' from the first wish on."""
        rows = {row.id: row for row in self.unit.exec(select(Refund))}
        first: dict[str, int] = {}
        for request in self.requests:
            entries = entries_of(self.unit, request.id)  # type: ignore[arg-type]
            if request.charge_id is not None and entries:
                created = int(entries[0].at.timestamp())
                first[request.charge_id] = min(first.get(request.charge_id, created), created)
        for refund in self.refunds:
            row = rows.get(refund.id)
            if attempt_named_by(refund) is not None and (
                row is None or row.attempt_id != attempt_named_by(refund)
            ):
                yield f"{refund.id}: no row of ours says that {attempt_named_by(refund)} made it"
            since = first.get(refund.body["charge"])
            if row is None and since is not None and since < refund.body["created"]:
                yield f"{refund.id}: another hand's refund of a known payment was never observed"

    # --- disputes ---------------------------------------------------------------------------

    def _disputed(self) -> Iterator[str]:
        """Won puts it back on hold, lost closes it; and who let it go on?"""
        standing: dict[str, list[str]] = defaultdict(list)
        for dispute in self.scene.records("dispute"):
            standing[dispute.body["charge"]].append(dispute.body["status"])
        for request in self.requests:
            said = standing.get(request.charge_id or "", [])
            if not said or request.status not in (Status.REVIEW, Status.HELD):
                continue
            latest = latest_evaluation(self.unit, request)
            by_dispute = (
                latest is not None
                and latest.rule is Rule.DISPUTED
                and latest.outcome is Outcome.REVIEW
            )
            over = all(status in ("won", "warning_closed") for status in said)
            if by_dispute and over:
                yield f"{request.id}: in review for a dispute that is over ({said})"
            if "lost" in said and not self._may_still_pay(request):
                yield f"{request.id}: {request.status} though its payment's dispute is lost"

    def _may_still_pay(self, request: RefundRequest) -> bool:
        return any(
            each.body["metadata"].get(METADATA_REQUEST) == request.id
            and each.body["status"] not in _NOT_LIVE
            for each in self.refunds
        )

    def _why(self, request: RefundRequest) -> str:
        latest = latest_evaluation(self.unit, request)
        charge = self.unit.get(Charge, request.charge_id) if request.charge_id else None
        disputed = charge is not None and charge.disputed
        return f"latest: {latest.why if latest else None!r}, disputed: {disputed}"


def attempt_named_by(refund: Record) -> str | None:
    """Return the attempt whose name a refund carries."""
    name: str | None = refund.body["metadata"].get(METADATA_ATTEMPT)
    return name


def queued(refund: Record) -> bool:
    """Whether Stripe keeps it until the platform can pay."""
    return bool(refund.body.get("pending_reason") == "insufficient_funds")


def _charges_with_one(refunds: Iterable[Record]) -> dict[str, Record]:
    found: dict[str, list[Record]] = defaultdict(list)
    for refund in refunds:
        found[refund.body["charge"]].append(refund)
    return {charge: several[0] for charge, several in found.items() if len(several) == 1}
