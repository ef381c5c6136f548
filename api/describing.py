"""Routes that describe the API itself: as OpenAPI for programs, as a page for people.

They are open to everybody once there is a token, and may not say anything about an installation:
what they show is in the source.
"""

import base64
import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from api.openapi import Json, build_document
from api.route import Answer, Call, Reply, Route

HTML: Final = "text/html; charset=utf-8"
_TEMPLATE: Final = "reference.html"
_STYLE: Final = "reference.css"


def with_description(routes: Sequence[Route]) -> tuple[Route, ...]:
    """Return the routes and those that describe them all, themselves included."""
    described: list[Route] = list(routes)

    @cache
    def document() -> Json:
        return build_document(described)

    @cache
    def page() -> Reply:
        return _page(document())

    described += [
        _route(
            "getOpenApi",
            "/openapi.json",
            "Describe the API for programs",
            Answer(says="This document."),
            lambda _call: Reply(body=document()),
        ),
        _route(
            "getReference",
            "/docs",
            "Describe the API for people",
            Answer(says="A page.", media="text/html"),
            lambda _call: page(),
        ),
    ]
    return tuple(described)


def _route(
    name: str, path: str, summary: str, answer: Answer, do: Callable[[Call], Reply]
) -> Route:
    return Route(
        name=name,
        method="GET",
        path=path,
        scope=None,
        summary=summary,
        description="Made from the code that answers, so it can't say anything else.",
        answers={200: answer},
        refusals={},
        do=do,
    )


def _page(document: Json) -> Reply:
    html, style = _render(document)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    headers = {
        # Nothing is fetched from anywhere, and nothing runs.
        "Content-Security-Policy": f"{policy}; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
    }
    return Reply(body=html, media=HTML, headers=headers)


def _render(document: Json) -> tuple[str, str]:
    templates = Environment(
        loader=PackageLoader("api"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    templates.filters["kind"] = _kind
    source, _, _ = PackageLoader("api").get_source(templates, _STYLE)
    page = templates.get_template(_TEMPLATE).render(document=document, style=source)
    return page, source


def _kind(schema: Json) -> str:
    """Return a schema in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "const" in schema:
        return f'"{schema["const"]}"'
    if "enum" in schema:
        return ", ".join(f'"{each}"' for each in schema["enum"])
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        return f"list of {_kind(schema['items'])}"
    if kind == "object" and "additionalProperties" in schema:
        return f"mapping to {_kind(schema['additionalProperties'])}"
    bounds = [f"{word} {schema[name]}" for name, word in _BOUNDS.items() if name in schema]
    return ", ".join([kind, *bounds])


_BOUNDS: Final = {
    "minimum": "at least",
    "maximum": "at most",
    "minLength": "characters at least",
    "maxLength": "characters at most",
    "pattern": "like",
}
