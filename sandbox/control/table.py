"""The table of control verbs: method and path to verb.

One row per verb; adding a verb is adding a row, its function and its line in the README.
"""

from sandbox.control import account_verbs, overview, payment_verbs
from sandbox.control.desk import Verb

TABLE: dict[tuple[str, str], Verb] = {
    ("POST", "/_sandbox/accounts"): account_verbs.open_account,
    ("POST", "/_sandbox/accounts/{id}/earn"): account_verbs.earn,
    ("POST", "/_sandbox/accounts/{id}/balance"): account_verbs.set_balance,
    ("POST", "/_sandbox/accounts/{id}/make_available"): account_verbs.make_available,
    ("POST", "/_sandbox/accounts/{id}/payout"): account_verbs.pay_out,
    ("POST", "/_sandbox/accounts/{id}/refuse_payouts"): account_verbs.refuse_payouts,
    ("POST", "/_sandbox/accounts/{id}/update"): account_verbs.update_account,
    ("POST", "/_sandbox/accounts/{id}/deauthorize"): account_verbs.deauthorize,
    ("POST", "/_sandbox/accounts/{id}/reject"): account_verbs.reject,
    ("GET", "/_sandbox/accounts/{id}/movement"): overview.movement,
    ("POST", "/_sandbox/payments"): payment_verbs.pay,
    ("POST", "/_sandbox/charges/{id}/refund_fate"): payment_verbs.set_refund_fate,
    ("POST", "/_sandbox/refunds"): payment_verbs.refund,
    ("POST", "/_sandbox/refunds/{id}/fail"): payment_verbs.fail_refund,
    ("POST", "/_sandbox/refunds/{id}/succeed"): payment_verbs.succeed_refund,
    ("POST", "/_sandbox/payouts/{id}/fail"): account_verbs.fail_payout,
    ("POST", "/_sandbox/disputes"): payment_verbs.dispute,
    ("POST", "/_sandbox/disputes/{id}/close"): payment_verbs.close_dispute,
    ("POST", "/_sandbox/disputes/{id}/escalate"): payment_verbs.escalate_dispute,
    ("POST", "/_sandbox/early_fraud_warnings"): payment_verbs.warn,
    ("POST", "/_sandbox/payment_intents/{id}/authenticate"): payment_verbs.authenticate,
    ("POST", "/_sandbox/topups/{id}/fail"): account_verbs.fail_topup,
    ("POST", "/_sandbox/endpoints"): account_verbs.add_endpoint,
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
