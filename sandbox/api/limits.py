"""Rate limits: so many requests in any second, over all endpoints and per endpoint.

It counts requests and may not carry any out. Call it with the world locked.
"""

from collections import defaultdict, deque

from sandbox.api.fault_answers import rate_limited
from sandbox.world.core import World


class RateLimits:
    """The requests of the last second, by endpoint; limits are the world's switches."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._recent: defaultdict[str, deque[float]] = defaultdict(deque)

    def admit(self, endpoint: str) -> None:
        """Count a request; raises Stripe's 429 when there are too many."""
        switches = self._world.switches
        now = self._world.clock.now_exact()
        for name, limit, reason in (
            ("*", switches.rate_limit_per_second, "global-rate"),
            (endpoint, switches.rate_limit_per_endpoint, "endpoint-rate"),
        ):
            recent = self._recent[name]
            while recent and recent[0] <= now - 1:
                recent.popleft()
            if limit is not None and len(recent) >= limit:
                raise rate_limited(None, reason=reason)
        for name in ("*", endpoint):
            self._recent[name].append(now)
