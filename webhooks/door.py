"""`POST /webhooks/stripe`: verify, record, answer 2xx once the event is durable.

It may not do anything else: what an event means is found out behind the inbox, where there is time.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import structlog
from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from store.database import DatabaseUnavailableError
from store.inbox import Delivery
from webhooks.parse import NotAnEventError, parse_event
from webhooks.signature import SignatureRejectedError, verify

PATH: Final = "/webhooks/stripe"
MAX_BODY_BYTES: Final = 1024 * 1024

_log = structlog.get_logger(__name__)


def build_blueprint(
    secrets: Sequence[str],
    record: Callable[[Delivery], bool],
    clock: Callable[[], datetime],
) -> Blueprint:
    """Return the door as a blueprint.

    `secrets` are the endpoints' signing secrets, any of which may match; `record` stores a delivery
    durably and returns whether it is the event's first, or raises `DatabaseUnavailableError`.
    Raise `ValueError` without a secret: an empty one would accept anybody's signature.
    """
    if not secrets or not all(secret.strip() for secret in secrets):
        raise ValueError("Stripe's door needs at least one signing secret, and none may be empty")
    blueprint = Blueprint("webhooks", __name__)

    @blueprint.post(PATH)
    def receive() -> tuple[Response, int]:
        try:
            body = _read_body()
            now = clock()
            index = verify(body, request.headers.get("Stripe-Signature"), secrets, now)
            event = parse_event(body)
        except SignatureRejectedError as rejected:
            return _refuse(400, rejected.fault, str(rejected))
        except NotAnEventError as rejected:
            return _refuse(400, "not_an_event", str(rejected), param=rejected.param)
        except RequestEntityTooLarge:
            message = f"The body is larger than {MAX_BODY_BYTES} bytes."
            return _refuse(413, "body_too_large", message)
        except ClientDisconnected:
            return _refuse(400, "body_incomplete", "The body ended early or came too slowly.")
        delivery = Delivery(event=event, received_at=now, secret_index=index)
        try:
            first = record(delivery)
        except DatabaseUnavailableError as unavailable:
            _log.error("webhook.not_stored", event_id=event.event, reason=str(unavailable))
            return _error(
                503, "api_error", "not_stored", "The event could not be stored; send it again."
            )
        # At debug: the inbox row is the record of an accepted event.
        _log.debug("webhook.accepted", event_id=event.event, type=event.type, first=first)
        return jsonify(received=True, duplicate=not first), 200

    return blueprint


def _read_body() -> bytes:
    # One byte more than allowed: a body that doesn't announce its length is cut off there, without
    # an error. Nothing is ever unpacked: Stripe signs what it sends.
    request.max_content_length = MAX_BODY_BYTES + 1
    body = request.get_data(cache=False)
    if len(body) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    return body


def _refuse(
    status: int, code: str, message: str, *, param: str | None = None
) -> tuple[Response, int]:
    # Never the body, the header or a secret: neither is ours to keep, and all are forgeable.
    _log.warning("webhook.refused", code=code, status=status, param=param)
    return _error(status, "invalid_request_error", code, message, param=param)


def _error(
    status: int, kind: str, code: str, message: str, *, param: str | None = None
) -> tuple[Response, int]:
    error = {"type": kind, "code": code, "message": message, "param": param}
    return jsonify(error=error), status
