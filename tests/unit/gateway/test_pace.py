"""The pace of calls: counted over every second of a busy minute, on a clock the test turns."""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange import Call, read_call
from gateway.pace import LONGEST_WAIT_SECONDS, Pace

A_SECOND = 1 - 1e-6


@dataclass
class Clock:
    """Sleeping is the only thing that takes time."""

    now: float = 1_000.0
    begun: list[tuple[float, str]] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def pace(self, total: int, per_endpoint: int) -> Pace:
        return Pace(total, per_endpoint, clock=self, sleep=self.sleep)

    def call(self, pace: Pace, endpoint: str = "get /a", *, moves_money: bool = False) -> None:
        pace.wait(endpoint, moves_money=moves_money)
        self.begun.append((self.now, endpoint))

    def busiest_second(self, endpoint: str | None = None) -> int:
        times = [at for at, to in self.begun if endpoint in (None, to)]
        seconds = (sum(1 for at in times if start <= at < start + A_SECOND) for start in times)
        return max(seconds, default=0)


@dataclass
class Crowd(Clock):
    """Many threads: while one of them sleeps, the others go on."""

    slept: float = 0.0

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept = seconds

    def call(self, pace: Pace, endpoint: str = "get /a", *, moves_money: bool = False) -> None:
        self.slept = 0.0
        pace.wait(endpoint, moves_money=moves_money)
        self.begun.append((self.now + self.slept, endpoint))

    def begin_at(self, endpoint: str) -> list[float]:
        return [at for at, to in self.begun if to == endpoint]


def test_an_idle_process_waits_for_nothing() -> None:
    clock = Clock()
    pace = clock.pace(40, 10)
    for _ in range(10):
        clock.call(pace)
    assert clock.now == 1_000.0


@given(
    calls=st.lists(st.sampled_from(["get /a", "get /b", "post /c"]), min_size=1, max_size=200),
    pauses=st.randoms(use_true_random=False),
)
def test_no_second_has_more_than_allowed(calls: list[str], pauses: random.Random) -> None:
    clock = Clock()
    pace = clock.pace(9, 4)
    for endpoint in calls:
        clock.now += pauses.choice([0, 0, 0.01, 0.3])
        clock.call(pace, endpoint, moves_money=endpoint.startswith("post"))
    assert clock.busiest_second() <= 9
    assert all(clock.busiest_second(endpoint) <= 4 for endpoint in set(calls))


def test_under_load_nearly_all_that_is_allowed_is_used() -> None:
    # 40 a second, and one of them kept for a call that moves money.
    clock = Clock()
    pace = clock.pace(40, 40)
    while clock.now < 1_010:
        for number in range(9):
            clock.call(pace, f"get /{number}")
        clock.call(pace, "post /refunds", moves_money=True)
    assert len(clock.begun) >= 0.95 * 40 * 10


def test_a_call_that_moves_money_never_waits_for_reads() -> None:
    # One of forty is kept: the fortieth read waits for the next second.
    clock = Clock()
    pace = clock.pace(40, 10)
    for number in range(40):
        clock.call(pace, f"get /{number % 6}")
    assert [clock.begun[38][0], clock.begun[39][0]] == pytest.approx([1_000.0, 1_001.0])
    clock = Clock()
    pace = clock.pace(40, 10)
    for number in range(39):
        clock.call(pace, f"get /{number % 6}")
    assert clock.now == 1_000.0
    clock.call(pace, "post /v1/refunds", moves_money=True)
    assert clock.now == 1_000.0
    clock.call(pace, "get /7")
    assert clock.now == pytest.approx(1_001.0)


@pytest.mark.parametrize(
    "total, reads",
    [(2, 1), (3, 2), (8, 7), (19, 18), (40, 39)],
)
def test_one_call_is_kept_however_few_they_are_and_however_many_reads_wait(
    total: int, reads: int
) -> None:
    crowd = Crowd()
    pace = crowd.pace(total, 40)
    for _ in range(reads + 3):
        crowd.call(pace, "get /a")
    assert crowd.begin_at("get /a")[:reads] == [1_000.0] * reads
    assert min(crowd.begin_at("get /a")[reads:]) >= 1_001.0, "three more reads wait already"
    crowd.call(pace, "post /v1/refunds", moves_money=True)
    assert crowd.begin_at("post /v1/refunds") == [1_000.0]
    crowd.call(pace, "post /v1/refunds", moves_money=True)
    assert crowd.begin_at("post /v1/refunds")[1] >= 1_001.0, "one is kept, not two"
    assert crowd.busiest_second() <= total


