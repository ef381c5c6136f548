"""The API over HTTP: who asks, how often, for what; then the route's function; then its answer.

It may not do anything a route does: it checks, hands over, and says what came of it.
"""

import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import Any, Final

import structlog
from flask import Blueprint, Response, g, jsonify, request

from api.incoming import read_document, read_key, read_query
from api.meter import Meter
from api.refusals import RefusedError, refusal_of
from api.route import JSON, Call, Reply, Route
from api.shapes import PARAM_CHARACTERS_MAX, PATH_PATTERNS
from api.table import ROUTES
from api.tokens import Token, find_token
from handlers.services import Services
from refunds.clock import monotonic_seconds
from refunds.errors import AccountNotFoundError, RequestNotFoundError, SluiceError
from refunds.ids import mint

ROOT: Final = "/api"
PIECE_BYTES: Final = 64 * 1024
"""How much of a file is in memory while it is sent."""
REQUEST_ID_HEADER: Final = "Request-Id"
_NOT_FOUND: Final[Mapping[str, Callable[[str], SluiceError]]] = {
    "id": RequestNotFoundError,
    "account": AccountNotFoundError,
}
"""What a path leads to whose parameter no id can be: nothing."""

_log = structlog.get_logger(__name__)


def build_blueprint(
    *,
    tokens: Sequence[Token],
    services: Services | None,
    confirm_platform: Callable[[], None],
    meter: Meter,
    clock: Callable[[], datetime],
) -> Blueprint:
    """Return the door. Without a token it is closed, and needs no services.

    `confirm_platform` is called before Stripe is asked the first time; it raises where key and
    database don't belong together.
    """
    door = _Door(
        tokens=tokens,
        services=services,
        confirm_platform=confirm_platform,
        meter=meter,
        clock=clock,
    )
    blueprint = Blueprint("api", __name__)
    blueprint.before_app_request(door.admit)
    blueprint.after_app_request(door.send_off)
    blueprint.teardown_app_request(door.forget)
    for route in ROUTES if tokens else ():
        blueprint.add_url_rule(
            ROOT + re.sub(r"\{(\w+)\}", r"<\1>", route.path),
            endpoint=route.name,
            view_func=door.view(route),
            methods=[route.method],
            # Flask's own answer to OPTIONS would be one that nobody described.
            provide_automatic_options=False,
        )
    return blueprint


class _Door:
    """What the steps of a request share."""

    def __init__(
        self,
        *,
        tokens: Sequence[Token],
        services: Services | None,
        confirm_platform: Callable[[], None],
        meter: Meter,
        clock: Callable[[], datetime],
    ) -> None:
        self._tokens = tokens
        self._services = services
        self._confirm_platform = confirm_platform
        self._meter = meter
        self._clock = clock
        self._open = {f"api.{route.name}" for route in ROUTES if route.scope is None}

    def admit(self) -> Response | None:
        """Let in whoever belongs, before anything else is said: not even which paths there are."""
        if not _is_ours():
            return None
        g.began = monotonic_seconds()
        g.request_id = mint("req", self._clock())
        g.token = None
        structlog.contextvars.bind_contextvars(request_id=g.request_id)
        try:
            if not self._tokens or request.endpoint not in self._open:
                g.token = self._who()
                structlog.contextvars.bind_contextvars(actor=g.token.actor)
                self._not_too_often(g.token)
        except RefusedError as error:
            return _refuse(error)
        return None

    def view(self, route: Route) -> Callable[..., Response]:
        """Return the function that Flask calls for a route."""

        def answer(**path: str) -> Response:
            try:
                return _send(self._do(route, path))
            except SluiceError as error:
                return _refuse(error)

        return answer

    def send_off(self, response: Response) -> Response:
        """Give each answer its id, and keep it out of caches."""
        if _is_ours() and "request_id" in g:
            response.headers[REQUEST_ID_HEADER] = g.request_id
            response.headers["Cache-Control"] = "no-store"
            response.headers["X-Content-Type-Options"] = "nosniff"
            _log.info(
                "api.answered",
                method=request.method,
                route=str(request.url_rule) if request.url_rule else None,
                status=response.status_code,
                ms=round((monotonic_seconds() - g.began) * 1_000, 1),
            )
        return response

    def forget(self, _error: BaseException | None) -> None:
        """Take this request's id off the thread, which serves another one next."""
        structlog.contextvars.unbind_contextvars("request_id", "actor")

    def _who(self) -> Token:
        token = find_token(self._tokens, request.headers.get("Authorization"))
        if token is not None:
            return token
        given = "Authorization" in request.headers
        challenge = 'Bearer realm="sluice"' + (', error="invalid_token"' if given else "")
        message = (
            "This token is not known here."
            if given
            else "Send one of the tokens in SLUICE_API_TOKENS as: Authorization: Bearer TOKEN"
        )
        raise RefusedError(401, "token_invalid", message, headers={"WWW-Authenticate": challenge})

    def _not_too_often(self, token: Token) -> None:
        too_soon = self._meter.take(self._tokens.index(token))
        if too_soon > 0:
            raise RefusedError(
                429,
                "rate_limit",
                "This token asks too often. Wait as long as Retry-After says.",
                headers={"Retry-After": str(math.ceil(too_soon))},
            )

    def _do(self, route: Route, path: dict[str, str]) -> Reply:
        token: Token | None = g.token
        assert self._services is not None, "a door with tokens has services"
        if route.scope is not None:
            assert token is not None, "admitted with a token, or not at all"
            if route.scope not in token.scopes:
                raise RefusedError(
                    403,
                    "scope_missing",
                    f"This needs a token with the scope {route.scope}; {token.name} has "
                    f"{', '.join(sorted(token.scopes))}.",
                    headers={
                        "WWW-Authenticate": 'Bearer realm="sluice", error="insufficient_scope", '
                        f'scope="{route.scope}"'
                    },
                )
        for name, value in path.items():
            if not re.fullmatch(PATH_PATTERNS[name], value, re.ASCII):
                raise _NOT_FOUND[name](value[:PARAM_CHARACTERS_MAX])
        call = Call(
            services=self._services,
            actor="api" if token is None else token.actor,
            path=path,
            query=read_query(route, request),
            key=read_key(route, request),
            body=read_document(route, request),
        )
        if route.asks_stripe:
            self._confirm_platform()
        return route.do(call)


def _is_ours() -> bool:
    return request.path == ROOT or request.path.startswith(f"{ROOT}/")


def _send(reply: Reply) -> Response:
    response = _response_of(reply)
    response.status_code = reply.status
    response.headers.update(dict(reply.headers))
    return response


def _response_of(reply: Reply) -> Response:
    match reply.body:
        case SpooledTemporaryFile() as file:
            length = file.seek(0, io.SEEK_END)
            file.seek(0)
            response = Response(_pieces(file), content_type=reply.media)
            response.content_length = length
            # HEAD is answered without a look into it.
            response.call_on_close(file.close)
            return response
        case str() as text if reply.media != JSON:
            return Response(text, content_type=reply.media)
        case document:
            return jsonify(document)


def _pieces(file: SpooledTemporaryFile[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _refuse(error: SluiceError) -> Response:
    status, view, headers = refusal_of(error)
    body: dict[str, Any] = {"error": view}
    return _send(Reply(status=status, body=body, headers=headers))
