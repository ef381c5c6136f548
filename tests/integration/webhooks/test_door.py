"""Every delivery gets the one answer that is right for it, and only verified events become rows."""

import gzip
import json
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from refunds.clock import utc_now
from refunds.ids import EventId
from store.database import Database
from store.group_commit import InboxRecorder
from store.inbox import counts, event_deliveries, get_event
from tests.support.stripe_events import OTHER_SECRET, SECRET, build_body, build_event, sign
from webhooks.door import MAX_BODY_BYTES, PATH, build_blueprint


def post(
    client: FlaskClient, body: bytes, signature: str | None, **more_headers: str
) -> TestResponse:
    headers = {name.replace("_", "-"): value for name, value in more_headers.items()}
    if signature is not None:
        headers["Stripe-Signature"] = signature
    return client.post(PATH, data=body, headers=headers)


def deliver(client: FlaskClient, body: bytes, secret: str = SECRET) -> TestResponse:
    return post(client, body, sign(body, secret))


def rows(database: Database) -> int:
    with database.reading() as unit:
        return sum(counts(unit).by_state.values())


def error_of(response: TestResponse) -> dict[str, Any]:
    assert response.json is not None
    error = response.json["error"]
    assert set(error) == {"type", "code", "message", "param"}, "Stripe's shape"
    assert isinstance(error, dict)
    return error


def test_an_event_is_stored_as_it_came_and_its_redelivery_is_called_one(
    client: FlaskClient, database: Database
) -> None:
    body = build_body("evt_1")
    answers = [deliver(client, body), deliver(client, body, OTHER_SECRET)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.json for answer in answers] == [
        {"received": True, "duplicate": False},
        {"received": True, "duplicate": True},
    ]
    with database.reading() as unit:
        event = get_event(unit, EventId("evt_1"))
        again = event_deliveries(unit, EventId("evt_1"))
    assert (event.body, event.secret_index, event.deliveries) == (body, 0, 2)
    assert event.account == "acct_1Door"
    assert [delivery.secret_index for delivery in again] == [1]


def test_unknown_types_and_either_livemode_are_recorded_not_judged(
    client: FlaskClient, database: Database
) -> None:
    for number, live in enumerate([True, False]):
        body = build_body(f"evt_{number}", type="invented.later", livemode=live)
        assert deliver(client, body).status_code == 200
    assert rows(database) == 2


@pytest.mark.parametrize(
    "signature, code",
    [
        (lambda body: None, "signature_missing"),
        (lambda body: "t=1", "signature_malformed"),
        (lambda body: "t=1,v1=\u00fc", "signature_malformed"),
        (lambda body: sign(body, "whsec_wrong"), "signature_mismatch"),
        (lambda body: sign(body + b" "), "signature_mismatch"),
        (lambda body: sign(body, at=utc_now() - timedelta(seconds=302)), "signature_too_old"),
        (lambda body: sign(body, at=utc_now() + timedelta(seconds=302)), "signature_in_future"),
    ],
)
def test_what_stripe_did_not_sign_now_is_refused_and_leaves_no_row(
    client: FlaskClient, database: Database, signature: Any, code: str
) -> None:
    body = build_body()
    answer = post(client, body, signature(body))
    assert answer.status_code == 400
    assert error_of(answer)["code"] == code
    assert rows(database) == 0


@pytest.mark.parametrize(
    "body, param",
    [
        (b"", None),
        (b"null", None),
        (b"[]", None),
        (build_body(id="evt_\x00"), "id"),
        (build_body(type="nul\x00"), "type"),
        (build_body(created=10**18), "created"),
        (build_body(created=10**30), None),
        (build_body(data=None), "data.object"),
        (build_body(object="charge"), "object"),
        (b"[" * 200_000, None),
    ],
)
def test_signed_but_no_event_is_refused_and_leaves_no_row(
    client: FlaskClient, database: Database, body: bytes, param: str | None
) -> None:
    answer = deliver(client, body)
    assert answer.status_code == 400
    error = error_of(answer)
    assert (error["code"], error["param"]) == ("not_an_event", param)
    assert rows(database) == 0


def test_a_body_that_is_not_utf8_is_refused(client: FlaskClient) -> None:
    answer = post(client, b"\xff\xfe", "t=1,v1=00")
    assert (answer.status_code, error_of(answer)["code"]) == (400, "body_not_utf8")


def event_of_size(size: int) -> bytes:
    empty = len(build_body(padding=""))
    return build_body(padding="x" * (size - empty))


