"""The API's front door: who asks, under which key, with which fault, and what is answered.

It turns one decoded request into one exchange and may not touch sockets.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sandbox.api.admission import acting_as, authenticate, check_version
from sandbox.api.call import Call
from sandbox.api.fault_answers import answer_of
from sandbox.api.form import decode
from sandbox.api.idempotency import Answer, Keys, Scope
from sandbox.api.journal import Entry, Journal
from sandbox.api.limits import RateLimits
from sandbox.api.params import ParamError, Params
from sandbox.api.routes import Route, match
from sandbox.errors import ApiError
from sandbox.faults import Faults, Kind, Rule
from sandbox.shapes import AccountId, JsonObject
from sandbox.world import course
from sandbox.world.core import API_VERSION, World
from sandbox.world.ids import Ids

log = logging.getLogger(__name__)

Wait = Callable[[float], None]
Interlude = Callable[[JsonObject], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request, whatever brought it; header names are in lower case."""

    method: str
    path: str
    query: str = ""
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Fate(StrEnum):
    """What becomes of an answer."""

    ANSWERED = "answered"
    DROPPED = "dropped"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Exchange:
    """The answer to a request and whether it arrives."""

    status: int
    body: bytes
    headers: dict[str, str]
    fate: Fate = Fate.ANSWERED


@dataclass(slots=True)
class _Visit:
    """What is known of a request after it was let in."""

    request: Request
    params: JsonObject
    request_id: str
    key: str
    owner: AccountId
    scope: Scope | None
    entry: Entry


