"""The lines of `.env`, before they are settings: which cannot be read, and which names nobody knows.

A setting with a slip in its name would else stay at its default, and nobody would know.
"""

import difflib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from dotenv.parser import Binding, parse_stream

PREFIX: Final = "EVQUOTA_"
NAMES_OF_TOOLS: Final = frozenset({"EVQUOTA_VENV", "EVQUOTA_NO_SKIPS"})
"""Read by `./run` and by the tests, only from the environment; they are no settings of the server."""


class SettingsError(Exception):
    """A name or a value among the settings is wrong. The message has one line per problem."""


def problems_of(env_file: Path | None, known: set[str]) -> list[str]:
    """What is wrong with the lines of the file and with the names there and in the environment, a sentence each.

    `known` are the names of the settings. Raises SettingsError for a file that cannot be read; it may be absent.
    """
    bindings = list(_bindings(env_file)) if env_file is not None else []
    return [*_unreadable_lines(env_file, bindings), *_unknown_names(env_file, bindings, known)]


def _bindings(env_file: Path) -> Iterator[Binding]:
    try:
        with env_file.open(encoding="utf-8-sig") as stream:
            yield from parse_stream(stream)
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        message = f"{env_file} cannot be read ({error}): expected a UTF-8 text file that this user may read"
        raise SettingsError(message) from error


def _unreadable_lines(env_file: Path | None, bindings: Iterable[Binding]) -> Iterator[str]:
    for binding in bindings:
        if binding.error or (binding.key is not None and binding.value is None):
            line = binding.original.line + binding.original.string.count("\n", 0, _leading_blank(binding))
            text = binding.original.string.strip()
            yield f'{env_file} line {line}: expected NAME=value, not "{text}"'


def _leading_blank(binding: Binding) -> int:
    """How many characters come before the first sign: python-dotenv counts blank lines to what follows."""
    text = binding.original.string
    return len(text) - len(text.lstrip())


def _unknown_names(env_file: Path | None, bindings: Iterable[Binding], known: set[str]) -> Iterator[str]:
    in_environment = (name for name in os.environ if name.upper().startswith(PREFIX))
    for name in in_environment:
        if name.upper() not in known | NAMES_OF_TOOLS:
            yield f"{name} (in the environment) is not a setting{_nearest(name, known)}"
    in_file = (binding.key for binding in bindings if binding.key is not None)
    for name in in_file:
        if name.upper() not in known:
            yield f"{name} (in {env_file}) is not a setting{_nearest(name, known)}"


def _nearest(name: str, known: set[str]) -> str:
    wanted = PREFIX + name.upper().removeprefix(PREFIX)
    nearest = difflib.get_close_matches(wanted, sorted(known), n=1, cutoff=0.0)
    return f": did you mean {nearest[0]}?" if nearest else ""