@pytest.mark.parametrize("extra, status", [(0, 200), (1, 413)])
def test_the_largest_body_is_one_mebibyte(client: FlaskClient, extra: int, status: int) -> None:
    body = event_of_size(MAX_BODY_BYTES + extra)
    assert len(body) == MAX_BODY_BYTES + extra
    assert deliver(client, body).status_code == status


def test_a_bomb_is_not_unpacked(client: FlaskClient, database: Database) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < MAX_BODY_BYTES
    answer = post(client, bomb, "t=1,v1=00", Content_Encoding="gzip")
    assert answer.status_code == 400
    assert rows(database) == 0


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD"])
def test_only_post_is_answered(client: FlaskClient, method: str) -> None:
    answer = client.open(PATH, method=method)
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    if method != "HEAD":
        assert error_of(answer)["code"] == "method_not_allowed"


def test_an_unknown_path_is_answered_as_json(client: FlaskClient) -> None:
    answer = client.post("/webhooks/other")
    assert (answer.status_code, error_of(answer)["type"]) == (404, "invalid_request_error")


def test_when_the_table_is_gone_stripe_is_asked_to_come_back(
    client: FlaskClient, database: Database
) -> None:
    with database.unit_of_work() as unit:
        unit.connection().execute(text("ALTER TABLE inbox_event RENAME TO elsewhere"))
    answer = deliver(client, build_body())
    assert answer.status_code == 503
    assert error_of(answer)["type"] == "api_error"
    with database.unit_of_work() as unit:
        unit.connection().execute(text("ALTER TABLE elsewhere RENAME TO inbox_event"))
    assert deliver(client, build_body()).json == {"received": True, "duplicate": False}


def test_a_full_disk_is_a_503_until_there_is_room(sqlite_url: str) -> None:
    database = Database(sqlite_url)

    def limit_pages(pages: int) -> int:
        # The pool has one connection so far, so this is the one the door will use.
        with database.unit_of_work() as unit:
            set_to = unit.connection().execute(text(f"PRAGMA max_page_count={pages}")).scalar()
            assert isinstance(set_to, int)
            return set_to

    app = Flask(__name__)
    app.register_blueprint(build_blueprint([SECRET], InboxRecorder(database).record, utc_now))
    client = app.test_client()
    limit_pages(1)  # SQLite raises it to what is in use
    body = event_of_size(500_000)
    assert deliver(client, body).status_code == 503
    assert rows(database) == 0
    limit_pages(100_000)
    assert deliver(client, body).json == {"received": True, "duplicate": False}
    database.dispose()


def test_the_log_holds_neither_body_nor_secret_nor_signature(
    client: FlaskClient, database: Database
) -> None:
    body = build_body(data={"object": {"card": "4242424242424242"}})
    signature = sign(body)
    with capture_logs() as entries:
        post(client, body, signature)
        post(client, body, sign(body, "whsec_wrong"))
        post(client, body + b"x", signature)
        deliver(client, body[:-1])
        with database.unit_of_work() as unit:
            unit.connection().execute(text("ALTER TABLE inbox_event RENAME TO elsewhere"))
        post(client, body, signature)
    assert len(entries) == 5
    for word in ("4242", SECRET, "whsec_", signature.split("v1=")[1]):
        assert word not in str(entries)


@pytest.mark.parametrize("secrets", [[], [""], [SECRET, " "]])
def test_a_door_without_a_secret_is_not_built(secrets: list[str]) -> None:
    with pytest.raises(ValueError, match="secret"):
        build_blueprint(secrets, lambda delivery: True, utc_now)


FIELDS = ["id", "object", "type", "created", "livemode", "account", "api_version", "data", "more"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
BODIES = st.binary(max_size=200) | st.dictionaries(st.sampled_from(FIELDS), VALUES).map(
    lambda changes: json.dumps(build_event() | changes).encode()
)
SIGNATURES = st.sampled_from(["right", "none"]) | st.text(
    # What a header may carry over HTTP; a line break can't get there.
    alphabet=st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"),
    max_size=100,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES, signature=SIGNATURES)
def test_no_input_makes_a_5xx_and_no_unverified_input_a_row(
    client: FlaskClient, database: Database, body: bytes, signature: str
) -> None:
    before = rows(database)
    header: str | None = signature
    if signature == "none":
        header = None
    elif signature == "right":
        # Signed as a forger with the secret would: over bytes that are no text, too.
        header = sign(body.decode("utf-8", "replace"))
    answer = post(client, body, header)
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        assert rows(database) == before
    else:
        assert signature == "right"
