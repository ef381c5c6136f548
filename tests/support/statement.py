"""Reads an exported statement as a bookkeeper's program would: by the names of its columns.

It may not know how it was written.
"""

import csv
import io
from collections import Counter
from typing import TypeAlias

Rows: TypeAlias = list[dict[str, str]]


def read_statement(text: str) -> Rows:
    """Every line but the one with the names."""
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def facts_of(rows: Rows, kind: str) -> Rows:
    """The facts of a kind."""
    return [row for row in rows if (row["record"], row["kind"]) == ("fact", kind)]


def totals_of(rows: Rows) -> dict[tuple[str, str], int]:
    """What the statement says that its facts add up to, minor units per kind and currency."""
    return {
        (row["kind"], row["currency"]): int(row["amount_minor"])
        for row in rows
        if row["record"] == "total"
    }


def added_up(rows: Rows) -> dict[tuple[str, str], int]:
    """What its facts do add up to."""
    sums: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if row["record"] == "fact":
            sums[row["kind"], row["currency"]] += int(row["amount_minor"])
    return dict(sums)
