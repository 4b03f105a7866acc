"""Charge points as the control API tells them: a table of them, what each said of itself, what a form changes. Pure."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import pandas as pd

from dashboard.badges import BadgeColor
from dashboard.json_values import Json, claim_at, moment_at, number_at, text_at, whole_at
from dashboard.texts import Words
from dashboard.wording import LONGEST_SENTENCE, escaped, fold, plain

STATES: Final[Mapping[str, BadgeColor]] = {
    "pending": "orange",
    "locked": "violet",
    "connected": "green",
    "away": "gray",
}
"""With the colour of its badge."""
ENERGY_UNITS: Final = ("", "Wh", "kWh")
ACCESS: Final = ("quota", "free", "closed")
MOST_KW: Final = 10_000.0
PROFILES: Final = (0, 1, 2, 3)
"""OCPP security profiles: how a charge point proves who it is."""
SHORTEST_KEY: Final = 16
LONGEST_KEY: Final = 40
"""Of OCPP's AuthorizationKey (security white paper, profiles 1 and 2)."""
COLUMNS: Final = ("name", "brand", "energy_unit", "max_kw", "access", "ping", "configure", "note")


def state_of(charge_point: Json) -> str:
    """Give one of `STATES`: what matters most of its admission and its connection."""
    admission = text_at(charge_point, "admission")
    if admission in {"pending", "locked"}:
        return admission
    return "connected" if claim_at(charge_point, "connected") else "away"


def state_words(charge_point: Json, words: Words) -> str:
    """Give its state in words."""
    return words(f"manage_chargers.state.{state_of(charge_point)}")


def title_of(charge_point: Json) -> str:
    """Give its name, with the id where that is another."""
    name, charge_point_id = plain(text_at(charge_point, "name")), plain(text_at(charge_point, "id"))
    return charge_point_id if name in {"", charge_point_id} else f"{name} ({charge_point_id})"


def made_by(charge_point: Json) -> str:
    """Give vendor and model as it told them at boot."""
    return plain(" ".join(filter(None, (text_at(charge_point, "vendor"), text_at(charge_point, "model")))))


def search(charge_points: Iterable[Json], query: str) -> list[Json]:
    """Give those in which every word of the query is found."""
    wanted = fold(query).split()
    keys = ("id", "name", "brand", "vendor", "model", "address", "note")
    return [
        each
        for each in charge_points
        if all(word in fold(" ".join(text_at(each, key) for key in keys)) for word in wanted)
    ]


def table_of(charge_points: Iterable[Json], words: Words) -> pd.DataFrame:
    """Give a row for each, in their order."""
    rows = [
        {
            "charger": title_of(each),
            "state": [state_words(each, words)],
            "brand": plain(text_at(each, "brand")),
            "made_by": made_by(each),
            "max_kw": number_at(each, "max_kw"),
            "access": words.of("manage_chargers.access", text_at(each, "access"), plain(text_at(each, "access"))),
            "address": plain(text_at(each, "address")),
            "last_seen": moment_at(each, "last_seen"),
            "sessions": whole_at(each, "sessions"),
        }
        for each in charge_points
    ]
    table = pd.DataFrame(rows)
    if rows:
        table["last_seen"] = pd.to_datetime(table["last_seen"], utc=True)
        table["max_kw"] = table["max_kw"].astype("float64")
    return table


def said_lines(charge_point: Json, words: Words, clock: Callable[[datetime | None], str]) -> list[str]:
    """Give as Markdown what it says of itself and how it came; `clock` writes a time."""
    profile = whole_at(charge_point, "security_profile")
    facts = (
        ("id", escaped(text_at(charge_point, "id"))),
        ("made_by", escaped(made_by(charge_point))),
        ("address", escaped(text_at(charge_point, "address"))),
        ("proved", words(f"manage_chargers.profile.{profile}") if profile in PROFILES else ""),
        ("first_seen", clock(moment_at(charge_point, "first_seen"))),
        ("last_seen", clock(moment_at(charge_point, "last_seen"))),
        ("has_key", words(f"manage_chargers.{'yes' if claim_at(charge_point, 'has_key') else 'no'}")),
    )
    unsaid = words("manage_chargers.unsaid")
    return [f"- {words(f'manage_chargers.fact.{name}')}: {value or unsaid}" for name, value in facts]


def changes_between(charge_point: Json, form: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a form says otherwise than the charge point's row, as the API wants it: a blank cell is null."""
    wanted = {column: _cell(form[column]) for column in COLUMNS}
    return {column: value for column, value in wanted.items() if value != _cell(charge_point.get(column))}


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip() or None
    return value


def can_be_key(typed: str) -> bool:
    """A charge point can be given this as its password, and nobody will guess it at once."""
    return SHORTEST_KEY <= len(typed) <= LONGEST_KEY and typed.isascii() and typed.isprintable()


def remark_lines(remarks: object) -> str:
    """Give the server's remarks as a Markdown list."""
    listed = remarks if isinstance(remarks, list) else []
    return "\n".join(f"- {escaped(str(remark), LONGEST_SENTENCE)}" for remark in listed)


def leak_table(leaks: Iterable[Json], words: Words) -> pd.DataFrame:
    """Give what escapes the quota, and what would close it."""
    rows = [
        {
            "key": plain(text_at(leak, "key")),
            "value": plain(text_at(leak, "value")),
            "why": plain(text_at(leak, "why"), LONGEST_SENTENCE),
            "mend": _change(leak.get("mend")) or words("manage_chargers.leak_by_hand"),
        }
        for leak in leaks
    ]
    return pd.DataFrame(rows, columns=["key", "value", "why", "mend"])


def _change(mend: object) -> str:
    return f"{plain(text_at(mend, 'key'))} = {plain(text_at(mend, 'value'))}" if isinstance(mend, dict) else ""


def mended_table(mended: Iterable[Json], words: Words) -> pd.DataFrame:
    """Give what the charge point said to each change."""
    rows = []
    for one in mended:
        status = text_at(one, "status")
        meaning = words.of("manage_chargers.answer", status, "")
        said = f"{plain(status)}: {meaning}" if meaning else plain(status)
        rows.append({"change": _change(one), "said": said})
    return pd.DataFrame(rows, columns=["change", "said"])
