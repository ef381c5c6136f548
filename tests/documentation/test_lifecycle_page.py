"""docs/lifecycle.md shows the table the code goes by, drawn so that mermaid can read it.

It may not compare the table with the specification; the lifecycle's own tests do.
"""

import re

from refunds.lifecycle import TRANSITIONS, Bucket
from tests.documentation.lifecycle_page import PAGE, lifecycle_page

ARROW = re.compile(r"    (\S+) --> (\S+)(?:: ([^:;\n]+))?")


def test_the_page_is_the_one_the_table_makes() -> None:
    again = "run: .venv/bin/python -m tests.documentation.lifecycle_page"
    assert PAGE.read_text(encoding="utf-8") == lifecycle_page(), again


def test_the_picture_has_an_arrow_for_every_transition_and_no_other() -> None:
    picture = lifecycle_page().split("```mermaid\nstateDiagram-v2\n")[1].split("\n```")[0]
    arrows = [ARROW.fullmatch(line) for line in picture.splitlines()]
    drawn = {(arrow[1], arrow[2]) for arrow in arrows if arrow is not None}
    assert None not in arrows, "a line that mermaid would not read"
    begins = {"opened": "[*]"}
    moves = {(begins.get(row.source, row.source), row.target.value) for row in TRANSITIONS}
    ends = {("rejected", "[*]"), ("canceled", "[*]"), ("closed", "[*]")}
    assert drawn == moves | ends
    assert len(arrows) == len(drawn)


def test_the_buckets_stand_in_the_order_of_attention() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `\w+` \| (?:yes)? ", lifecycle_page(), re.MULTILINE)
    assert rows == [
        "review",
        "requested",
        "held",
        "releasing",
        "reversed",
        "submitted",
        "failed",
        "stripe_canceled",
        "succeeded",
        "compensated",
        "rejected",
        "canceled",
        "closed",
    ]
    assert len(rows) == len(Bucket) - 1
