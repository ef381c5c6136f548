"""Shows that the record of decisions can be cited by number: each has one, and none is left out."""

import re
from typing import Final

import pytest

from tests.support.repository import ROOT

DECISIONS: Final = sorted((ROOT / "docs" / "decisions").glob("*.md"))


def test_the_numbers_follow_each_other() -> None:
    numbers = [file.name.split("-")[0] for file in DECISIONS]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]


@pytest.mark.parametrize("name", [file.name for file in DECISIONS])
def test_a_title_bears_the_number_of_its_file(name: str) -> None:
    title = (ROOT / "docs" / "decisions" / name).read_text().splitlines()[0]
    number = re.match(r"# (\d+)\. \S", title)
    assert number is not None
    assert int(number[1]) == int(name[:4])
