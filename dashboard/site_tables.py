"""The page's tables as data frames: one row per thing, cells as plain text, numbers in the unit of the heading."""

from collections.abc import Iterable
from datetime import datetime

import pandas as pd

from dashboard.quotas import UserLine
from dashboard.records import Site
from dashboard.view import Card, session_power, session_words
from dashboard.wording import plain


def charge_point_table(cards: Iterable[Card]) -> pd.DataFrame:
    """Give the charge points in the order of the cards."""
    return pd.DataFrame(
        {
            "Charger": card.name,
            "State": [card.state],
            "Person": plain(", ".join(card.persons)),
            "Power kW": _thousandth(card.power_w) if card.is_in_use or card.power_w else None,
            "Session kWh": _thousandth(card.energy),
            "Note": plain(card.note),
        }
        for card in cards
    )


def session_table(site: Site, now: datetime) -> pd.DataFrame:
    """Give the running sessions, the oldest first. Times are UTC; the column's own zone shows them."""
    sessions = sorted(site.sessions or (), key=lambda session: (session.since or now, session.transaction_id))
    names = {cp.charge_point_id: cp.name for cp in site.charge_points or ()}
    table = pd.DataFrame(
        {
            "Person": plain(session.person),
            "Card": plain(session.id_tag),
            "Charger": plain(names.get(session.charge_point_id, session.charge_point_id)),
            "Connector": session.connector_id,
            "Since": session.since,
            "Session kWh": _thousandth(session.energy),
            "Power kW": _thousandth(session_power(session, site, now)),
            "State": session_words(session, site),
            "Forecast stop": session.forecast_stop,
        }
        for session in sessions
    )
    for column in ("Since", "Forecast stop"):
        table[column] = pd.to_datetime(table[column], utc=True)
    table["Connector"] = table["Connector"].astype("Int64")
    return table


def user_table(lines: Iterable[UserLine]) -> pd.DataFrame:
    """Give cards with their account's quota. `Quota used` is whole percent, rounded down; blank without a quota."""
    table = pd.DataFrame(
        [
            {
                "Name": plain(line.person),
                "Card": plain(line.id_tag),
                "Account": plain(line.account) if line.account != line.id_tag else "",
                "State": line.states,
                "Quota used": line.percent,
                "Used kWh": _thousandth(line.used),
                "Quota kWh": _thousandth(line.quota),
                "Left kWh": _thousandth(line.left),
            }
            for line in lines
        ],
        columns=["Name", "Card", "Account", "State", "Quota used", "Used kWh", "Quota kWh", "Left kWh"],
    )
    table["Quota used"] = table["Quota used"].astype("Int64")
    return table if table["Account"].any() else table.drop(columns="Account")


def _thousandth(amount: float | None) -> float | None:
    return None if amount is None else amount / 1000
