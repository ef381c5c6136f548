"""`python -m sandbox` explains a wrong argument before it serves anything."""

import sys

import pytest

from sandbox.__main__ import main


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--port", "99999"], "'99999' is not a port"),
        (["--port", "-1"], "'-1' is not a port"),
        (["--start-time", "yesterday"], "'yesterday' is not a moment"),
        (["--webhook-url", "127.0.0.1:8000"], "does not begin with http"),
        (["--connect-webhook-url", "ftp://x"], "does not begin with http"),
        (["--seed", "x"], "invalid int value"),
    ],
)
def test_a_wrong_argument_is_named(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    says: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["sandbox", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert says in capsys.readouterr().err