class Door:
    """Answers API requests about one world; safe to call from several threads."""

    def __init__(
        self,
        world: World,
        *,
        wait: Wait,
        faults: Faults | None = None,
        api_key: str | None = None,
        interlude: Interlude | None = None,
    ) -> None:
        self.world = world
        self.faults = faults or Faults(seed=world.seed)
        self.journal = Journal()
        self.keys = Keys()
        self._wait = wait
        self._api_key = api_key
        self._interlude = interlude
        self._request_ids = Ids(world.seed)
        self._limits = RateLimits(world)

    def exchange(self, request: Request) -> Exchange:
        """Carry out one request, faults included."""
        world = self.world
        with world.lock:
            course.catch_up(world)
            request_id = self._request_ids.make("req", length=14)
            try:
                visit = self._admit(request, request_id)
                hit = match(request.method, request.path)
                self._limits.admit(f"{request.method} {hit[0].path if hit else '?'}")
                # Claimed first: a call that is refused here must not use a fault up.
                kept = self._claim(visit)
                rule = self.faults.take(
                    method=request.method,
                    path=request.path,
                    account="platform" if world.is_platform(visit.owner) else visit.owner,
                    params=visit.params,
                )
                visit.entry.fault = None if rule is None else rule.kind.value
            except ApiError as error:
                return self._refuse(request, request_id, error)
        return self._carry_out(visit, rule, kept)

    def _admit(self, request: Request, request_id: str) -> _Visit:
        key = authenticate(request.headers, self._api_key)
        check_version(request.headers)
        text = request.query if request.method in ("GET", "DELETE") else request.body
        params = decode(
            text if not request.query or text == request.query else f"{request.query}&{text}"
        )
        owner = acting_as(self.world, request.headers, key)
        token = request.headers.get("idempotency-key")
        entry = self.journal.open(
            at=self.world.now(),
            method=request.method,
            path=request.path,
            account=None if self.world.is_platform(owner) else owner,
            params=params,
            idempotency_key=token,
            request_id=request_id,
        )
        scope = (owner, token) if token and request.method == "POST" else None
        return _Visit(request, params, request_id, key, owner, scope, entry)

    def _claim(self, visit: _Visit) -> Answer | None:
        if visit.scope is None:
            return None
        request = visit.request
        fingerprint = {"method": request.method, "path": request.path, "params": visit.params}
        return self.keys.begin(visit.scope, fingerprint, self.world.now())

    def _carry_out(self, visit: _Visit, rule: Rule | None, kept: Answer | None) -> Exchange:
        """Carry out a call, or answer again what its key keeps; faults meet both alike."""
        early = rule if rule is not None and not rule.late else None
        if early is not None and early.kind in (Kind.HANG, Kind.RESET):
            return self._swallow(visit, early)
        if early is not None and early.wait_seconds:
            self._wait(early.wait_seconds)
        with self.world.lock:
            refused = self._answer_early(visit, early)
            visit.entry.replayed = kept is not None and refused is None
            if kept is not None:
                answer = kept if refused is None else refused[0]
            else:
                answer, keep = refused or self._execute(visit)
                self._settle_key(visit, answer, keep=keep)
            if rule is not None and rule.late:
                answer = self._spoil(visit, rule, answer)
        return self._fail_late(visit, rule, self._finish(visit, answer))

    def _settle_key(self, visit: _Visit, answer: Answer, *, keep: bool) -> None:
        if visit.scope is None:
            return
        if keep:
            self.keys.finish(visit.scope, answer)
        else:
            self.keys.release(visit.scope)

    def _swallow(self, visit: _Visit, rule: Rule) -> Exchange:
        """A request that never reaches the API."""
        if visit.scope is not None:
            with self.world.lock:
                self.keys.release(visit.scope)
        if rule.wait_seconds:
            self._wait(rule.wait_seconds)
        return self._close(visit, 0, Fate.RESET if rule.kind is Kind.RESET else Fate.DROPPED)

    def _answer_early(self, visit: _Visit, rule: Rule | None) -> tuple[Answer, bool] | None:
        """What a fault answers instead of the effect, and whether the key keeps it."""
        if rule is None:
            return None
        if rule.kind is Kind.INTERLUDE:
            self._play(rule)
        refusal = answer_of(rule, visit.key)
        if refusal is None:
            return None
        # A 500 is kept under the key; what never began to execute isn't.
        return _answer(refusal), rule.kind is Kind.HTTP_500

    def _spoil(self, visit: _Visit, rule: Rule, answer: Answer) -> Answer:
        """What a fault answers after the effect, instead of the true answer."""
        if rule.kind is Kind.INTERLUDE:
            self._play(rule)
        refusal = answer_of(rule, visit.key)
        if refusal is None:
            return answer
        spoilt = _answer(refusal)
        first, visit.entry.replayed = not visit.entry.replayed, False
        if first and visit.scope is not None and rule.kind is Kind.HTTP_500:
            self.keys.finish(visit.scope, spoilt)
        return spoilt

    def _play(self, rule: Rule) -> None:
        for step in rule.steps:
            try:
                if self._interlude is not None:
                    self._interlude(step)
            except ValueError:
                log.exception("an interlude's step was refused: %s", step)

    def _execute(self, visit: _Visit) -> tuple[Answer, bool]:
        """Carry out the call; answers it and whether the answer is kept under the key."""
        request, world = visit.request, self.world
        hit = match(request.method, request.path)
        world.request = {
            "id": visit.request_id,
            "idempotency_key": request.headers.get("idempotency-key"),
        }
        try:
            if hit is None:
                raise ApiError(404, f"Unrecognized request URL ({request.method}: {request.path}).")
            body = self._call(visit, *hit)
            course.catch_up(world)
        except ParamError as error:
            return _answer(error), False
        except ApiError as error:
            return _answer(error), True
        except Exception:
            log.exception("the sandbox failed on %s %s", request.method, request.path)
            failure = ApiError(500, "The sandbox itself failed; see its log.", kind="api_error")
            return _answer(failure), True
        finally:
            world.request = None
        return Answer(200, body), True

    def _call(self, visit: _Visit, route: Route, named: dict[str, str]) -> JsonObject:
        params = Params(visit.params)
        params.only(route.accepts)
        return route.endpoint(
            Call(
                world=self.world,
                owner=visit.owner,
                path=visit.request.path,
                named=named,
                params=params,
                key=visit.key,
            )
        )

    def _finish(self, visit: _Visit, answer: Answer) -> Exchange:
        visit.entry.close(answer.status, answer.body)
        headers = {**dict(answer.headers), **self._headers(visit.request, visit.request_id)}
        if visit.scope is not None:
            headers["Idempotency-Key"] = visit.scope[1]
            headers["Original-Request"] = visit.request_id
        if visit.entry.replayed:
            headers["Idempotent-Replayed"] = "true"
        return Exchange(answer.status, _encode(answer.body), headers)

    def _fail_late(self, visit: _Visit, rule: Rule | None, done: Exchange) -> Exchange:
        """Let an answer that exists be late or lost."""
        if rule is None or not rule.late:
            return done
        if rule.wait_seconds:
            self._wait(rule.wait_seconds)
        if rule.kind in (Kind.LOST_RESPONSE, Kind.HANG):
            return self._close(visit, done.status, Fate.DROPPED)
        if rule.kind is Kind.RESET:
            return self._close(visit, done.status, Fate.RESET)
        return done

    def _close(self, visit: _Visit, status: int, fate: Fate) -> Exchange:
        visit.entry.fate = fate.value
        return Exchange(status, b"", {}, fate)

    def _refuse(self, request: Request, request_id: str, error: ApiError) -> Exchange:
        entry = self.journal.last(request_id) or self.journal.open(
            at=self.world.now(),
            method=request.method,
            path=request.path,
            account=request.headers.get("stripe-account"),
            params={},
            idempotency_key=request.headers.get("idempotency-key"),
            request_id=request_id,
        )
        entry.close(error.status, error.body())
        headers = {**error.headers, **self._headers(request, request_id)}
        return Exchange(error.status, _encode(error.body()), headers)

    def _headers(self, request: Request, request_id: str) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "Request-Id": request_id,
            "Stripe-Version": request.headers.get("stripe-version", API_VERSION),
        }
        if account := request.headers.get("stripe-account"):
            headers["Stripe-Account"] = account
        return headers


def _encode(body: JsonObject) -> bytes:
    return json.dumps(body).encode()


def _answer(error: ApiError) -> Answer:
    return Answer(error.status, error.body(), tuple(error.headers.items()))
