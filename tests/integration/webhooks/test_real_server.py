"""A real gunicorn under load, crashes and bad clients: nothing it acknowledged is lost."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import requests

from refunds.ids import EventId
from runtime.gunicorn_worker import REQUEST_SECONDS, SILENCE_SECONDS
from store.database import Database
from store.inbox import event_deliveries, get_event, list_events
from store.migrate import upgrade
from tests.support.postgres import PostgresServer
from tests.support.stripe_events import build_body, sign
from tests.support.web import WebServer, free_port, running_web

PATH = "/webhooks/stripe"
CONNECTIONS = 16


def deliver(
    server: WebServer, event: str, session: requests.Session | None = None
) -> requests.Response:
    body = build_body(event)
    return (session or requests).post(
        server.url + PATH, data=body, headers={"Stripe-Signature": sign(body)}, timeout=20
    )


def eventually(condition: Callable[[], bool], *, within_seconds: float = 20) -> None:
    deadline = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.1)


@contextmanager
def opened(url: str) -> Iterator[Database]:
    database = Database(url)
    try:
        yield database
    finally:
        database.dispose()


def stored_events(url: str) -> set[str]:
    found: set[str] = set()
    with opened(url) as database, database.reading() as unit:
        before: EventId | None = None
        while page := list_events(unit, limit=200, before=before):
            found |= {event.event for event in page}
            before = page[-1].event
    return found


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[WebServer]:
    """Two processes of gunicorn on a database of each kind."""
    with running_web(database_url, tmp_path) as running:
        yield running


def test_eighty_deliveries_over_sixteen_connections_are_one_event(
    server: WebServer, database_url: str
) -> None:
    start = threading.Barrier(CONNECTIONS)

    def five_times(_connection: int) -> list[tuple[int, bool]]:
        with requests.Session() as session:
            start.wait(timeout=20)
            answers = [deliver(server, "evt_same", session) for _ in range(5)]
        return [(answer.status_code, answer.json()["duplicate"]) for answer in answers]

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        answers = [answer for some in pool.map(five_times, range(CONNECTIONS)) for answer in some]
    assert len(answers) == 80
    assert {status for status, _ in answers} == {200}
    assert sum(not duplicate for _, duplicate in answers) == 1
    assert stored_events(database_url) == {"evt_same"}
    with opened(database_url) as database, database.reading() as unit:
        assert get_event(unit, EventId("evt_same")).deliveries == 80
        assert len(event_deliveries(unit, EventId("evt_same"), limit=200)) == 79


def acknowledge_until_dead(
    server: WebServer, acknowledged: list[str], prefix: str, enough: threading.Event
) -> None:
    with requests.Session() as session, suppress(requests.RequestException):
        for number in range(100_000):
            event = f"evt_{prefix}_{number}"
            if deliver(server, event, session).status_code == 200:
                acknowledged.append(event)
            if len(acknowledged) >= 200:
                enough.set()


def test_killing_the_web_under_load_loses_no_acknowledged_event(
    database_url: str, tmp_path: Path
) -> None:
    acknowledged: list[str] = []
    enough = threading.Event()
    with running_web(database_url, tmp_path) as server:
        threads = [
            threading.Thread(
                target=acknowledge_until_dead,
                args=(server, acknowledged, str(number), enough),
            )
            for number in range(CONNECTIONS)
        ]
        for thread in threads:
            thread.start()
        assert enough.wait(timeout=60)
        server.kill()
        for thread in threads:
            thread.join(timeout=60)
    assert len(acknowledged) >= 200
    assert set(acknowledged) - stored_events(database_url) == set()
    with running_web(database_url, tmp_path, workers=1) as server:
        assert deliver(server, "evt_after").json() == {"received": True, "duplicate": False}


def half_request(server: WebServer, *, with_head: bool) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    body = build_body()
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nStripe-Signature: {sign(body)}\r\n"
    if with_head:
        head += f"Content-Length: {len(body)}\r\n\r\n{body[:50].decode()}"
    connection.sendall(head.encode())
    return connection


@pytest.mark.parametrize("with_head", [True, False], ids=["half a body", "half a head"])
def test_two_hundred_stalled_clients_do_not_close_the_door(
    sqlite_url: str, tmp_path: Path, with_head: bool
) -> None:
    with running_web(sqlite_url, tmp_path) as server, ExitStack() as stack:
        stalled = [
            stack.enter_context(half_request(server, with_head=with_head)) for _ in range(200)
        ]
        started = time.monotonic()
        assert deliver(server, "evt_between").status_code == 200
        assert time.monotonic() - started < 10
        # Each is told or cut off, and gives its thread back.
        for connection in stalled:
            answer = connection.recv(4096)
            assert not answer or answer.startswith(b"HTTP/1.1 400 ")
        assert stored_events(sqlite_url) == {"evt_between"}


def test_a_client_that_drips_is_cut_off_in_the_end(sqlite_url: str, tmp_path: Path) -> None:
    with (
        running_web(sqlite_url, tmp_path, workers=1) as server,
        half_request(server, with_head=True) as connection,
    ):
        started = time.monotonic()
        connection.settimeout(1)
        answer = None
        while answer is None:
            with suppress(TimeoutError):
                answer = connection.recv(4096)
            with suppress(OSError):
                connection.send(b"x")
            assert time.monotonic() - started < REQUEST_SECONDS + 10, "still dripping"
        assert not answer or answer.startswith(b"HTTP/1.1 400 ")
        assert time.monotonic() - started > SILENCE_SECONDS, "dripping is not silence"


def test_a_body_without_a_length_is_read_and_limited(sqlite_url: str, tmp_path: Path) -> None:
    def chunks(body: bytes) -> Iterator[bytes]:
        yield from (body[at : at + 1000] for at in range(0, len(body), 1000))

    with running_web(sqlite_url, tmp_path, workers=1) as server:
        small, large = build_body(), build_body(padding="x" * 1_100_000)
        statuses = [
            requests.post(
                server.url + PATH,
                data=chunks(body),
                headers={"Stripe-Signature": sign(body)},
                timeout=20,
            ).status_code
            for body in (small, large)
        ]
    assert statuses == [200, 413]


def test_without_its_database_the_door_asks_stripe_to_come_back_and_recovers(
    durable_postgres: PostgresServer, tmp_path: Path
) -> None:
    url = durable_postgres.url()
    upgrade(url)
    with running_web(url, tmp_path) as server:
        assert deliver(server, "evt_before").status_code == 200
        durable_postgres.crash()
        assert deliver(server, "evt_lost").status_code == 503
        assert requests.get(f"{server.url}/healthz", timeout=10).status_code == 200
        readiness = requests.get(f"{server.url}/readyz", timeout=10)
        assert (readiness.status_code, readiness.json()["checks"]["database"]) == (
            503,
            "unavailable",
        )
        durable_postgres.start()
        eventually(lambda: deliver(server, "evt_lost").status_code == 200)
        # Every process and every pooled connection, not only the first one that was tried.
        assert {deliver(server, f"evt_{number}").status_code for number in range(40)} == {200}
    assert {"evt_before", "evt_lost"} <= stored_events(url)


def test_sigterm_ends_within_ten_seconds_and_loses_nothing(
    database_url: str, tmp_path: Path
) -> None:
    acknowledged: list[str] = []
    enough = threading.Event()
    with running_web(database_url, tmp_path) as server:
        threads = [
            threading.Thread(
                target=acknowledge_until_dead, args=(server, acknowledged, str(number), enough)
            )
            for number in range(4)
        ]
        for thread in threads:
            thread.start()
        assert enough.wait(timeout=60)
        started = time.monotonic()
        server.process.terminate()
        assert server.process.wait(timeout=20) == 0
        assert time.monotonic() - started < 10
        for thread in threads:
            thread.join(timeout=60)
    assert set(acknowledged) - stored_events(database_url) == set()


def test_the_server_listens_where_it_is_told_and_opens_no_control_socket(
    sqlite_url: str, tmp_path: Path
) -> None:
    port = free_port()
    with running_web(sqlite_url, tmp_path, workers=1, port=port) as server:
        assert server.port == port
        sockets = [path for path in tmp_path.rglob("*") if path.is_socket()]
        home = Path(os.environ.get("HOME", "/nonexistent")) / ".gunicorn"
        log = server.log.read_text()
    assert sockets == []
    assert str(home) not in log
    assert "control socket" not in log.lower()
