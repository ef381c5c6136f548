"""A sandbox put together: one world, the API's door, the control desk and who delivers.

It wires parts and may not do the work of any; both front doors are built on it.
"""

from sandbox.api.door import Door, Wait
from sandbox.clock import Clock
from sandbox.control.desk import Courier, Desk
from sandbox.control.overview import snapshot
from sandbox.control.table import TABLE
from sandbox.shapes import JsonObject
from sandbox.world import accounts, webhooks
from sandbox.world.core import World
from sandbox.world.ids import token
from sandbox.world.shelves import Record


class Sandbox:
    """World, door and desk. `deliverer` makes whoever delivers the world's events."""

    def __init__(
        self,
        *,
        seed: int,
        clock: Clock,
        wait: Wait,
        api_key: str | None = None,
        webhook_secret: str | None = None,
    ) -> None:
        self.world = World(seed=seed, clock=clock)
        accounts.found(world=self.world, seed=seed)
        self.secret = webhook_secret or f"whsec_{token(f'{seed}:signing', 32)}"
        self.door = Door(self.world, wait=wait, api_key=api_key, interlude=self._play)
        self.desk = Desk(self.door, TABLE)

    def deliver_through(self, courier: Courier) -> None:
        """Let the desk know who delivers."""
        self.desk.courier = courier

    def listen(self, url: str, *, connect: bool, secret: str | None = None) -> Record:
        """Tell an endpoint of every event, of the platform or of connected accounts."""
        return webhooks.register(
            self.world,
            url=url,
            connect=connect,
            enabled_events=["*"],
            secret=secret or self.secret,
            given=True,
        )

    def control(self, method: str, path: str, body: JsonObject | None = None) -> JsonObject:
        """Carry out a control verb without HTTP; raises ValueError if it is refused."""
        status, answer = self.desk.handle(method, f"/_sandbox/{path.lstrip('/')}", body or {})
        if status >= 400:
            raise ValueError(answer["error"]["message"])
        return answer

    def snapshot(self) -> JsonObject:
        """The whole world as JSON: the same story gives the same snapshot."""
        with self.world.lock:
            return snapshot(self.door, self.desk.courier)

    def _play(self, step: JsonObject) -> object:
        return self.desk.play(step)
