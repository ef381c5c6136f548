"""How an account's guard stands, what other hands made of its settings, and who is told of it.

It may not change a setting at Stripe.
"""

from datetime import datetime

from handlers.guard_view import view_guard
from handlers.services import Services
from refunds.guard import GuardAct, GuardPlan, GuardState, Note, why_drifted
from refunds.notifications import Kind
from refunds.payout_settings import told_setting, told_value
from store.database import Unit
from store.guard_marks import GuardClaim, renew_guard
from store.guards import add_entry, drop_guarded, note_drift
from store.outbox import tell
from store.tables.guards import PayoutGuard


def record_state(services: Services, claim: GuardClaim, state: GuardState, why: str) -> bool:
    """Record how the guard stands, and tell if that is news; return whether it was."""
    with services.database.unit_of_work() as unit:
        now = services.clock()
        return set_state(unit, claim, renew_guard(unit, claim, now), state, why, now)


def set_state(
    unit: Unit, claim: GuardClaim, row: PayoutGuard, state: GuardState, why: str, now: datetime
) -> bool:
    """Write how a guard stands onto its row, which is locked, and tell if that is news; return
    whether it was.
    """
    # What was written last stands beside the reason: a look that finds all well is no news.
    if row.state is state and (row.why.startswith(why) or state is GuardState.OFF):
        return False
    if row.state is not state:
        row.since = now
    row.state, row.why = state, why
    unit.add(row)
    unit.flush()
    view = view_guard(unit, claim.account)
    assert view is not None, "its row is at hand"
    tell(
        unit,
        Kind.GUARD_CHANGED,
        at=now,
        subject=claim.account,
        account=claim.account,
        why=why,
        data={**view},
    )
    return True


def record_notes(services: Services, claim: GuardClaim, plan: GuardPlan) -> str | None:
    """Record what other hands did, and which settings are over without a call; return the sentence
    about those that were left as found.
    """
    if not plan.notes:
        return None
    now = services.clock()
    left = []
    with services.database.unit_of_work() as unit:
        renew_guard(unit, claim, now)
        for note in plan.notes:
            setting = note.guarded.setting
            if note.act in (GuardAct.DRIFTED, GuardAct.RESUMED):
                drifted = note.act is GuardAct.DRIFTED
                note_drift(unit, claim.account, setting, note.found, drifted=drifted)
            else:
                drop_guarded(unit, claim.account, setting)
            why = _why_noted(note, plan)
            if note.act is GuardAct.LEFT:
                left.append(why)
            add_entry(
                unit,
                claim.account,
                setting,
                note.act,
                at=now,
                before=note.guarded.written,
                after=note.found,
                cause=claim.cause,
                why=why,
            )
    return " ".join(left) or None


def _why_noted(note: Note, plan: GuardPlan) -> str:
    held = note.guarded
    found = told_value(held.setting, note.found)
    match note.act:
        case GuardAct.DRIFTED:
            return why_drifted(held, note.found)
        case GuardAct.LEFT:
            return (
                f"The guard is over, and the {told_setting(held.setting)} stays as somebody else "
                f"left it: {found}."
            )
        case GuardAct.RESUMED:
            return f"The {told_setting(held.setting)} is {found} again, as it was written."
        case _:
            return plan.why
