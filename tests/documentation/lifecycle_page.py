"""Writes docs/lifecycle.md from the table of transitions.

It runs as `python -m tests.documentation.lifecycle_page`, and it may not say anything about a
transition that the table doesn't.
"""

from typing import Final

from refunds.lifecycle import OPEN, SENT, TRANSITIONS, WAITING, Bucket, Transition, status_of
from tests.support.repository import ROOT

PAGE: Final = ROOT / "docs" / "lifecycle.md"

OPENING: Final = """\
# The life of a refund request

<!-- Written by `python -m tests.documentation.lifecycle_page` from refunds/lifecycle.py. -->

A request's amount lies in buckets, nearly always all of it in one. An entry in the ledger moves an
amount from one bucket to another, and only along an arrow of this picture; the database keeps every
entry for good, so a correction is a further entry.
"""

STATUS_NOTE: Final = """\
A request whose amount lies in several buckets is called after the one that needs most attention, in
the order of this table from the top. Money that succeeded beside money that came to nothing makes
it `partially_refunded`.
"""


def lifecycle_page() -> str:
    """Return the whole page as it should be on disk."""
    parts = [OPENING, _diagram(), "## Every move\n", _moves(), "## Every bucket\n", STATUS_NOTE]
    return "\n".join([*parts, _buckets()])


def _diagram() -> str:
    sources = {row.source for row in TRANSITIONS}
    arrows = [f"    {_node(row.source)} --> {row.target}: {_label(row)}" for row in TRANSITIONS]
    ends = [f"    {bucket} --> [*]" for bucket in Bucket if bucket not in sources]
    return "\n".join(["```mermaid", "stateDiagram-v2", *arrows, *ends, "```", ""])


def _node(bucket: Bucket) -> str:
    return "[*]" if bucket is Bucket.OPENED else bucket


def _label(row: Transition) -> str:
    # Mermaid ends a label at a colon or a semicolon.
    return row.when.replace(":", ",").replace(";", ",")


def _moves() -> str:
    lines = [
        f"| {'*outside*' if row.source is Bucket.OPENED else f'`{row.source}`'} "
        f"| `{row.target}` | {row.when} |"
        for row in TRANSITIONS
    ]
    return "\n".join(["| from | to | when |", "|---|---|---|", *lines, ""])


def _buckets() -> str:
    lines = []
    for bucket in sorted(set(Bucket) - {Bucket.OPENED}, key=_attention):
        marks = ["yes" if bucket in group else "" for group in (WAITING, OPEN, SENT)]
        lines.append(f"| `{bucket}` | `{status_of({bucket: 1})}` | {' | '.join(marks)} |")
    head = "| bucket | status | a run may take it | open: claims a part of the charge | sent |"
    return "\n".join([head, "|---|---|---|---|---|", *lines, ""])


def _attention(bucket: Bucket) -> tuple[int, int]:
    """Place a bucket behind every other that outshouts it when both hold money."""
    others = set(Bucket) - {Bucket.OPENED, bucket}
    own = status_of({bucket: 1})
    louder = [
        other
        for other in others
        if status_of({bucket: 1, other: 1}) is status_of({other: 1}) is not own
    ]
    return len(louder), list(Bucket).index(bucket)


if __name__ == "__main__":
    PAGE.write_text(lifecycle_page(), encoding="utf-8")
