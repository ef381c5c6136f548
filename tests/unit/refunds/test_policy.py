"""Policy: the defaults cost the platform nothing, and are the documented ones.

It may not read a policy file; that is the edge's.
"""

from datetime import timedelta

from refunds.policy import DEFAULT_POLICY, Policy


def test_the_defaults_are_the_documented_ones() -> None:
    assert Policy() == DEFAULT_POLICY
    assert DEFAULT_POLICY.starve_after == 10
    assert DEFAULT_POLICY.count_own_pending is True
    assert DEFAULT_POLICY.minimum_balance == {}
    assert DEFAULT_POLICY.fx_buffer_percent == 2
    assert DEFAULT_POLICY.hold_for == timedelta(days=7)
