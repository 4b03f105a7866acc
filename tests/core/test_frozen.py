"""`core.frozen`: records are made and copied cheaply, and are equal and hashable as frozen ones (ADR 0004)."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from ocpp_server.core.frozen import dataclass, replace
from ocpp_server.core.records import Transaction


@dataclass(frozen=True, slots=True)
class Point:
    """A record."""

    x: int
    y: tuple[int, ...] = ()


@dataclass()
class Open:
    """A thing that changes."""

    x: int


def test_a_copy_has_the_new_values_and_leaves_the_first_as_it_was() -> None:
    """As `dataclasses.replace`, twice: the second copy uses what the first one made."""
    first = Point(1, (2,))

    assert [replace(first, x=3), replace(first, y=()), replace(first)] == [Point(3, (2,)), Point(1), Point(1, (2,))]
    assert first == Point(1, (2,))


def test_a_misspelt_field_is_an_error() -> None:
    """A slotted record has no place for it."""
    with pytest.raises(AttributeError):
        replace(Point(1), z=3)  # type: ignore[call-arg]


def test_equal_records_have_one_hash() -> None:
    """They are keys of dictionaries; what changes is none."""
    assert {Point(1): "a"}[Point(1)] == "a"
    with pytest.raises(TypeError):
        hash(Open(1))


def test_every_field_of_a_transaction_is_copied() -> None:
    """The longest record there is."""
    values = {field.name: object() for field in dataclasses.fields(Transaction)}
    copy = replace(Transaction(**values))  # type: ignore[arg-type]

    assert {name: getattr(copy, name) for name in values} == values


def test_the_type_checker_refuses_an_assignment(tmp_path: Path) -> None:
    """For it they are the frozen ones of the standard library."""
    source = tmp_path / "assignment.py"
    source.write_text(
        "from ocpp_server.core.period import Gap\n\n\ndef f(gap: Gap) -> None:\n    gap.until = gap.until\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(source)]
    checked = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)

    assert 'Property "until" defined in "Gap" is read-only' in checked.stdout
