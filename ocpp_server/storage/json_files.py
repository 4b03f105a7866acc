"""Reading the published files back: JSON of the shape that was expected, or an error with file, line and column."""

import json
from pathlib import Path
from typing import Any, TypeAlias

from ocpp_server.core.energy import EnergyUnit, Wh, parse_number, to_wh
from ocpp_server.storage.errors import ImportFileError

JsonObject: TypeAlias = dict[str, Any]

_LARGEST_FILE = 64 * 1024 * 1024


def read_usage(path: Path) -> dict[str, Wh] | None:
    """Wh by tag of an energy_usage.json (kWh, whatever noise the floats carry); None if there is no such file.

    Strict, because it is money: an amount that is negative or no number, or a tag that is there twice, is an error.
    Raises ImportFileError.
    """
    if not path.exists():
        return None
    text = _text(path)
    document = _parsed(path, text)
    if not isinstance(document, dict):
        raise ImportFileError(f"{path.name}: an object of tags and kWh was expected, a {_kind(document)} came")
    usage: dict[str, Wh] = {}
    for key, value in document.items():
        number = None if isinstance(value, str) else parse_number(value)
        if number is None or number < 0:
            came = json.dumps(value)[:40]
            raise ImportFileError(f'{_place(path, text, key)}: "{key}" has {came}, an amount of kWh was expected')
        if key.strip() in usage:
            raise ImportFileError(f'{_place(path, text, key)}: "{key.strip()}" is there twice')
        usage[key.strip()] = to_wh(number, EnergyUnit.KWH)
    return usage


def read_objects(path: Path) -> dict[str, JsonObject]:
    """The objects of a file by their key, empty if there is no such file. Raises ImportFileError."""
    document = _parsed(path, _text(path)) if path.exists() else {}
    if not isinstance(document, dict):
        raise ImportFileError(f"{path.name}: an object was expected, a {_kind(document)} came")
    return {key: value for key, value in document.items() if isinstance(value, dict)}


def read_rows(path: Path) -> list[JsonObject]:
    """The objects of a file that is a list, empty if there is no such file. Raises ImportFileError."""
    document = _parsed(path, _text(path)) if path.exists() else []
    if not isinstance(document, list):
        raise ImportFileError(f"{path.name}: a list was expected, a {_kind(document)} came")
    return [value for value in document if isinstance(value, dict)]


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ImportFileError(f"{path.name} is larger than {_LARGEST_FILE // 2**20} MiB")
        content = path.read_bytes()
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise ImportFileError(f"{path.name} line {line} column {column}: not UTF-8 text") from error
    except OSError as error:
        raise ImportFileError(f"{path.name} cannot be read: {error.strerror or error}") from error


def _parsed(path: Path, text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        place = f"{path.name} line {error.lineno} column {error.colno}"
        raise ImportFileError(f"{place}: not JSON ({error.msg})") from error
    except _RepeatedKeyError as error:
        raise ImportFileError(f'{_place(path, text, str(error))}: "{error}" is there twice') from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, a thousand brackets
        raise ImportFileError(f"{path.name}: not usable JSON ({error})") from error


class _RepeatedKeyError(Exception):
    """Two values under one key: which one is meant?"""


def _unique(pairs: list[tuple[str, Any]]) -> JsonObject:
    document = dict(pairs)
    if len(document) != len(pairs):
        keys = [key for key, _ in pairs]
        raise _RepeatedKeyError(next(key for key in keys if keys.count(key) > 1))
    return document


def _place(path: Path, text: str, key: str) -> str:
    """File, line and column of the last mention of a key."""
    position = max(text.rfind(json.dumps(key, ensure_ascii=False)), text.rfind(json.dumps(key)))
    if position < 0:
        return path.name
    return (
        f"{path.name} line {text.count(chr(10), 0, position) + 1} column {position - text.rfind(chr(10), 0, position)}"
    )


def _kind(document: object) -> str:
    return {dict: "object", list: "list", str: "text", bool: "truth value"}.get(type(document), "number or null")
