"""Alerts as the control API tells them, and what is to be done about each. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

import pandas as pd

from dashboard.badges import BadgeColor
from dashboard.json_values import Json, moment_at, text_at
from dashboard.texts import Words
from dashboard.wording import LONGEST_SENTENCE, plain

SEVERITIES: Final[Mapping[str, BadgeColor]] = {"critical": "red", "warning": "orange", "info": "blue"}
"""With the colour of its badge."""


def is_acknowledged(alert: Json) -> bool:
    """Somebody takes care."""
    return text_at(alert, "state") == "acknowledged"


def is_leak(alert: Json) -> bool:
    """The charge point's configuration is what is to be mended."""
    return text_at(alert, "kind") == "quota leak"


def split(alerts: Iterable[Json]) -> tuple[list[Json], list[Json]]:
    """Give those that nobody has seen, and those that somebody takes care of, each in the server's order."""
    listed = list(alerts)
    return [each for each in listed if not is_acknowledged(each)], [each for each in listed if is_acknowledged(each)]


def severity_words(alert: Json, words: Words) -> str:
    """Give how much it weighs."""
    severity = text_at(alert, "severity")
    return words.of("manage_alerts.severity", severity, plain(severity))


def what_to_do(alert: Json, words: Words) -> str:
    """Give what a person should do; blank for a kind that this dashboard does not know."""
    return words.of("manage_alerts.todo", text_at(alert, "kind"), "")


def history_table(notes: Iterable[Json]) -> pd.DataFrame:
    """Give what was raised, acknowledged and resolved, the newest first."""
    rows = [
        {
            "time": moment_at(note, "at"),
            "what": plain(text_at(note, "text"), LONGEST_SENTENCE),
            "charger": plain(text_at(note, "charge_point_id")),
        }
        for note in notes
    ]
    table = pd.DataFrame(rows, columns=["time", "what", "charger"])
    table["time"] = pd.to_datetime(table["time"], utc=True)
    return table
