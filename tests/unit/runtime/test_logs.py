"""Logs are JSON on stderr, and what looks like a secret is blacked out wherever it stands."""

import json
import logging
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.logs import BLACKED_OUT, redact

SECRETS = [
    "sk_live_51Habc",
    "rk_test_51Habc_def",
    "whsec_abc+/=def",
    "v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd",
    "postgresql://user:hunter2@db.internal/sluice",
    "Authorization: Bearer hunter2",
]


def cleaned(entry: dict[str, Any]) -> str:
    return json.dumps(redact(None, "info", entry))


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "entry",
    [
        {"event": "before {} after"},
        {"event": "x", "field": "{}"},
        {"event": "x", "nested": {"list": ["{}", ("{}",)]}},
        {"event": "x", "exception": "Traceback …\n  ValueError: {}"},
    ],
)
def test_a_secret_is_blacked_out_wherever_it_stands(secret: str, entry: dict[str, Any]) -> None:
    filled = json.loads(json.dumps(entry).replace("{}", secret))
    shown = cleaned(filled)
    assert BLACKED_OUT in shown
    for part in ("51Habc", "abc+/", "5257a869", "hunter2"):
        assert part not in shown


def test_bytes_are_bodies_and_stay_out() -> None:
    assert "card" not in cleaned({"event": "x", "body": b"card"})


def test_what_is_no_secret_stays_readable() -> None:
    entry = {"event": "release.prepared", "request": "rr_1", "amount_minor": 5000, "ok": True}
    assert redact(None, "info", dict(entry)) == entry


@given(st.recursive(st.text() | st.integers() | st.none(), lambda x: st.dictionaries(st.text(), x)))
def test_nothing_that_is_logged_can_break_the_fence(value: object) -> None:
    json.dumps(redact(None, "info", {"event": value}))


def test_a_process_logs_json_with_tracebacks_cleaned() -> None:
    script = """
import logging, structlog
from runtime.logs import configure_logs
configure_logs()
structlog.get_logger("ours").info("thing.happened", key="sk_test_hunter2", n=1)
logging.getLogger("library").warning("told %s", "whsec_hunter2")
logging.getLogger("apscheduler.executors.default").info("Running job")
logging.getLogger("alembic.runtime.migration").info("Context impl")
try:
    raise ValueError("sk_live_hunter2")
except ValueError:
    structlog.get_logger("ours").exception("thing.broke")
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == ""
    lines = [json.loads(line) for line in run.stderr.splitlines()]
    assert [line["event"] for line in lines] == [
        "thing.happened",
        f"told {BLACKED_OUT}",
        "thing.broke",
    ]
    assert "ValueError" in lines[2]["exception"]
    assert "hunter2" not in run.stderr
    assert logging.getLevelName(logging.INFO).lower() == lines[0]["level"]
