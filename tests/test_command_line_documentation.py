"""docs/command-line.md: every subcommand stands there with its exit codes, and its examples are what can be typed."""

import re
import shlex

import pytest

from ocpp_server import __main__, command_line
from ocpp_server.settings import PROJECT_FOLDER

PAGE = (PROJECT_FOLDER / "docs" / "command-line.md").read_text(encoding="utf-8")
PREFIX = ".venv/bin/python -m ocpp_server "
EXAMPLES = [line.removeprefix(PREFIX) for line in PAGE.splitlines() if line.startswith(PREFIX)]
FOR_PROGRAMS = {"serve", "prepare", "dashboard"}
"""They take nothing, and nobody types them."""


def test_every_subcommand_has_its_line_in_the_table_of_exit_codes() -> None:
    """And the table names none that is not there."""
    assert set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)) == set(__main__.SUBCOMMANDS)


def test_every_subcommand_for_people_has_a_section_with_an_example() -> None:
    """In any order; the help of each is a line."""
    sections = set(re.findall(r"^## ([a-z-]+)$", PAGE, re.MULTILINE))

    assert sections == set(__main__.SUBCOMMANDS) - FOR_PROGRAMS
    assert {example.split()[0] for example in EXAMPLES} == sections
    assert all(subcommand.act.__doc__ for subcommand in __main__.SUBCOMMANDS.values())


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_page_can_be_typed(example: str) -> None:
    """The parser takes it as it stands."""
    words = shlex.split(example)

    assert command_line.parse(__main__.SUBCOMMANDS, words).subcommand == words[0]


def test_every_option_of_report_backup_restore_and_token_is_explained() -> None:
    """An option that is not on the page is one that nobody finds."""
    parser = command_line.parser_of(__main__.SUBCOMMANDS)
    (subparsers,) = (action for action in parser._actions if isinstance(action.choices, dict))
    assert isinstance(subparsers.choices, dict)
    for name in ("status", "stop", "command", "report", "backup", "restore", "token"):
        options = {text for action in subparsers.choices[name]._actions for text in action.option_strings}
        assert {option for option in options - {"-h", "--help"} if option not in PAGE} == set()
