"""The README says what is there: each setting, command and option, and no others."""

import re
import tomllib
from collections.abc import Iterator
from typing import Final

import click
import pytest
from pydantic import SecretStr

from refunds.ids import AccountId
from refunds.policy import DEFAULT_POLICY
from refunds.policy_form import NO_EFFECT_YET, read_policy
from refunds.policy_text import plain_policy, toml_line
from runtime.cli import main
from runtime.settings import Settings
from tests.support.repository import ROOT

README: Final = (ROOT / "README.md").read_text()
ARCHITECTURE: Final = (ROOT / "docs" / "architecture.md").read_text()


def rows_below(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_setting_is_in_the_table_with_its_default() -> None:
    table = {row[0].strip("`"): row[2].strip("`") for row in rows_below("Settings")}
    assert set(table) == {name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        default = field.default
        if isinstance(default, SecretStr):
            default = default.get_secret_value()
        if isinstance(default, str | int):
            assert table[name.upper()] == str(default)


def test_every_setting_is_in_the_example_file() -> None:
    example = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE)) == {
        name.upper() for name in Settings.model_fields
    }


def test_every_key_of_the_policy_is_in_the_table_with_its_default() -> None:
    rows = rows_below("Policy")
    written = {row[0].strip("`"): row[2].strip("`") for row in rows}
    assert [f"{key} = {value}" for key, value in written.items()] == [
        toml_line(key, value) for key, value in plain_policy(DEFAULT_POLICY).items()
    ]
    silent = {row[0].strip("`") for row in rows if "no effect yet" in row[1]}
    assert silent == set(NO_EFFECT_YET)


def test_the_policy_of_the_page_is_one() -> None:
    example = re.search(r"```toml\n(.*?)```", README, re.DOTALL)
    assert example is not None
    book = read_policy(tomllib.loads(example[1]))
    assert book.policy_for(AccountId("acct_1NhXExample"), "high").hold_for.days == 14


def commands(group: click.Command, words: tuple[str, ...]) -> Iterator[tuple[str, set[str]]]:
    """Each command as it is typed, with its options."""
    context = click.Context(group)
    options = {
        option
        for parameter in group.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
        if option not in ("--help", "--version")
    }
    arguments = [
        str(parameter.metavar)
        for parameter in group.params
        if isinstance(parameter, click.Argument)
    ]
    if not isinstance(group, click.Group) or group.invoke_without_command:
        yield " ".join((*words, *arguments)), options
    if isinstance(group, click.Group):
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            # What is hidden is typed without its name: `sluice requests ID`.
            yield from commands(command, words if command.hidden else (*words, name))


def test_every_command_and_option_is_in_the_table() -> None:
    documented = {
        row[0].strip("`"): set(re.findall(r"`(--[a-z-]+)`", row[1]))
        for row in rows_below("The command line")
    }
    assert documented == dict(commands(main, ("sluice",)))


def test_the_overview_of_commands_is_that_of_the_commands() -> None:
    context = click.Context(main)
    for name in main.list_commands(context):
        assert main.get_command(context, name) is not None, name


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md"])
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_code_that_the_pages_name_is_there() -> None:
    for name in set(re.findall(r"`((?:[a-z_]+/)+[a-z_]*(?:\.py)?)`", README + ARCHITECTURE)):
        assert (ROOT / name).exists(), name
