"""A caller of the API: the real application on a stage, tokens of every kind, answers looked at.

It may not look the other way: each answer has an id, no secret of ours in it, and is as described.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import jsonschema_rs
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from api.meter import Meter
from api.openapi import build_document
from api.table import ROUTES
from api.tokens import Scope
from runtime.settings import Settings
from runtime.web import create_app
from tests.support.stage import Stage
from tests.support.stripe_events import SECRET

TOKENS: Final[Mapping[str, str]] = {
    **{scope: f"token-of-{scope}-0123456789" for scope in Scope},
    "all": "token-of-everybody-0123456789",
    "wrong": "token-of-nobody-0123456789",
}
"""By scope: a token with that scope alone; one with all; one that isn't known."""


def api_settings(**more: Any) -> Settings:
    """Settings with these tokens, and none from the machine the test runs on."""
    texts = [f"{scope}:{TOKENS[scope]}:{scope}" for scope in Scope]
    texts.append(f"all:{TOKENS['all']}:{'+'.join(Scope)}")
    return Settings(
        stripe_webhook_secrets=(SecretStr(SECRET),),
        sluice_api_tokens=tuple(SecretStr(text) for text in texts),
        **more,
    )


DOCUMENT: Final = build_document(ROUTES)


@cache
def validator(reference: str) -> jsonschema_rs.Draft202012Validator:
    """What checks a document against one of the described schemas."""
    return jsonschema_rs.Draft202012Validator(
        {"$ref": reference, "components": DOCUMENT["components"]}
    )


@dataclass(kw_only=True)
class Caller:
    """Someone who holds tokens, and asks."""

    stage: Stage
    client: FlaskClient
    token: str | None = "all"
    _keys: int = 0

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = "",
        key: str | None = "",
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> TestResponse:
        """Ask `/api` + path with the token of this name, under a new key unless one is given."""
        token = self.token if token == "" else token
        sent = dict(headers or {})
        if token is not None:
            sent.setdefault("Authorization", f"Bearer {TOKENS[token]}")
        if key == "" and method == "POST":
            self._keys += 1
            key = f"asked-{self._keys}"
        if key:
            sent.setdefault("Idempotency-Key", key)
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
            answer = self.client.open(f"/api{path}", method=method, data=data, headers=sent)
        elif body is None:
            answer = self.client.open(f"/api{path}", method=method, headers=sent)
        else:
            answer = self.client.open(f"/api{path}", method=method, json=body, headers=sent)
        assert answer.headers["Request-Id"].startswith("req_")
        text = answer.get_data(as_text=True)
        assert not any(each in text for each in TOKENS.values()), "a token was shown"
        self._check_as_described(method, path, answer)
        return answer

    def _check_as_described(self, method: str, path: str, answer: TestResponse) -> None:
        """Hold an answer of a route against the served description."""
        try:
            rule, _ = self.client.application.url_map.bind("").match(
                f"/api{path}".partition("?")[0], method, return_rule=True
            )
        except HTTPException:
            return
        described = DOCUMENT["paths"][re.sub(r"<(\w+)>", r"{\1}", rule.rule)][method.lower()]
        responses = described["responses"]
        assert str(answer.status_code) in responses, f"{answer.status_code} is not described"
        response = responses[str(answer.status_code)]
        assert response["headers"].keys() <= set(answer.headers.keys())
        content = response["content"][answer.mimetype]
        if content:
            validator(content["schema"]["$ref"]).validate(answer.json)

    def get(self, path: str, **more: Any) -> TestResponse:
        """Ask to see something."""
        return self.ask("GET", path, **more)

    def post(self, path: str, body: object = None, **more: Any) -> TestResponse:
        """Ask for something to be done."""
        return self.ask("POST", path, body, **more)


def caller_on(stage: Stage) -> Caller:
    """The application over a stage's database and sandbox, with a meter of its own."""
    app = create_app(
        api_settings(),
        database=stage.services.database,
        services=stage.services,
        meter=Meter(burst=10_000),
        clock=stage.now,
    )
    return Caller(stage=stage, client=app.test_client())


def error_of(answer: TestResponse) -> dict[str, Any]:
    """The error of an answer, which has Stripe's shape."""
    assert answer.json is not None
    error: dict[str, Any] = answer.json["error"]
    assert set(answer.json) == {"error"}
    assert set(error) == {"type", "code", "message", "param"}
    return error
