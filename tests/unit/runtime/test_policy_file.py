"""The policy file: what is wrong with it is said with file and line.

It may not test each key's form; that is the pure core's.
"""

from pathlib import Path

import pytest

from refunds.ids import AccountId
from refunds.policy import DEFAULT_BOOK
from runtime.policy_file import FILE_BYTES_MAX, PolicyFileError, line_of, load_policy

POLICY = """\
# what holds for everybody
[default]
hold_for = "5d"  # a working week
minimum_balance = { usd = 500 }
recovery = [
    "wait",
    "top_up",
]

[ risk . "high" ]   # few
review_above.usd = 0
slower_settlement_days = 3

[accounts.acct_1]
hold_for = "14d"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "policy.toml"


def test_without_a_file_the_built_in_policy_holds() -> None:
    assert load_policy(None).book == DEFAULT_BOOK


def test_a_file_is_read_with_remarks_on_what_has_no_effect(path: Path) -> None:
    path.write_text(POLICY)
    loaded = load_policy(path)
    assert loaded.book.policy_for(AccountId("acct_1"), None).hold_for.days == 14
    assert loaded.book.policy_for(None, None).hold_for.days == 5
    assert [remark.split(" has ")[0] for remark in loaded.remarks if "slower" in remark] == [
        f"{path}:12: risk.high.slower_settlement_days"
    ]
    assert any(remark.startswith(f"{path}:5: default.recovery ") for remark in loaded.remarks)


@pytest.mark.parametrize(
    "key, line",
    [
        ("default", 2),
        ("default.hold_for", 3),
        ("default.minimum_balance.usd", 4),
        ("default.recovery", 5),
        ("risk.high", 10),
        ("risk.high.review_above.usd", 11),
        ("risk.high.review_above.eur", 10),
        ("accounts.acct_1.hold_for", 15),
        ("accounts.acct_2", None),
    ],
)
def test_the_line_of_a_key(key: str, line: int | None) -> None:
    assert line_of(POLICY, tuple(key.split("."))) == line


def test_a_key_that_holds_a_dot_is_one_key() -> None:
    assert line_of('[risk."a.b"]\nx = 1', ("risk", "a.b", "x")) == 2


@pytest.mark.parametrize(
    "written, where, says",
    [
        ("[default]\n\nhold_for = '7 days'\n", ":3: default.hold_for ", 'such as "7d"'),
        ("[default]\n[risk.high]\nhold_fro = '1d'", ":3: risk.high.hold_fro ", "hold_for?"),
        ("[[default]]\nhold_for = '1d'", ":1: default ", "is a table"),
        ("[default]\nhold_for = 7d", ":2: is not TOML", ""),
        ("[default]\nhold_for = '1d'\nhold_for = '2d'", ":3: is not TOML", "overwrite"),
        ("[default]\nhold_for = '1d", ":2: is not TOML", ""),
        ("[default]\nstarve_after = " + "9" * 5_000, ": is not a policy", "digits"),
        ("[default]\nrecovery = " + "[" * 3_000, ":", ""),
    ],
)
def test_a_mistake_is_named_with_its_line(path: Path, written: str, where: str, says: str) -> None:
    path.write_text(written)
    with pytest.raises(PolicyFileError) as caught:
        load_policy(path)
    assert str(caught.value).startswith(f"{path}{where}")
    assert says in str(caught.value)


def test_a_file_that_is_no_text_names_the_line(path: Path) -> None:
    path.write_bytes(b"[default]\n# caf\xe9\n")
    with pytest.raises(PolicyFileError, match=r"policy\.toml:2: is not UTF-8 text"):
        load_policy(path)


def test_a_file_that_is_not_there_or_too_large_says_so(path: Path) -> None:
    with pytest.raises(PolicyFileError, match=r"can't be read: No such file.*SLUICE_POLICY_FILE"):
        load_policy(path)
    path.write_bytes(b"#" * (FILE_BYTES_MAX + 1))
    with pytest.raises(PolicyFileError, match=r"larger than a policy can be"):
        load_policy(path)
