"""Describes the routes as an OpenAPI 3.1 document, from the same types that check and answer.

It may not know a route or a field by name: what isn't in the table or in a type isn't described.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final, TypeAlias

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from api.incoming import KEY_HEADER
from api.refusals import ErrorAnswer
from api.route import JSON, Key, Route
from api.shapes import PATH_PATTERNS, IdempotencyKey, adapter

ROOT: Final = "/api"
_SCHEMAS: Final = "#/components/schemas/"
_TOKEN: Final = "token"  # noqa: S105 - the name of a scheme, not a secret

Json: TypeAlias = dict[str, Any]

_ABOUT: Final = """\
Ask for refunds, and see what was decided and why. Amounts are integers in minor units (1250 is \
12.50 USD, and 1,250 JPY), times are seconds since 1970. Send a token as `Authorization: Bearer \
TOKEN`. Every answer carries a `Request-Id`, which is in our log as well. Nothing is guessed: an \
unknown field, or a value of another type, is refused."""

_COMMON: Final[Mapping[int, str]] = {
    400: "Something is missing, unknown or malformed; nothing was done. `param` names it.",
    503: "Stripe or the database can't be reached; ask again after `Retry-After`.",
}
_GUARDED: Final[Mapping[int, str]] = {
    401: "No token, or one that isn't known here.",
    403: "The token lacks the scope.",
    429: "The token asks too often; wait as long as `Retry-After` says.",
}
_WITH_BODY: Final[Mapping[int, str]] = {
    413: "The body is larger than 1 MiB.",
    415: "The body is not plain JSON.",
}
_CLOSED: Final[Mapping[int, str]] = {
    400: "There is no such parameter.",
    401: "No token is configured at all: the API is closed.",
}

_HEADERS: Final[Mapping[int, Mapping[str, str]]] = {
    401: {"WWW-Authenticate": "How to sign in."},
    403: {"WWW-Authenticate": "Which scope is needed."},
    429: {"Retry-After": "Seconds."},
    503: {"Retry-After": "Seconds."},
}


def build_document(routes: Sequence[Route]) -> Json:
    """Return the document, ready to be served as JSON."""
    schemas = _Schemas(routes)
    paths: dict[str, Json] = {}
    for route in routes:
        operations = paths.setdefault(ROOT + route.path, {})
        operations[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sluice", "version": version("sluice"), "description": _ABOUT},
        "servers": [{"url": "/"}],
        "paths": _renamed(paths),
        "components": {
            "schemas": schemas.components(),
            "securitySchemes": {_TOKEN: {"type": "http", "scheme": "bearer"}},
        },
    }


class _Untitled(GenerateJsonSchema):
    """Leaves out the titles that are made of field names: they say what the name says."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - as inherited
        return False

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """Describe what keys may be where JSON Schema says it, so that no key escapes."""
        described = super().dict_schema(schema)
        for pattern, values in described.pop("patternProperties", {}).items():
            described["propertyNames"] = {**described.get("propertyNames", {}), "pattern": pattern}
            described["additionalProperties"] = values
        return described


class _Schemas:
    """The JSON Schema of each type that a route takes or answers."""

    def __init__(self, routes: Sequence[Route]) -> None:
        shapes: list[Any] = [ErrorAnswer]
        for route in routes:
            given = (route.body, route.query, *(each.shape for each in route.answers.values()))
            shapes += [each for each in given if each is not None and each not in shapes]
        self._references, rest = TypeAdapter.json_schemas(
            [(shape, "validation", adapter(shape)) for shape in shapes],
            ref_template=_SCHEMAS + "{model}",
            schema_generator=_Untitled,
        )
        self._definitions: dict[str, Json] = rest["$defs"]
        for schema in self._definitions.values():
            schema["title"] = public_name(schema["title"])
        # A query is not a document: its fields are described as parameters.
        self._queries = {
            self.refer(route.query)["$ref"].removeprefix(_SCHEMAS)
            for route in routes
            if route.query is not None
        }

    def refer(self, shape: Any) -> Json:
        """Return the reference to a type's schema."""
        return self._references[shape, "validation"]

    def define(self, shape: Any) -> Json:
        """Return a type's schema itself."""
        return self._definitions[self.refer(shape)["$ref"].removeprefix(_SCHEMAS)]

    def components(self) -> dict[str, Json]:
        """Return every schema by the name it has in public."""
        return {
            public_name(name): _renamed(schema)
            for name, schema in self._definitions.items()
            if name not in self._queries
        }


