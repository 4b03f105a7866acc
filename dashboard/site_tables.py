"""The page's tables as data frames: one row per thing, cells as plain text, numbers in the unit of the heading.

Columns have names for programs; the page gives them their headings.
"""

from collections.abc import Iterable
from datetime import datetime

import pandas as pd

from dashboard.cards import Card
from dashboard.exports import Table, kwh_cell
from dashboard.quotas import UserLine
from dashboard.records import Session, Site
from dashboard.texts import Words
from dashboard.view import session_power, session_words
from dashboard.wording import plain


def charge_point_table(cards: Iterable[Card], now: datetime) -> pd.DataFrame:
    """Give the charge points in the order of the cards. `percent` is of the quota of whoever charges."""
    table = pd.DataFrame(
        {
            "charger": card.name,
            "state": [card.state],
            "person": plain(", ".join(card.persons)),
            "power": _thousandth(card.power_w) if card.is_in_use or card.power_w else None,
            "energy": _thousandth(card.energy),
            "minutes": None if card.since is None else int((now - card.since).total_seconds() // 60),
            "percent": card.percent,
            "note": plain(card.note),
        }
        for card in cards
    )
    for column in ("minutes", "percent"):
        table[column] = table[column].astype("Int64")
    return table


def sorted_sessions(site: Site, now: datetime) -> list[Session]:
    """Give the running sessions, the oldest first."""
    return sorted(site.sessions or (), key=lambda session: (session.since or now, session.transaction_id))


def session_table(site: Site, now: datetime, words: Words) -> pd.DataFrame:
    """Give the running sessions, the oldest first. Times are UTC; the column's own zone shows them."""
    names = {cp.charge_point_id: cp.name for cp in site.charge_points or ()}
    table = pd.DataFrame(
        {
            "person": plain(session.person),
            "card": plain(session.id_tag),
            "charger": plain(names.get(session.charge_point_id, session.charge_point_id)),
            "connector": session.connector_id,
            "since": session.since,
            "energy": _thousandth(session.energy),
            "power": _thousandth(session_power(session, site, now)),
            "state": session_words(session, site, words),
            "forecast_stop": session.forecast_stop,
        }
        for session in sorted_sessions(site, now)
    )
    for column in ("since", "forecast_stop"):
        table[column] = pd.to_datetime(table[column], utc=True)
    table["connector"] = table["connector"].astype("Int64")
    return table


def user_table(lines: Iterable[UserLine], words: Words) -> pd.DataFrame:
    """Give cards with their account's quota. `percent` is whole percent, rounded down; blank without a quota."""
    table = pd.DataFrame(
        [
            {
                "name": plain(line.person),
                "card": plain(line.id_tag),
                "account": plain(line.account) if line.account != line.id_tag else "",
                "state": [words(f"states.quota.{state}") for state in line.states],
                "percent": line.percent,
                "used": _thousandth(line.used),
                "quota": _thousandth(line.quota),
                "left": _thousandth(line.left),
            }
            for line in lines
        ],
        columns=["name", "card", "account", "state", "percent", "used", "quota", "left"],
    )
    table["percent"] = table["percent"].astype("Int64")
    return table if table["account"].any() else table.drop(columns="account")


def user_export(lines: Iterable[UserLine], words: Words) -> Table:
    """Give the same for a file, with whole texts; a blank quota is no limit, or one that cannot be read."""
    columns = ("name", "card", "account", "state", "quota_used", "used", "quota", "left")
    rows = tuple(
        (
            line.person,
            line.id_tag,
            line.account,
            ", ".join(words(f"states.quota.{state}") for state in line.states),
            line.percent,
            kwh_cell(line.used),
            kwh_cell(line.quota),
            kwh_cell(line.left),
        )
        for line in lines
    )
    return Table(words("pages.users.title"), tuple(words(f"columns.{column}") for column in columns), rows)


def _thousandth(amount: float | None) -> float | None:
    return None if amount is None else amount / 1000
