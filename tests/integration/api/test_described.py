"""The API does what its description says, nothing else, whatever it is asked."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import count
from typing import Any, Final

import hypothesis
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi import checks

from api.route import Key, Route
from api.table import ROUTES
from tests.support.caller import DOCUMENT, TOKENS, Caller, caller_on
from tests.support.databases import SqliteTemplate
from tests.support.stage import staged

EXAMPLES: Final = 25
"""For each route: enough to meet each field with something odd, few enough to be quick."""


@pytest.fixture(scope="module")
def asked(
    sqlite_template: SqliteTemplate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Caller, list[str]]]:
    """A caller, and requests on hold."""
    with staged(sqlite_template.copy_to(tmp_path_factory.mktemp("described"))) as stage:
        held = [str(stage.wish(stage.paid(stage.account(1000), 5000))) for _ in range(4)]
        yield caller_on(stage), held


@pytest.fixture(scope="module")
def served(asked: tuple[Caller, list[str]]) -> Any:
    """The description as it is served."""
    caller, _ = asked
    return schemathesis.openapi.from_wsgi("/api/openapi.json", caller.client.application)


CASES: Final = [
    (route, mode)
    for route in ROUTES
    for mode in GenerationMode
    # A route that takes nothing but a path can't be asked wrongly.
    if mode is GenerationMode.POSITIVE or route.body or route.query or route.key is not Key.NONE
]


@pytest.mark.parametrize(
    "route, mode", CASES, ids=[f"{route.name}-{mode.value}" for route, mode in CASES]
)
def test_no_answer_is_a_500_or_undescribed(
    asked: tuple[Caller, list[str]], served: Any, route: Route, mode: GenerationMode
) -> None:
    _, held = asked
    operation = served[f"/api{route.path}"][route.method]
    turn = count()

    @hypothesis.settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        number = next(turn)
        if "id" in case.path_parameters and number % 2:
            case.path_parameters["id"] = held[number % len(held)]
        answer = case.call_and_validate(
            headers={"Authorization": f"Bearer {TOKENS['all']}"},
            excluded_checks=[checks.positive_data_acceptance, *EXCLUDED.get(route.name, [])],
        )
        if mode is GenerationMode.POSITIVE and answer.status_code == 400:
            # What has the right form may yet be refused for what it is about.
            code = answer.json()["error"]["code"]
            assert not code.startswith(("parameter", "not_json")) or odd_on_purpose(case), case

    ask()


def odd_on_purpose(case: Any) -> bool:
    """What JSON Schema can't forbid: 5.0 counts as an integer there, a transfer may be named twice
    with two amounts, of the two directions of a list only one can be turned to, and a period does
    not end before it begins.
    """
    days = {name: str(case.query[name]) for name in ("from", "to") if name in case.query}
    if len(days) == 2 and days["to"] < days["from"]:
        return True
    if {"starting_after", "ending_before"} <= set(case.query):
        return True
    wish = case.body if isinstance(case.body, dict) else {}
    transfers = wish.get("transfers", [])
    names = [each["transfer"] for each in transfers]
    amounts = [each.get("amount") for each in (wish, *transfers)]
    return len(names) > len(set(names)) or any(isinstance(each, float) for each in amounts)


load_all_checks()
EXCLUDED: Final[dict[str, list[Any]]] = {
    # A malformed wish of a batch has a result of its own, in an answer that is a success.
    "createRefundRequests": [checks.negative_data_rejection],
}


def test_the_description_is_openapi(asked: tuple[Caller, list[str]]) -> None:
    caller, _ = asked
    served = caller.get("/openapi.json", token=None)
    assert served.json == DOCUMENT
    assert served.json["openapi"].startswith("3.1.")
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)
    references = set(re.findall(r'"#/components/schemas/(\w+)"', served.get_data(as_text=True)))
    assert references == DOCUMENT["components"]["schemas"].keys(), "none missing, none left over"


def test_every_route_is_described_with_its_scope() -> None:
    for route in ROUTES:
        operation = DOCUMENT["paths"][f"/api{route.path}"][route.method.lower()]
        expected = [] if route.scope is None else [{"token": [str(route.scope)]}]
        assert operation["security"] == expected
        assert {"200", "401"} <= operation["responses"].keys()
    names = [route.name for route in ROUTES]
    assert len(names) == len(set(names))


class Page(HTMLParser):
    """What a page fetches, runs, links to and names."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.targets: list[str] = []
        self.ids: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name in ("href", "src"):
                self.targets.append(value or "")
            if name == "id":
                self.ids.add(value or "")


def test_the_page_for_people_says_it_all_and_fetches_nothing(
    asked: tuple[Caller, list[str]],
) -> None:
    caller, _ = asked
    answer = caller.get("/docs", token=None)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    text = answer.get_data(as_text=True)
    page = Page()
    page.feed(text)
    assert not page.tags & {"script", "link", "img", "iframe", "form"}
    assert not {name for name in page.attributes if name.startswith("on") or name == "style"}
    assert all(target == "openapi.json" or target[1:] in page.ids for target in page.targets)
    for route in ROUTES:
        assert route.name in page.ids
        assert f"/api{route.path}" in text
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert name in page.ids
        assert all(f"<code>{field}</code>" in text for field in schema.get("properties", {}))
    assert answer.headers["Cache-Control"] == "no-store"
    assert page.tags >= {"html", "title", "main", "nav", "h1", "h2"}
