"""Energy that was set aside and waits for a person, as the control API tells it. Pure."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import pandas as pd

from dashboard.json_values import Json, moment_at, number_at, object_at, text_at, whole_at
from dashboard.records import Wh
from dashboard.texts import Words
from dashboard.wording import LONGEST_SENTENCE, escaped, plain

STATES: Final = {"open": "orange", "accepted": "green", "dropped": "gray", "withdrawn": "blue"}
"""With the colour of its badge."""
MOST_KWH: Final = 1_000_000.0
LONGEST_TAG: Final = 20
COLUMNS: Final = (
    "number", "kind", "state", "time", "charger", "transaction", "card", "energy", "reason", "decided", "decided_by",
)  # fmt: skip


def is_open(entry: Json) -> bool:
    """A person may still decide about it."""
    return text_at(entry, "state") == "open"


def is_orphan(entry: Json) -> bool:
    """A stop that fits no session, whose energy and card may have to be said by a person."""
    return text_at(entry, "kind") == "orphan"


def energy_of(entry: Json) -> Wh | None:
    """Give what was booked, else what acceptance would book; None: a person must say it."""
    booked = _wh(entry, "booked_wh")
    return _wh(entry, "wh") if booked is None else booked


def proposed_kwh(entry: Json) -> float | None:
    """Give the kWh to begin from; None where nobody knows, or where nobody would believe it."""
    energy = _wh(entry, "wh")
    return energy / 1000 if energy is not None and 0 <= energy / 1000 <= MOST_KWH else None


def _wh(entry: Json, key: str) -> Wh | None:
    """A register that was set aside may be larger than any whole number that `whole_at` believes."""
    found = number_at(entry, key)
    return None if found is None else Wh(round(found))


def table_of(entries: Iterable[Json], words: Words) -> pd.DataFrame:
    """Give a row for each, the newest first; energy in kWh."""
    rows = [
        {
            "number": whole_at(entry, "number"),
            "kind": kind_words(entry, words),
            "state": [words.of("manage_set_aside.state", text_at(entry, "state"), plain(text_at(entry, "state")))],
            "time": moment_at(entry, "at"),
            "charger": plain(text_at(entry, "charge_point_id")),
            "transaction": text_at(entry, "transaction_id"),
            "card": plain(text_at(entry, "id_tag")),
            "energy": None if (energy := energy_of(entry)) is None else energy / 1000,
            "reason": plain(text_at(entry, "reason"), LONGEST_SENTENCE),
            "decided": moment_at(entry, "decided_at"),
            "decided_by": plain(text_at(entry, "decided_by")),
        }
        for entry in entries
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    for column in ("time", "decided"):
        table[column] = pd.to_datetime(table[column], utc=True)
    table["energy"] = table["energy"].astype("float64")
    return table


def kind_words(entry: Json, words: Words) -> str:
    """Give what was set aside in words."""
    kind = text_at(entry, "kind")
    return words.of("manage_set_aside.kind", kind, plain(kind))


def fact_lines(entry: Json, words: Words, clock: Mapping[str, str]) -> list[str]:
    """Give all that is known of one as Markdown; `clock` has its times by key, already in words."""
    facts = (
        ("reason", escaped(text_at(entry, "reason"), LONGEST_SENTENCE)),
        ("charger", escaped(text_at(entry, "charge_point_id"))),
        ("transaction", escaped(text_at(entry, "transaction_id"))),
        ("card", escaped(text_at(entry, "id_tag"))),
        ("since", clock.get("since", "")),
        ("at", clock.get("at", "")),
        ("before", _kwh(entry, "register_before_wh", words)),
        ("after", _kwh(entry, "register_after_wh", words)),
        ("wh", _kwh(entry, "wh", words)),
        ("booked", _kwh(entry, "booked_wh", words)),
        ("decided", _decided(entry, words, clock)),
    )
    lines = [f"- {words(f'manage_set_aside.fact.{name}')}: {value}" for name, value in facts if value]
    figures = object_at(entry, "figures")
    return lines + [f"- {escaped(name)}: {escaped(text_at(figures, name))}" for name in figures]


def _kwh(entry: Json, key: str, words: Words) -> str:
    energy = _wh(entry, key)
    return "" if energy is None else words.kwh(energy)


def _decided(entry: Json, words: Words, clock: Mapping[str, str]) -> str:
    if is_open(entry):
        return ""
    who = escaped(text_at(entry, "decided_by")) or words("manage_set_aside.by_server")
    reason = escaped(text_at(entry, "decision_reason"), LONGEST_SENTENCE)
    return " · ".join(filter(None, (who, clock.get("decided_at", ""), reason)))


def acceptance(entry: Json, reason: str, id_tag: str, kwh: float | None) -> dict[str, Any]:
    """Give the body that accepts one: card and kWh are said of an orphan only, and where somebody said them."""
    body: dict[str, Any] = {"reason": reason.strip()}
    if is_orphan(entry):
        body |= {"id_tag": id_tag.strip()} if id_tag.strip() else {}
        body |= {"kwh": kwh} if kwh else {}
    return body


def times_of(entry: Json, clock: Callable[[datetime | None], str]) -> dict[str, str]:
    """Give its times in words; `clock` writes a time."""
    moments: dict[str, datetime | None] = {key: moment_at(entry, key) for key in ("at", "since", "decided_at")}
    return {key: clock(moment) for key, moment in moments.items() if moment is not None}
