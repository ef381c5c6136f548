"""Drives signed deliveries at a door from many connections, and counts what was answered.

It may not know what stands behind the door; every event id is used once.
"""

import json
import multiprocessing
import os
import socket
import threading
import time
from dataclasses import dataclass
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from typing import Final, TypeAlias

from tests.support.stripe_events import build_body, sign

GENERATORS: Final = 2
START_TIMEOUT_SECONDS: Final = 30
SOCKET_TIMEOUT_SECONDS: Final = 30
PADDING: Final = "x" * 2_500
"""Makes the body about as large as an event with a charge in it: 3 kB."""

Sample: TypeAlias = tuple[float, int]
"""Latency in milliseconds, and the status that came back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """What one round brought. Latencies in milliseconds, as the client saw them."""

    answered: int
    seconds: float
    statuses: frozenset[int]
    latencies_ms: tuple[float, ...]

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return self.answered / self.seconds

    def percentile_ms(self, percent: int) -> float:
        """The latency that `percent` per cent of the answers kept to."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def drive(port: int, *, connections: int, seconds: float) -> LoadResult:
    """Send deliveries one after another over each of `connections` for `seconds`."""
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(GENERATORS)
    results: SimpleQueue[list[Sample]] = context.SimpleQueue()
    generators = [
        context.Process(
            target=_generate, args=(port, connections // GENERATORS, seconds, ready, results)
        )
        for _ in range(GENERATORS)
    ]
    for generator in generators:
        generator.start()
    samples = [sample for _ in generators for sample in results.get()]
    for generator in generators:
        generator.join()
    return LoadResult(
        answered=len(samples),
        seconds=seconds,
        statuses=frozenset(status for _, status in samples),
        latencies_ms=tuple(latency for latency, _ in samples),
    )


def _generate(
    port: int,
    connections: int,
    seconds: float,
    ready: Barrier,
    results: "SimpleQueue[list[Sample]]",
) -> None:
    samples: list[list[Sample]] = [[] for _ in range(connections)]
    # A process needs a second to import its modules; the clock starts when both are there.
    ready.wait(START_TIMEOUT_SECONDS)
    end = time.monotonic() + seconds
    threads = [threading.Thread(target=_send_until, args=(port, end, mine)) for mine in samples]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put([sample for mine in samples for sample in mine])


def _send_until(port: int, end: float, samples: list[Sample]) -> None:
    template = build_body("evt_ID", padding=PADDING)
    unique = f"{os.getpid()}_{threading.get_ident()}"
    with socket.create_connection(("127.0.0.1", port), SOCKET_TIMEOUT_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = 0
        while (sent := time.monotonic()) < end:
            number += 1
            body = template.replace(b"evt_ID", f"evt_{unique}_{number}".encode())
            connection.sendall(_request(body))
            status = _read_status(connection)
            samples.append(((time.monotonic() - sent) * 1000, status))


def _request(body: bytes) -> bytes:
    head = (
        "POST /webhooks/stripe HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Stripe-Signature: {sign(body)}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _read_status(connection: socket.socket) -> int:
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _receive(connection)
    head, _, rest = answer.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ),
        0,
    )
    while len(rest) < length:
        rest += _receive(connection)
    if rest:
        json.loads(rest)
    return int(head.split(b" ", 2)[1])


def _receive(connection: socket.socket) -> bytes:
    chunk = connection.recv(65536)
    if not chunk:
        raise ConnectionError("the server closed the connection in the middle of a run")
    return chunk
