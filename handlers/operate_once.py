"""A person's action under an idempotency key: done once, answered the same ever after.

It may not keep a refusal: nothing was done, and it may be possible later.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import cast

from handlers.operate import Action, act, act_within
from handlers.services import Services
from handlers.view import RequestView, view_request
from refunds.errors import KeyReusedError
from refunds.ids import RequestId
from store.answers import claim_key, keep_answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """What a request became by an action."""

    view: RequestView
    replayed: bool = False
    """It had been done under this key before; this is the answer of that time."""


def act_once(
    services: Services,
    action: Action,
    request: RequestId,
    *,
    note: str,
    actor: str,
    key: str | None,
) -> Acted:
    """Do what a person asked, once for each key of theirs; without a key, whenever it is possible.

    Raise what `act` raises, and `KeyReusedError` for a key that was used for something else.
    """
    if key is None:
        act(services, action, request, note=note, actor=actor)
        with services.database.reading() as unit:
            return Acted(view=view_request(unit, request))
    asked = json.dumps([action, request, note])
    digest = hashlib.sha256(asked.encode()).hexdigest()
    with services.database.unit_of_work() as unit:
        # Before any row that the action locks: nobody who holds one of those waits for a key.
        kept = claim_key(unit, actor, key, digest, services.clock())
        if kept is not None:
            if kept.digest != digest:
                raise KeyReusedError(
                    "the idempotency key was used for another action; take a new key",
                    param="Idempotency-Key",
                )
            return Acted(view=cast("RequestView", kept.answer), replayed=True)
        act_within(unit, services, action, request, note=note, actor=actor)
        view = view_request(unit, request)
        keep_answer(unit, actor, key, view)
    return Acted(view=view)
