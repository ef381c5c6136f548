"""The page about notifications names every kind, and who is written to about it."""

import re
from typing import Final

from refunds.notifications import LETTERS, Audience
from tests.support.repository import ROOT

PAGE: Final = (ROOT / "docs" / "notifications.md").read_text()
NAMES: Final = {"connected account": Audience.ACCOUNT, **{each.value: each for each in Audience}}


def test_the_table_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| [^|]+ \|([^|]*)\|$", PAGE, re.MULTILINE)
    page = {
        kind: {NAMES[name.strip()] for name in readers.split(",") if name.strip()}
        for kind, readers in rows
    }
    assert page == {str(kind): set(readers) for kind, readers in LETTERS.items()}


def test_files_that_the_page_names_are_there() -> None:
    names = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]*(?:\.py)?)`", PAGE))
    assert names
    for name in names:
        assert (ROOT / name).exists(), name
