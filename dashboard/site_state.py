"""The server as its control API tells of it: deliveries, audit, settings, health. And its newest backup.

Pure but for a look at the folder of backups.
"""

import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Final

import pandas as pd

from dashboard.json_values import Json, claim_at, moment_at, object_at, text_at, whole_at
from dashboard.texts import Words
from dashboard.wording import LONGEST_SENTENCE, fold, plain

DELIVERY_STATES: Final = {"ok": "green", "retrying": "orange", "breaker open": "red", "paused": "red"}
"""With the colour of its badge."""
HEALTH_STATES: Final = {"ok": "green", "wrong": "red"}
_BACKUP: Final = re.compile(r"ledger-(\d{4}-\d\d-\d\d)\.db")


def destination_table(destinations: Iterable[Json], words: Words) -> pd.DataFrame:
    """Give how the delivery to each other system stands."""
    rows = [
        {
            "name": plain(text_at(each, "name")),
            "outbox": words.of("manage_system.outbox", text_at(each, "outbox"), plain(text_at(each, "outbox"))),
            "state": [words.of("manage_system.delivery", text_at(each, "state"), plain(text_at(each, "state")))],
            "backlog": whole_at(each, "backlog"),
            "delivered": whole_at(each, "delivered"),
            "refused": whole_at(each, "set_aside"),
            "lost": whole_at(each, "lost"),
            "last_delivered": moment_at(each, "last_delivered_at"),
            "error": plain(text_at(each, "reason") or text_at(each, "last_error"), LONGEST_SENTENCE),
        }
        for each in destinations
    ]
    table = pd.DataFrame(rows)
    if rows:
        table["last_delivered"] = pd.to_datetime(table["last_delivered"], utc=True)
    return table


def can_resume(destination: Json) -> bool:
    """It waits: for a person, or for the breaker's next try."""
    return text_at(destination, "state") in {"paused", "breaker open"}


def refused_table(entries: Iterable[Json], words: Words) -> pd.DataFrame:
    """Give what a destination refused, the newest first."""
    rows = [
        {
            "number": whole_at(each, "number"),
            "time": moment_at(each, "at"),
            "charger": plain(text_at(each, "lane")),
            "reason": plain(text_at(each, "reason"), LONGEST_SENTENCE),
            "due": words("manage_system.due") if claim_at(each, "is_due") else "",
        }
        for each in entries
    ]
    table = pd.DataFrame(rows, columns=["number", "time", "charger", "reason", "due"])
    table["time"] = pd.to_datetime(table["time"], utc=True)
    return table


def audit_table(deeds: Iterable[Json]) -> pd.DataFrame:
    """Give who did what to what, the newest first; `details` are the figures of the deed."""
    rows = [
        {
            "time": moment_at(deed, "at"),
            "by": plain(text_at(deed, "by")),
            "what": plain(text_at(deed, "what"), LONGEST_SENTENCE),
            "charger": plain(text_at(deed, "charge_point_id")),
            "card": plain(text_at(deed, "id_tag")),
            "transaction": text_at(deed, "transaction_id"),
            "details": _figures(object_at(deed, "figures")),
        }
        for deed in deeds
    ]
    table = pd.DataFrame(rows, columns=["time", "by", "what", "charger", "card", "transaction", "details"])
    table["time"] = pd.to_datetime(table["time"], utc=True)
    return table


def _figures(figures: Json) -> str:
    return plain(", ".join(f"{name}: {text_at(figures, name)}" for name in figures), LONGEST_SENTENCE)


def settings_table(settings: Iterable[Json], query: str, words: Words, *, only_changed: bool) -> pd.DataFrame:
    """Give the settings in which every word of the query is found, in the server's order; it masks secrets itself."""
    wanted = fold(query).split()
    rows = [
        {
            "name": plain(text_at(each, "name")),
            "value": plain(text_at(each, "value"), LONGEST_SENTENCE) or words("manage_system.unset"),
            "default": plain(text_at(each, "default"), LONGEST_SENTENCE),
            "description": plain(text_at(each, "description"), LONGEST_SENTENCE),
        }
        for each in settings
        if not (only_changed and claim_at(each, "is_default"))
        and all(
            word in fold(" ".join(text_at(each, key) for key in ("name", "value", "description"))) for word in wanted
        )
    ]
    return pd.DataFrame(rows, columns=["name", "value", "default", "description"])


def health_table(checks: Iterable[Json], words: Words) -> pd.DataFrame:
    """Give each thing that must be right, and how it stands."""
    rows = [
        {
            "check": plain(text_at(check, "name")),
            "state": [words(f"manage_system.health.{'ok' if claim_at(check, 'ok') else 'wrong'}")],
            "detail": plain(text_at(check, "detail"), LONGEST_SENTENCE),
        }
        for check in checks
    ]
    return pd.DataFrame(rows, columns=["check", "state", "detail"])


def newest_backup(folder: Path) -> date | None:
    """Give the day of the newest nightly copy in a data folder; None: there is none, or nobody may look."""
    try:
        names = [found[1] for path in (folder / "backup").iterdir() if (found := _BACKUP.fullmatch(path.name))]
        return max((date.fromisoformat(name) for name in names), default=None)
    except (OSError, ValueError):
        return None
