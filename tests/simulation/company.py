"""The processes of an installation: workers and a web process over one database and one Stripe.

It starts their work and lets it go on or die; what they do is the project's own. It may not choose.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache

from gateway.client import StripeGateway
from handlers.services import Services
from refunds.errors import SluiceError
from refunds.money import Currency
from refunds.policy import OnDeadline, Order, Partial, Policy, PolicyBook
from runtime.worker import STEPS, Step
from sandbox.inprocess import BASE
from store.database import Database, DatabaseUnavailableError
from store.due import anything_due
from store.installation import pin_platform
from tests.simulation.boundaries import SteppedClient, SteppedDatabase, quicken
from tests.simulation.crew import Fate, Turn
from tests.simulation.scene import Scene
from tests.simulation.watch import Watch

KEY = "sk_test_" + "simulation0123"
STEP_NAMES = ("recover", "collect", "events", "lane", "guard", "decide", "chore")
assert len(STEP_NAMES) == len(STEPS), "every step of the worker has a name here"
BY_NAME: dict[str, Step] = dict(zip(STEP_NAMES, STEPS, strict=True))


@dataclass(slots=True)
class Company:
    """Everything on our side. `turns` are the pieces of work under way."""

    scene: Scene
    watch: Watch
    database: SteppedDatabase
    gateway: StripeGateway
    chance: random.Random
    policy: Policy
    turns: list[Turn] = field(default_factory=list)
    _lives: dict[str, int] = field(default_factory=dict)

    def services(self, process: str) -> Services:
        """What a process has; its name tells its lives apart."""
        return Services(
            database=self.database,
            gateway=self.gateway,
            worker=f"{process}.{self._lives.get(process, 0)}",
            policies=PolicyBook(
                default={each.name: getattr(self.policy, each.name) for each in fields(Policy)}
            ),
            clock=self.scene.now,
            jitter=self.chance.random,
        )

    def start(self, process: str, name: str, work: Callable[[Services], object]) -> Turn:
        """Begin a piece of work in a process; it stands at its beginning."""
        services = self.services(process)

        def whole() -> str:
            return str(work(services))

        turn = Turn(process=process, name=name, work=whole)
        self.turns.append(turn)
        if name == "lane":
            self.watch.follow(turn)
        return turn

    def carry_on(self, turn: Turn, boundaries: int, fate: Fate = Fate.NOTHING) -> None:
        """Let a piece of work go on for a while."""
        turn.carry_on(boundaries, fate)
        if not turn.ended:
            self.scene.note(f"{turn.process:<8}{turn.name} waits at {turn.place}")
            return
        self.turns.remove(turn)
        self.watch.leave(turn)
        how = turn.result if turn.error is None else f"{type(turn.error).__name__}: {turn.error}"
        self.scene.note(f"{turn.process:<8}{turn.name} ended: {how[:150]}")
        if turn.result == "crashed":
            self.crash(turn.process)
        if turn.error is not None and not _expected(turn):
            self.watch.broken.append(f"{turn.process} {turn.name} raised {how}")

    def crash(self, process: str) -> None:
        """End a process with everything it has under way; its successor has another name."""
        self.scene.note(f"{process:<8}crashes")
        for turn in [each for each in self.turns if each.process == process]:
            turn.crash()
            self.turns.remove(turn)
            self.watch.leave(turn)
        self._lives[process] = self._lives.get(process, 0) + 1

    def finish(self) -> None:
        """Let everything under way come to its end."""
        while self.turns:
            self.carry_on(self.turns[0], 10_000)

    def work(self, rounds: int = 60) -> None:
        """Do everything that is due, as one worker that nothing disturbs."""
        self.finish()
        for _ in range(rounds):
            with self.watch.database.reading() as unit:
                if not anything_due(unit, self.scene.now()):
                    return
            for name, step in BY_NAME.items():
                turn = self.start("worker-1", name, step)
                self.carry_on(turn, 10_000)
        self.watch.broken.append("the worker never comes to rest")

    def dismiss(self) -> None:
        """End every thread: nothing may outlive the simulation."""
        for turn in self.turns:
            turn.crash()
        self.turns.clear()
        self.gateway.close()
        self.database.dispose()
        self.watch.database.dispose()


def hire(scene: Scene, url: str, seed: int) -> Company:
    """Found an installation on this database."""
    plain, stepped = _ways_to(url)
    watch = Watch(scene=scene, database=plain)
    stepped.on_commit = watch.on_commit

    def on_answer(text: str) -> None:
        scene.note(f"stripe  {text}")
        watch.on_world()

    chance = random.Random(f"{seed}:jitter")
    company = Company(
        scene=scene,
        watch=watch,
        database=stepped,
        gateway=StripeGateway(
            KEY,
            api_base=BASE,
            http_client=SteppedClient(scene.sandbox, on_answer),
            clock=scene.now,
        ),
        chance=chance,
        policy=_policy(
            seed,
            Policy(
                starve_after=chance.choice([1, 3, 10]),
                count_own_pending=chance.random() < 0.8,
            ),
        ),
    )
    with company.database.unit_of_work() as unit:
        pin_platform(unit, company.gateway.read_platform(), scene.now())
    return company


@lru_cache(maxsize=2)
def _ways_to(url: str) -> tuple[Database, SteppedDatabase]:
    """Return the watch's and everybody else's way to a database.

    Worlds that are played in the same place one after another share them: to make a statement's
    text takes longer than to run it.
    """
    plain, stepped = Database(url), SteppedDatabase(url)
    quicken(plain._engine)
    return plain, stepped


def _policy(seed: int, plain: Policy) -> Policy:
    """Return the plain policy, or in half of the worlds one that uses everything there is."""
    chance = random.Random(f"{seed}:policy")
    if chance.random() < 0.5:
        return plain
    usd, eur = Currency("usd"), Currency("eur")
    return replace(
        plain,
        order=chance.choice(list(Order)),
        on_deadline=chance.choice(list(OnDeadline)),
        small_shortfall={usd: 2_000, eur: 2_000},
        covered_per_day={usd: 5_000, eur: 3_000},
        exposure_limit={usd: 6_000},
        partial=Partial(minimum={usd: 500, eur: 500}, parts=chance.choice([2, 3, 5])),
        review_above={usd: 20_000},
        minimum_balance={usd: chance.choice([0, 300])},
    )


def _expected(turn: Turn) -> bool:
    """What a process may meet without a bug: the database was away, or its caller was told why."""
    answered = isinstance(turn.error, SluiceError) and turn.process.startswith("web")
    return answered or isinstance(turn.error, DatabaseUnavailableError)
