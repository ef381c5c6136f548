"""Several disputes of one charge: what one of them took stays taken."""

import pytest

from sandbox.inprocess import InProcessSandbox


@pytest.mark.parametrize("first, disputed", [("lost", True), ("won", False)])
def test_an_inquiry_that_ends_does_not_undo_a_lost_dispute(first: str, disputed: bool) -> None:
    sandbox = InProcessSandbox()
    charge = sandbox.control("POST", "payments", {"amount": 5_000})["charge"]["id"]
    for kind, status in (("chargeback", first), ("inquiry", "warning_closed")):
        dispute = sandbox.control("POST", "disputes", {"charge": charge, "kind": kind})["id"]
        sandbox.control("POST", f"disputes/{dispute}/close", {"status": status})
    assert sandbox.world.shelves.get(charge).body["disputed"] is disputed