def public_name(name: str) -> str:
    """Return what a type of ours is called in the document: clients are generated from it, and
    what is a view or a body to us is the thing itself to them.
    """
    return _NAMES.get(name) or name.removesuffix("View").removesuffix("Body")


_NAMES: Final[Mapping[str, str]] = {
    "RequestView": "RefundRequest",
    "RequestPage": "RefundRequestPage",
}


def _renamed(part: Any) -> Any:
    """Return a part of the document with its references by public names."""
    match part:
        case dict():
            return {
                key: _SCHEMAS + public_name(value.removeprefix(_SCHEMAS))
                if key == "$ref"
                else _renamed(value)
                for key, value in part.items()
            }
        case list():
            return [_renamed(each) for each in part]
        case _:
            return part


def _operation(route: Route, schemas: _Schemas) -> Json:
    operation: Json = {
        "operationId": route.name,
        "summary": route.summary,
        "description": route.description,
        "parameters": [*_path(route), *_query(route, schemas), *_key(route)],
        "responses": _responses(route, schemas),
        "security": [] if route.scope is None else [{_TOKEN: [route.scope]}],
    }
    if route.body is not None:
        content = {JSON: {"schema": schemas.refer(route.body)}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _path(route: Route) -> Iterator[Json]:
    for name, pattern in PATH_PATTERNS.items():
        if f"{{{name}}}" in route.path:
            schema = {"type": "string", "pattern": pattern}
            yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query(route: Route, schemas: _Schemas) -> Iterator[Json]:
    if route.query is None:
        return
    defined = schemas.define(route.query)
    needed = defined.get("required", ())
    for name, schema in defined["properties"].items():
        described = {key: value for key, value in schema.items() if key != "description"}
        parameter = {"name": name, "in": "query", "required": name in needed}
        parameter["schema"] = described
        if "description" in schema:
            parameter["description"] = schema["description"]
        yield parameter


def _key(route: Route) -> Iterator[Json]:
    if route.key is Key.NONE:
        return
    yield {
        "name": KEY_HEADER,
        "in": "header",
        "required": route.key is Key.REQUIRED,
        "description": "New for each new wish, the same when it is repeated.",
        "schema": adapter(IdempotencyKey).json_schema(),
    }


def _responses(route: Route, schemas: _Schemas) -> Json:
    responses = {
        str(status): _response(status, answer.says, answer.media, schemas, answer.shape)
        for status, answer in route.answers.items()
    }
    refusals = {**_refusals(route), **route.refusals}
    for status in sorted(refusals):
        responses[str(status)] = _response(status, refusals[status], JSON, schemas, ErrorAnswer)
    return responses


def _refusals(route: Route) -> Mapping[int, str]:
    if route.scope is None:
        return _CLOSED
    return {**_COMMON, **_GUARDED, **(_WITH_BODY if route.body is not None else {})}


def _response(status: int, says: str, media: str, schemas: _Schemas, shape: Any) -> Json:
    headers = {"Request-Id": "This answer's id in our log.", **_HEADERS.get(status, {})}
    content = {} if shape is None else {"schema": schemas.refer(shape)}
    return {
        "description": says,
        "headers": {
            name: {"description": description, "schema": {"type": "string"}}
            for name, description in headers.items()
        },
        "content": {media: content},
    }
