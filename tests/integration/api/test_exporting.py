"""A period over HTTP: what is refused, and that nothing is sent of what can't be read whole."""

import pytest

from handlers import statement
from store.database import DatabaseUnavailableError
from tests.support.caller import Caller, error_of


@pytest.mark.parametrize(
    "query, code, param",
    [
        ("", "parameter_missing", "from"),
        ("?from=2026-11-01", "parameter_missing", "to"),
        ("?to=2026-11-01", "parameter_missing", "from"),
        ("?from=2026-11-01&to=2026-11-31", "parameter_invalid", "to"),
        ("?from=2026-02-29&to=2026-11-01", "parameter_invalid", "from"),
        ("?from=2026-11-02&to=2026-11-01", "parameter_invalid", "to"),
        ("?from=20261101&to=2026-11-02", "parameter_invalid", "from"),
        ("?from=9999-12-31&to=9999-12-31", "parameter_invalid", "from"),
        ("?from=2026-11-01&to=2026-11-02&to=2026-11-03", "parameter_invalid", "to"),
        ("?from_=2026-11-01&to=2026-11-02", "parameter_missing", "from"),
        ("?from=2026-11-01&to=2026-11-02&kind=refund", "parameter_unknown", "kind"),
    ],
)
def test_what_is_no_period_is_refused(
    shared_caller: Caller, query: str, code: str, param: str
) -> None:
    answer = shared_caller.get(f"/export.csv{query}")
    assert answer.status_code == 400
    assert (error_of(answer)["code"], error_of(answer)["param"]) == (code, param)


def test_a_day_is_a_period_and_nothing_but_a_head_may_be_asked_for(shared_caller: Caller) -> None:
    query = "/export.csv?from=2026-11-01&to=2026-11-01"
    assert shared_caller.get(query).status_code == 200
    head = shared_caller.client.head(
        f"/api{query}", headers={"Authorization": "Bearer token-of-read-0123456789"}
    )
    assert (head.status_code, head.get_data()) == (200, b"")
    head.close()


def test_a_database_that_fails_half_way_gives_no_half_file(
    sqlite_caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite_caller.stage.wish(sqlite_caller.stage.paid(None, 300))

    def goes_away(*_: object) -> object:
        raise DatabaseUnavailableError("gone")

    # The last thing that is read.
    monkeypatch.setattr(statement, "exposure_at", goes_away)
    day = sqlite_caller.stage.now().date()
    answer = sqlite_caller.get(f"/export.csv?from={day}&to={day}")
    assert answer.status_code == 503
    assert error_of(answer)["code"] == "database_unavailable"
