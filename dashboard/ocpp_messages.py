"""OCPP messages of a charge point as a table. Pure."""

import json
from collections.abc import Iterable
from typing import Final

import pandas as pd

from dashboard.json_values import Json, moment_at, number_at, text_at
from dashboard.texts import Words
from dashboard.wording import plain

LONGEST_SHOWN: Final = 300
COLUMNS: Final = ("time", "direction", "kind", "action", "content", "latency")


def message_table(messages: Iterable[Json], words: Words) -> pd.DataFrame:
    """Give a row for each, the newest first; `latency` in ms, of an answer only."""
    rows = [
        {
            "time": moment_at(message, "at"),
            "direction": words.of("manage_chargers.direction", text_at(message, "direction"), ""),
            "kind": words.of("manage_chargers.kind", text_at(message, "kind"), plain(text_at(message, "kind"))),
            "action": plain(text_at(message, "action")),
            "content": content_of(message),
            "latency": number_at(message, "latency_ms"),
        }
        for message in messages
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table["time"] = pd.to_datetime(table["time"], utc=True)
    table["latency"] = table["latency"].astype("float64")
    return table


def content_of(message: Json) -> str:
    """Give on one line what it says: its payload, an error's code, or why neither can be shown."""
    if text_at(message, "kind") == "error":
        return plain(f"{text_at(message, 'error_code')} {text_at(message, 'error_description')}", LONGEST_SHOWN)
    payload = message.get("payload")
    if payload is None:
        return plain(f"{text_at(message, 'reason')}: {text_at(message, 'excerpt')}", LONGEST_SHOWN)
    return plain(json.dumps(payload, ensure_ascii=False), LONGEST_SHOWN)
