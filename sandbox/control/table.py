"""The table of control verbs: method and path to verb.

One row per verb; adding a verb is adding a row, its function and its line in the README.
"""

from sandbox.control import overview, verbs
from sandbox.control.desk import Verb

TABLE: dict[tuple[str, str], Verb] = {
    ("POST", "/_sandbox/accounts"): verbs.open_account,
    ("POST", "/_sandbox/accounts/{id}/earn"): verbs.earn,
    ("POST", "/_sandbox/accounts/{id}/balance"): verbs.set_balance,
    ("POST", "/_sandbox/accounts/{id}/make_available"): verbs.make_available,
    ("POST", "/_sandbox/accounts/{id}/payout"): verbs.pay_out,
    ("POST", "/_sandbox/accounts/{id}/refuse_payouts"): verbs.refuse_payouts,
    ("POST", "/_sandbox/accounts/{id}/update"): verbs.update_account,
    ("POST", "/_sandbox/accounts/{id}/deauthorize"): verbs.deauthorize,
    ("POST", "/_sandbox/accounts/{id}/reject"): verbs.reject,
    ("GET", "/_sandbox/accounts/{id}/movement"): overview.movement,
    ("POST", "/_sandbox/payments"): verbs.pay,
    ("POST", "/_sandbox/charges/{id}/refund_fate"): verbs.set_refund_fate,
    ("POST", "/_sandbox/refunds"): verbs.refund,
    ("POST", "/_sandbox/refunds/{id}/fail"): verbs.fail_refund,
    ("POST", "/_sandbox/refunds/{id}/succeed"): verbs.succeed_refund,
    ("POST", "/_sandbox/payouts/{id}/fail"): verbs.fail_payout,
    ("POST", "/_sandbox/disputes"): verbs.dispute,
    ("POST", "/_sandbox/disputes/{id}/close"): verbs.close_dispute,
    ("POST", "/_sandbox/disputes/{id}/escalate"): verbs.escalate_dispute,
    ("POST", "/_sandbox/early_fraud_warnings"): verbs.warn,
    ("POST", "/_sandbox/payment_intents/{id}/authenticate"): verbs.authenticate,
    ("POST", "/_sandbox/topups/{id}/fail"): verbs.fail_topup,
    ("POST", "/_sandbox/endpoints"): verbs.add_endpoint,
    ("GET", "/_sandbox/switches"): overview.switches,
    ("POST", "/_sandbox/switches"): overview.set_switches,
    ("GET", "/_sandbox/clock"): overview.clock,
    ("POST", "/_sandbox/clock"): overview.advance_clock,
    ("GET", "/_sandbox/state"): overview.state,
    ("GET", "/_sandbox/calls"): overview.calls,
    ("GET", "/_sandbox/books"): overview.books,
    ("GET", "/_sandbox/faults"): overview.faults,
    ("POST", "/_sandbox/faults"): overview.add_fault,
    ("DELETE", "/_sandbox/faults"): overview.clear_faults,
    ("GET", "/_sandbox/deliveries"): overview.deliveries,
    ("POST", "/_sandbox/deliveries/rules"): overview.add_delivery_rule,
    ("DELETE", "/_sandbox/deliveries/rules"): overview.clear_delivery_rules,
    ("POST", "/_sandbox/deliveries/release"): overview.release_deliveries,
    ("POST", "/_sandbox/events/{id}/resend"): overview.resend_event,
}
