"""Idempotency keys: the first result is kept and answered again, failures included.

It remembers answers and may not produce any. Call it with the world locked.
"""

from dataclasses import dataclass

from sandbox.errors import ApiError
from sandbox.shapes import JsonObject

KEPT_SECONDS = 24 * 3_600
"""How long Stripe keeps a key at least (documentation: API reference, "Idempotent requests")."""

MAX_KEY = 255

Scope = tuple[str, str]
"""Account and key: two accounts may use the same key."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer, before faults get at it."""

    status: int
    body: JsonObject
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Kept:
    fingerprint: JsonObject
    at: int
    answer: Answer | None = None


class Keys:
    """Every key in use and what it was answered."""

    def __init__(self) -> None:
        self._kept: dict[Scope, _Kept] = {}

    def begin(self, scope: Scope, fingerprint: JsonObject, now: int) -> Answer | None:
        """Claim a key; answers the kept result, or None when the call is to be carried out."""
        if len(scope[1]) > MAX_KEY:
            raise ApiError(
                400, f"Idempotency keys can have at most {MAX_KEY} characters.", param=None
            )
        kept = self._kept.get(scope)
        if kept is not None and now - kept.at >= KEPT_SECONDS and kept.answer is not None:
            kept = None
        if kept is None:
            self._kept[scope] = _Kept(fingerprint, now)
            return None
        if kept.fingerprint != fingerprint:
            raise ApiError(
                400,
                "This idempotency key was used with other parameters before: "
                f"'{scope[1]}' stands for its first request only. Take another key for a "
                "different request.",
                kind="idempotency_error",
            )
        if kept.answer is None:
            raise ApiError(
                409,
                f"A request with the key '{scope[1]}' is still being carried out.",
                kind="invalid_request_error",
                code="idempotency_key_in_use",
            )
        return kept.answer

    def finish(self, scope: Scope, answer: Answer) -> None:
        """Keep the result of a claimed key."""
        self._kept[scope].answer = answer

    def release(self, scope: Scope) -> None:
        """Forget a claimed key whose call was never begun."""
        kept = self._kept.get(scope)
        if kept is not None and kept.answer is None:
            del self._kept[scope]
