"""Fixtures for the tests of this folder."""

import pytest

from tests.unit.sandbox.money_stage import Stage, build_stage


@pytest.fixture
def stage() -> Stage:
    """A platform with 1000.00 and no fees to Stripe."""
    return build_stage()
