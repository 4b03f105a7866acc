"""The charge points as staff see them: a card each, what needs a look first, and a line of those in trouble. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Final

from dashboard.quotas import NEAR_PERCENT, UserLine
from dashboard.records import ChargePoint, Session, Site, Wh
from dashboard.texts import Words
from dashboard.view import IN_USE, ServerState, power_of, status_words
from dashboard.wording import STATUS_COLORS, escaped, fold, plain

MOST_NAMED: Final = 5
MOST_PERSONS: Final = 3


class Urgency(IntEnum):
    """The order of the cards."""

    TROUBLE = 0
    CHARGING = 1
    PAUSED = 2
    PLUGGED = 3
    FREE = 4
    OTHER = 5


class Choice(StrEnum):
    """Which charge points are shown."""

    ALL = "all"
    CHARGING = "charging"
    FREE = "free"
    ATTENTION = "attention"


_URGENCY: Final = {
    "Faulted": Urgency.TROUBLE,
    "Offline": Urgency.TROUBLE,
    "Charging": Urgency.CHARGING,
    "SuspendedEV": Urgency.PAUSED,
    "SuspendedEVSE": Urgency.PAUSED,
    "Preparing": Urgency.PLUGGED,
    "Finishing": Urgency.PLUGGED,
    "Available": Urgency.FREE,
}


@dataclass(frozen=True, slots=True)
class Card:
    """One charge point. Texts are cut to what can be shown, but not escaped."""

    name: str
    state: str
    color: str
    urgency: Urgency
    persons: tuple[str, ...]
    power_w: float | None
    energy: Wh | None
    is_in_use: bool
    is_free: bool
    note: str = ""
    since: datetime | None = None
    """When its session began, the oldest of several."""
    percent: int | None = None
    """Used part of the quota of whoever charges; the largest of several."""
    troubled_since: datetime | None = None
    """Since when it needs a look, where that is known."""
    needs_attention: bool = False


def cards(site: Site, state: ServerState, words: Words, now: datetime, users: Iterable[UserLine] = ()) -> list[Card]:
    """Give all charge points: trouble first, then charging, paused, plugged in, free; within these by name."""
    percents = {line.id_tag: line.percent for line in users if line.percent is not None}
    made = [_card(cp, site, state, words, now, percents=percents) for cp in site.charge_points or ()]
    return sorted(made, key=lambda card: (card.urgency, fold(card.name), card.name))


def _card(
    cp: ChargePoint, site: Site, state: ServerState, words: Words, now: datetime, *, percents: Mapping[str, int]
) -> Card:
    sessions = [session for session in site.sessions or () if session.charge_point_id == cp.charge_point_id]
    status = "Offline" if cp.is_connected is False else cp.status
    nameless = words("states.other.nameless")
    is_alarm_meant = state is ServerState.RUNNING or status != "Offline"
    urgency = _URGENCY.get(status, Urgency.OTHER) if is_alarm_meant else Urgency.OTHER
    energies = [session.energy for session in sessions if session.energy is not None]
    return Card(
        name=plain(cp.name) or plain(cp.charge_point_id) or nameless,
        state=words("states.other.pending") if cp.is_waiting_for_approval else status_words(status, words),
        color=_color(cp, status, is_alarm_meant),
        urgency=urgency,
        persons=tuple(plain(session.person) or plain(session.id_tag) or nameless for session in sessions),
        power_w=power_of(cp.charge_point_id, site, now),
        energy=Wh(sum(energies)) if energies else None,
        is_in_use=bool(sessions) or status in IN_USE,
        is_free=status == "Available" and not sessions and not cp.is_waiting_for_approval,
        note=_note(cp, status, sessions, words),
        since=min((session.since for session in sessions if session.since), default=None),
        percent=max((percents[each.id_tag] for each in sessions if each.id_tag in percents), default=None),
        troubled_since=cp.last_seen if status == "Offline" else cp.since,
        needs_attention=urgency is Urgency.TROUBLE or cp.is_waiting_for_approval,
    )


def _color(cp: ChargePoint, status: str, is_alarm_meant: bool) -> str:
    if cp.is_waiting_for_approval:
        return "violet"
    return STATUS_COLORS.get(status, "gray") if is_alarm_meant else "gray"


def _note(cp: ChargePoint, status: str, sessions: list[Session], words: Words) -> str:
    if status == "Faulted" and cp.error_code not in {"", "NoError"}:
        return cp.error_code
    if status in {"Offline", "Available"} and sessions:
        return words("states.other.still_open", state=status_words(status, words))
    return ""


def chosen(all_cards: Sequence[Card], choice: Choice) -> list[Card]:
    """Give the cards that a choice shows."""
    match choice:
        case Choice.ALL:
            return list(all_cards)
        case Choice.CHARGING:
            return [card for card in all_cards if card.is_in_use]
        case Choice.FREE:
            return [card for card in all_cards if card.is_free]
        case Choice.ATTENTION:
            return [card for card in all_cards if card.needs_attention]


def attention_line(all_cards: Sequence[Card], now: datetime, words: Words) -> str:
    """Give one line of Markdown that names those who need a look with state and age, at most five; blank if none."""
    troubled = chosen(all_cards, Choice.ATTENTION)
    named = [_trouble(card, now, words) for card in troubled[:MOST_NAMED]]
    if len(troubled) > MOST_NAMED:
        named.append(words("bars.more", number=len(troubled) - MOST_NAMED))
    return " · ".join(named)


def _trouble(card: Card, now: datetime, words: Words) -> str:
    state = words("overview.attention", name=escaped(card.name), state=escaped(card.state))
    if card.troubled_since is None:
        return state
    return f"{state} ({words.duration((now - card.troubled_since).total_seconds())})"


def card_markdown(card: Card, now: datetime, words: Words) -> str:
    """Give a card as one Markdown element; everything from outside is escaped."""
    lines = [f"**{escaped(card.name)}**", f":{card.color}-badge[{escaped(card.state)}]"]
    if card.persons:
        lines.append(", ".join(map(escaped, card.persons[:MOST_PERSONS])))
        lines.append(f"**{words.kw(card.power_w)}** · {words.kwh(card.energy)}")
        lines.append(" · ".join(filter(None, (_duration(card, now, words), _share(card, words)))))
    if card.note:
        lines.append(f":small[{escaped(card.note)}]")
    return "  \n".join(filter(None, lines))


def _duration(card: Card, now: datetime, words: Words) -> str:
    return "" if card.since is None else words.duration((now - card.since).total_seconds())


def _share(card: Card, words: Words) -> str:
    """Give the used part of the quota, amber from 80 %, red from 100 %."""
    if card.percent is None:
        return ""
    share = words("overview.of_quota", percent=words.percent(card.percent))
    if card.percent < NEAR_PERCENT:
        return share
    return f":{'red' if card.percent >= 100 else 'orange'}[{share}]"
