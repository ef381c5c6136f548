"""The README's section about the API: its lines are run, and its table has every route.

It may not change a line before it is run; what stands there as a variable comes from outside.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from api.table import ROUTES
from tests.support.repository import ROOT
from tests.support.stage import KEY, staged
from tests.support.web import running_web

SECTION: Final = (
    (ROOT / "README.md").read_text().split("\n## Asking over HTTP\n")[1].split("\n## ")[0]
)
TOKEN: Final = "readers-token-0123456789"


def test_the_table_has_every_route_with_its_scope() -> None:
    rows = re.findall(r"^\| `(\w+) (/api\S+)` \| `?(\w+)`? \|", SECTION, re.MULTILINE)
    assert {(method, path): scope for method, path, scope in rows} == {
        (route.method, f"/api{route.path}"): str(route.scope or "none") for route in ROUTES
    }
    assert len(rows) == len(ROUTES)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_the_lines_do_what_is_said(sqlite_url: str, tmp_path: Path) -> None:
    asking, acting = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)
    with staged(sqlite_url) as stage:
        stage.paid(stage.account(1000), 5000)
        [payment] = stage.sandbox.control("GET", "state")["objects"]["payment_intent"]
        settings = {
            "SLUICE_API_TOKENS": f"shop:{TOKEN}",
            "STRIPE_API_KEY": KEY,
            "STRIPE_API_BASE": stage.sandbox.base_url,
        }
        with running_web(sqlite_url, tmp_path, settings=settings) as web:
            variables = {"SLUICE": web.url, "TOKEN": TOKEN, "PAYMENT": str(payment["id"])}
            made, preview, listed = run(asking, variables)
            again, _, _ = run(asking, variables)
            shown, canceled = run(acting, {**variables, "REQUEST": made["id"]})
    assert (made["status"], made["amount"], made["shortfall"]) == ("held", 2500, 1500)
    assert again == made, "the same key"
    assert (preview["id"], preview["amount"]) == (None, 500)
    assert [each["id"] for each in listed["data"]] == [made["id"]]
    assert shown == made
    assert canceled["status"] == "canceled"


def run(lines: str, variables: dict[str, str]) -> list[Any]:
    """Run a block as a reader would; return the documents that came back."""
    done = subprocess.run(
        ["bash", "-eu", "-c", lines],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "NO_PROXY": "127.0.0.1", **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    decoder, text, documents = json.JSONDecoder(), done.stdout.strip(), []
    while text:
        document, end = decoder.raw_decode(text)
        documents.append(document)
        text = text[end:].lstrip()
    return documents