def test_one_call_a_second_is_for_whoever_comes_first() -> None:
    crowd = Crowd()
    pace = crowd.pace(1, 1)
    crowd.call(pace, "get /a")
    crowd.call(pace, "post /v1/refunds", moves_money=True)
    assert crowd.begin_at("post /v1/refunds") == pytest.approx([1_001.0])


@given(
    calls=st.lists(
        st.tuples(st.sampled_from(["get /a", "get /b", "post /c"]), st.sampled_from([0, 0.1, 0.6])),
        max_size=120,
    ),
    total=st.integers(1, 12),
)
def test_threads_that_wait_together_keep_below_it_too(
    calls: list[tuple[str, float]], total: int
) -> None:
    crowd = Crowd()
    pace = crowd.pace(total, 4)
    for endpoint, pause in calls:
        crowd.now += pause
        # As in a worker: so many threads, each of which waits for one call.
        waiting = sorted(at for at, _ in crowd.begun if at > crowd.now)
        if len(waiting) >= 4:
            crowd.now = waiting[-4]
        crowd.call(pace, endpoint, moves_money=endpoint.startswith("post"))
    assert crowd.busiest_second() <= total
    assert all(crowd.busiest_second(to) <= 4 for _, to in crowd.begun)


def test_so_many_workers_share_it() -> None:
    clock = Clock()
    pace = clock.pace(40, 10)
    pace.share(5)
    for _ in range(20):
        clock.call(pace)
    # 10 / 5 = 2 a second.
    assert clock.busiest_second() == 2
    assert clock.now == pytest.approx(1_009.0)


def test_less_than_one_a_second_is_one_in_several_seconds() -> None:
    clock = Clock()
    pace = clock.pace(40, 10)
    pace.share(30)
    for _ in range(3):
        clock.call(pace)
    # 10 / 30 a second is one in 3 seconds.
    assert [at for at, _ in clock.begun] == pytest.approx([1_000.0, 1_003.0, 1_006.0])


def test_nobody_waits_longer_than_a_lease_allows() -> None:
    clock = Clock()
    pace = clock.pace(40, 10)
    pace.share(100)
    clock.call(pace)
    clock.call(pace)
    assert clock.now == pytest.approx(1_000.0 + LONGEST_WAIT_SECONDS)


def test_a_429_halves_it_and_it_comes_back_by_and_by() -> None:
    clock = Clock()
    pace = clock.pace(40, 10)

    def per_second() -> int:
        clock.now += 2
        began = len(clock.begun)
        start = clock.now
        while clock.now < start + A_SECOND:
            clock.call(pace)
        return len(clock.begun) - began - 1

    assert per_second() == 10
    pace.slow_down()
    pace.slow_down()  # of the same second: the same limit
    assert per_second() == 5
    clock.now += 20
    assert 6 <= per_second() <= 8
    clock.now += 60
    assert per_second() == 10


def test_it_never_comes_to_a_standstill() -> None:
    clock = Clock()
    pace = clock.pace(40, 16)
    for _ in range(10):
        clock.now += 1.1
        pace.slow_down()
    clock.call(pace)
    clock.call(pace)
    assert clock.begun[1][0] - clock.begun[0][0] <= 1


def test_an_endpoint_is_a_path_whatever_id_is_in_it() -> None:
    assert read_call("charge.read", "/v1/charges/{id}", subject="ch_1").endpoint == (
        "get /v1/charges/{id}"
    )
    assert read_call("refunds.list", "/v1/refunds", subject="ch_1").endpoint == "get /v1/refunds"
    reversal = Call(
        name="reversal.create",
        method="post",
        path="/v1/transfers/tr_1/reversals",
        subject="tr_1",
    )
    assert reversal.endpoint == "post /v1/transfers/{id}/reversals"
