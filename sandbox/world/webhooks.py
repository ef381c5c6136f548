"""Webhook endpoints, and which of them an event is for.

It decides who is told and may not send anything.
"""

from sandbox.errors import invalid, missing
from sandbox.shapes import JsonObject
from sandbox.world.core import API_VERSION, World
from sandbox.world.ids import token
from sandbox.world.shelves import Record


def register(
    world: World,
    *,
    url: str,
    connect: bool,
    enabled_events: list[str],
    secret: str | None = None,
    description: str | None = None,
    metadata: JsonObject | None = None,
    given: bool = False,
) -> Record:
    """A new endpoint with its own signing secret."""
    if not url.startswith(("http://", "https://")):
        raise invalid(
            "Invalid URL: An explicit scheme (such as https) must be provided.", param="url"
        )
    if not enabled_events:
        raise invalid("Missing required param: enabled_events.", param="enabled_events")
    endpoint_id = world.new_id("we")
    body: JsonObject = {
        "id": endpoint_id,
        "object": "webhook_endpoint",
        "api_version": API_VERSION,
        "application": None,
        "created": world.now(),
        "description": description,
        "enabled_events": list(enabled_events),
        "livemode": False,
        "metadata": metadata or {},
        "status": "enabled",
        "url": url,
    }
    return world.put(
        "webhook_endpoint",
        world.platform,
        body,
        secret=secret or f"whsec_{token(f'{world.seed}:{endpoint_id}', 32)}",
        connect=connect,
        given=given,
    )


def audience(world: World, event: Record) -> list[Record]:
    """The endpoints that an event is for, in the order they were registered."""
    from_connected = not world.is_platform(event.owner)
    return [
        endpoint
        for endpoint in world.shelves.of("webhook_endpoint", world.platform)
        if endpoint.hidden["connect"] == from_connected and _wants(endpoint, event.body["type"])
    ]


def resend(world: World, event: Record, endpoint_id: str | None) -> None:
    """Deliver an event again to one endpoint, or to all it is for."""
    endpoint = None
    if endpoint_id is not None:
        endpoint = world.shelves.owned("webhook_endpoint", world.platform, endpoint_id)
        if endpoint is None:
            raise missing("webhook_endpoint", endpoint_id, in_path=False, param="webhook_endpoint")
    for reteller in world.retellers:
        reteller(event, endpoint)


def _wants(endpoint: Record, event_type: str) -> bool:
    enabled = endpoint.body["enabled_events"]
    return endpoint.body["status"] == "enabled" and ("*" in enabled or event_type in enabled)
