"""Compares JSON objects with the types that the installed Stripe SDK declares for them.

The annotations are read from the SDK's source, because many of the names in them exist for type
checkers only.
"""

import ast
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from stripe._object_classes import OBJECT_CLASSES

Json = dict[str, Any]

_PLAIN: Final[dict[str, tuple[type, ...]]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "float": (float, int),
}


@dataclass(frozen=True)
class Scope:
    """A class of the SDK and where names in its annotations are looked up, innermost first."""

    module: str
    classes: tuple[ast.ClassDef, ...]

    @property
    def name(self) -> str:
        """The class as the SDK's documentation writes it."""
        return ".".join(node.name for node in self.classes)


def problems(value: Json) -> list[str]:
    """What in an object isn't as the SDK types it; empty when all is."""
    name = value.get("object")
    if not isinstance(name, str) or name not in OBJECT_CLASSES:
        return [f"object {name!r} is none of the SDK's"]
    if value.get("deleted") is True:
        return [f"{name}.{key}: unknown" for key in value.keys() - {"id", "object", "deleted"}]
    return list(_object(value, _class_of(name), name))


def partial_problems(value: Json, name: str) -> list[str]:
    """As `problems` for `previous_attributes`: fields may be missing, unknown ones may not be."""
    fields = _fields(_class_of(name))
    found = [f"{name}.{key}: unknown" for key in value.keys() - fields.keys()]
    for key in value.keys() & fields.keys():
        # Nested objects are as partial as the whole: only plain values can be compared.
        if value[key] is not None and not isinstance(value[key], dict):
            found += _value(value[key], *fields[key], f"{name}.{key}")
    return found


def event_types() -> frozenset[str]:
    """Every type of snapshot event that the SDK knows."""
    annotation, _ = _fields(_class_of("event"))["type"]
    return frozenset(_literals(annotation))


def _class_of(name: str) -> Scope:
    module, class_name = OBJECT_CLASSES[name]
    return _top_level(module, class_name)


@cache
def _tree(module: str) -> ast.Module:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return ast.parse(Path(spec.origin).read_text())


@cache
def _imports(module: str) -> dict[str, tuple[str, str]]:
    found = {}
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                found[alias.asname or alias.name] = (node.module, alias.name)
    return found


def _top_level(module: str, name: str) -> Scope:
    for node in _tree(module).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return Scope(module, (node,))
    return _top_level(*_imports(module)[name])


@cache
def _fields(scope: Scope) -> dict[str, tuple[ast.expr, Scope]]:
    """The fields of a class with the scope to read their annotations in."""
    return {
        node.target.id: (node.annotation, scope)
        for node in scope.classes[-1].body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and "ClassVar" not in ast.dump(node.annotation)
    }


def _object(value: Json, scope: Scope, path: str) -> Iterator[str]:
    fields = _fields(scope)
    for key in sorted(value.keys() - fields.keys()):
        yield f"{path}.{key}: unknown to {scope.name}"
    for key, (annotation, where) in fields.items():
        if key in value:
            yield from _value(value[key], annotation, where, f"{path}.{key}")
        elif not _optional(annotation):
            yield f"{path}.{key}: missing"


def _optional(annotation: ast.expr) -> bool:
    return isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Optional"


def _value(value: Any, annotation: ast.expr, scope: Scope, path: str) -> list[str]:
    """What is wrong with a value for an annotation."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return _value(value, ast.parse(annotation.value, mode="eval").body, scope, path)
    if isinstance(annotation, ast.Name):
        return _named(value, annotation.id, scope, path)
    assert isinstance(annotation, ast.Subscript), ast.dump(annotation)
    head, inner = ast.unparse(annotation.value), annotation.slice
    if (head == "Optional" and value is None) or (
        head == "ExpandableField" and isinstance(value, str)
    ):
        return []
    return _CHECKS[head](value, inner, scope, path)


def _literal(value: Any, inner: ast.expr, scope: Scope, path: str) -> list[str]:
    del scope
    known = _literals(inner)
    return [] if value in known else [f"{path}: {value!r} is none of {sorted(known)}"]


def _union(value: Any, inner: ast.expr, scope: Scope, path: str) -> list[str]:
    assert isinstance(inner, ast.Tuple)
    options = inner.elts
    literals = [item for item in options if ast.unparse(item).startswith("Literal")]
    if literals:
        # `Union[Literal[…], str]` is an open set to callers; the sandbox keeps to what is known.
        return _value(value, literals[0], scope, path)
    tried = [_value(value, option, scope, path) for option in options]
    return [] if [] in tried else tried[0] + tried[-1]


def _list(value: Any, inner: ast.expr, scope: Scope, path: str) -> list[str]:
    if not isinstance(value, list):
        return [f"{path}: not a list"]
    return [
        problem
        for number, item in enumerate(value)
        for problem in _value(item, inner, scope, f"{path}[{number}]")
    ]


def _mapping(value: Any, inner: ast.expr, scope: Scope, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: not an object"]
    of = inner.elts[1] if isinstance(inner, ast.Tuple) else inner
    return [
        problem
        for key, item in value.items()
        for problem in _value(item, of, scope, f"{path}[{key}]")
    ]


def _page(value: Any, inner: ast.expr, scope: Scope, path: str) -> list[str]:
    if not isinstance(value, dict) or value.get("object") != "list":
        return [f"{path}: not a list object"]
    found = [f"{path}.{key}: missing" for key in ("data", "has_more", "url") if key not in value]
    unknown = value.keys() - {"object", "data", "has_more", "url", "total_count"}
    found += [f"{path}.{key}: unknown to ListObject" for key in sorted(unknown)]
    return found + _list(value.get("data"), inner, scope, f"{path}.data")


def _named(value: Any, name: str, scope: Scope, path: str) -> list[str]:
    if name == "Any":
        return []
    if name in _PLAIN:
        right = isinstance(value, _PLAIN[name])
        # To Python True is an int; in JSON it isn't a number.
        right = right and (name == "bool" or not isinstance(value, bool))
        return [] if right else [f"{path}: {value!r} is no {name}"]
    if not isinstance(value, dict):
        return [f"{path}: {value!r} is no {name}"]
    return list(_object(value, _lookup(name, scope), path))


@cache
def _lookup(name: str, scope: Scope) -> Scope:
    for depth in range(len(scope.classes), 0, -1):
        for node in scope.classes[depth - 1].body:
            if isinstance(node, ast.ClassDef) and node.name == name:
                return Scope(scope.module, (*scope.classes[:depth], node))
    for node in _tree(scope.module).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return Scope(scope.module, (node,))
    return _top_level(*_imports(scope.module)[name])


@cache
def _literals(annotation: ast.expr) -> frozenset[Any]:
    return frozenset(
        node.value
        for node in ast.walk(annotation)
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bool | int)
    )


# An annotation that isn't here raises KeyError: a new SDK then needs a look at this file.
_CHECKS: Final[dict[str, Callable[[Any, ast.expr, Scope, str], list[str]]]] = {
    "Optional": _value,
    "ExpandableField": _value,
    "Literal": _literal,
    "Union": _union,
    "List": _list,
    "Dict": _mapping,
    "UntypedStripeObject": _mapping,
    "ListObject": _page,
}
