"""The meter lets through a burst and then an even rate, whoever counts along."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.meter import Meter
from tests.support.repository import ROOT


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 50_000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("per_second, burst", [(100, 100), (1, 1), (3, 7), (1_000, 10)])
def test_a_burst_is_let_through_and_then_an_even_rate(per_second: int, burst: int) -> None:
    clock = Clock()
    meter = Meter(per_second=per_second, burst=burst, clock=clock)
    assert [meter.take(0) for _ in range(burst)] == [0.0] * burst
    too_soon = meter.take(0)
    assert too_soon == pytest.approx(1 / per_second, rel=0.01)
    assert meter.take(1) == 0.0, "another slot"
    clock.now += too_soon
    assert meter.take(0) == 0.0
    assert meter.take(0) > 0
    clock.now += 1_000
    assert [meter.take(0) for _ in range(burst)] == [0.0] * burst
    assert meter.take(0) > 0, "who was away for long may not come more often than a burst"


@given(
    st.lists(st.floats(min_value=0, max_value=0.5), max_size=200),
    st.integers(min_value=1, max_value=50),
    st.integers(min_value=1, max_value=20),
)
def test_never_more_than_burst_and_rate(steps: list[float], per_second: int, burst: int) -> None:
    clock = Clock()
    meter = Meter(slots=1, per_second=per_second, burst=burst, clock=clock)
    let_in = 0
    for step in steps:
        clock.now += step
        let_in += meter.take(0) == 0.0
    assert let_in <= burst + per_second * (clock.now - 50_000.0) + 1


def slow_clock() -> float:
    """A clock that is looked at between reading a slot and writing it: whoever isn't kept waiting
    comes in here.
    """
    time.sleep(0.0005)
    return 50_000.0


def test_threads_count_together() -> None:
    meter = Meter(per_second=1, burst=50, clock=slow_clock)
    let_in: list[int] = []

    def ask() -> None:
        let_in.append(sum(meter.take(0) == 0.0 for _ in range(20)))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(let_in) == 50


def test_forked_processes_count_together_also_when_one_is_killed() -> None:
    meter = Meter(per_second=1, burst=200, clock=slow_clock)
    readers = []
    for child in range(4):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            let_in = sum(meter.take(0) == 0.0 for _ in range(100))
            os.write(writer, str(let_in).encode())
            # One dies without a word, as a process that is killed does.
            os.kill(os.getpid(), signal.SIGKILL) if child == 0 else os._exit(0)
        os.close(writer)
        readers.append((pid, reader))
    counted = []
    for pid, reader in readers:
        counted.append(int(os.read(reader, 100)))
        os.close(reader)
        os.waitpid(pid, 0)
    assert sum(counted) == 200
    assert meter.take(0) > 0, "the parent counts in the same memory"


def test_gunicorn_makes_the_meter_before_it_forks() -> None:
    # In a process of its own: in this one everything is imported already.
    done = subprocess.run(
        [sys.executable, "-c", "import runtime.gunicorn_conf, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=60,
    )
    loaded = done.stdout.split()
    assert "runtime.rates" in loaded
    assert "runtime.web" not in loaded, "that is made in each process"
