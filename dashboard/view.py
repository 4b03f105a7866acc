"""What the page says of the server, the charge points and the totals. Pure: no Streamlit, no clock, no files."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from enum import IntEnum, StrEnum
from zoneinfo import ZoneInfo

from dashboard.records import Alert, ChargePoint, Problem, ServerStatus, Session, Site, Wh
from dashboard.texts import Words
from dashboard.wording import STATUS_COLORS, escaped, fold, plain

STATUS_TOO_OLD = timedelta(seconds=30)
READING_TOO_OLD = timedelta(minutes=10)
DEFAULT_OCPP_URL = "ws://HOST:9000"
IN_USE = frozenset(("Preparing", "Charging", "SuspendedEV", "SuspendedEVSE", "Finishing"))


class ServerState(StrEnum):
    """Whether the figures are of now."""

    RUNNING = "running"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


def server_state(server: ServerStatus | None, now: datetime) -> ServerState:
    """A status older than 30 s means that the server is not running; none means that nobody can tell."""
    if server is None or server.time is None:
        return ServerState.UNKNOWN
    return ServerState.RUNNING if now - server.time <= STATUS_TOO_OLD else ServerState.STOPPED


def site_zone(server: ServerStatus | None) -> tuple[tzinfo, bool]:
    """Give the site's time zone, and whether it is really the site's (else it is UTC)."""
    try:
        return ZoneInfo(server.timezone if server else ""), True
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC"), False


def is_first_start(site: Site) -> bool:
    """Nothing has ever charged here: no charge point, no session, no usage, and no file that only cannot be read."""
    is_known = site.charge_points or site.sessions or site.usage
    return not is_known and not any(note.is_broken for note in site.notes)


def charger_url(server: ServerStatus | None) -> str:
    """Give the address to type into a charge point, with CHARGER_ID where its own name belongs."""
    url = server.ocpp_url if server and server.ocpp_url else DEFAULT_OCPP_URL
    return url if "CHARGER_ID" in url or "{" in url else f"{url.rstrip('/')}/CHARGER_ID"


def users_file_problems(site: Site) -> tuple[Problem, ...]:
    """Give what is wrong in users1.csv: as the server says it, else as the dashboard found it."""
    if site.users_report is not None:
        file_error = site.users_report.file_error
        return ((Problem(None, "", file_error),) if file_error else ()) + site.users_report.problems
    if site.server is not None and site.server.users_problems:
        return site.server.users_problems
    return site.users.problems if site.users else ()


def problem_line(problem: Problem, words: Words) -> str:
    """Give one problem as Markdown: line, column, reason."""
    place = [words("bars.line", number=problem.line)] if problem.line is not None else []
    place += [escaped(problem.column)] if problem.column else []
    return ": ".join(filter(None, (", ".join(place), escaped(problem.text))))


def open_alerts(server: ServerStatus | None, state: ServerState) -> tuple[Alert, ...]:
    """Give the alerts that need a person; while the server is not running, none that a charge point is silent.

    Of severity `info` are those that need nobody: that somebody nears a quota stands in the quota tile and the users
    table. Problems of users1.csv have a bar of their own.
    """
    hidden = ("users file",) if state is ServerState.RUNNING else ("users file", "offline", "silent")
    alerts = server.alerts if server else ()
    needed = (alert for alert in alerts if alert.severity != "info")
    return tuple(alert for alert in needed if not any(word in alert.kind.casefold() for word in hidden))


@dataclass(frozen=True, slots=True)
class Power:
    """Power now. `watts` is None where nobody told any; `silent` sessions told none."""

    watts: float | None
    silent: int


def power_now(site: Site, now: datetime) -> Power:
    """Add up the charge points' own figures, else their sessions', else the newest lines of the meter log."""
    sessions = site.sessions or ()
    ids = {cp.charge_point_id for cp in site.charge_points or ()} | {each.charge_point_id for each in sessions}
    power = {charge_point_id: power_of(charge_point_id, site, now) for charge_point_id in ids}
    told = [power_w for power_w in power.values() if power_w is not None]
    is_idle = site.sessions is not None and not sessions
    silent = sum(power[session.charge_point_id] is None for session in sessions)
    return Power(sum(told) if told or is_idle else None, silent)


def power_of(charge_point_id: str, site: Site, now: datetime) -> float | None:
    """Give one charge point's power in W: its own figure, else its sessions', else the newest log line under 10 min."""
    charge_point = next((cp for cp in site.charge_points or () if cp.charge_point_id == charge_point_id), None)
    if charge_point is not None and charge_point.power_w is not None:
        return charge_point.power_w
    sessions = [session for session in site.sessions or () if session.charge_point_id == charge_point_id]
    told = [session.power_w for session in sessions if session.power_w is not None]
    if told or not sessions:
        return sum(told) if told else None
    names = {charge_point_id, charge_point.name if charge_point else charge_point_id}
    logged = (reading for reading in site.readings if reading.charge_point in names)
    newest = max(logged, key=lambda reading: reading.timestamp, default=None)
    return newest.power_w if newest and now - newest.timestamp <= READING_TOO_OLD else None


def session_power(session: Session, site: Site, now: datetime) -> float | None:
    """Give a session's power in W: its own figure, else its charge point's where no other session runs there."""
    if session.power_w is not None or not _is_alone(session, site):
        return session.power_w
    return power_of(session.charge_point_id, site, now)


def session_words(session: Session, site: Site, words: Words) -> str:
    """Give a session's state in words; a charge point with this one session knows better whether the car pauses."""
    status = next((cp.status for cp in site.charge_points or () if cp.charge_point_id == session.charge_point_id), "")
    is_vague = session.state in {"", "charging"}
    if is_vague and _is_alone(session, site) and status in IN_USE:
        return status_words(status, words)
    return _named("states.session", session.state, words, status_words(session.state, words))


def status_words(status: str, words: Words) -> str:
    """Give an OCPP status in words; one that we do not know is shown as it came, in plain text."""
    return _named("states.status", status, words, "")


def _named(table: str, name: str, words: Words, otherwise: str) -> str:
    return words.of(table, name, otherwise or plain(name.replace("_", " ")) or words("states.other.unknown"))


def _is_alone(session: Session, site: Site) -> bool:
    return sum(other.charge_point_id == session.charge_point_id for other in site.sessions or ()) == 1


def energy_this_month(site: Site) -> Wh | None:
    """Add up what every card used, also cards that are not in users1.csv."""
    return None if site.usage is None else Wh(sum(site.usage.values()))


def open_month(server: ServerStatus | None, local_now: datetime) -> date:
    """Give the first day of the month that the usage belongs to: the server's word, else the one of now."""
    try:
        return date.fromisoformat(f"{server.month if server else ''}-01")
    except ValueError:
        return local_now.date().replace(day=1)


class Urgency(IntEnum):
    """The order of the cards."""

    TROUBLE = 0
    CHARGING = 1
    PAUSED = 2
    PLUGGED = 3
    FREE = 4
    OTHER = 5


URGENCY = {
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
    """One charge point as staff see it. Texts are cut to what can be shown, but not escaped."""

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


def cards(site: Site, state: ServerState, now: datetime, words: Words) -> list[Card]:
    """Give all charge points: trouble first, then charging, paused, plugged in, free; within these by name."""
    made = [_card(cp, site, state, now, words) for cp in site.charge_points or ()]
    return sorted(made, key=lambda card: (card.urgency, fold(card.name), card.name))


def _card(cp: ChargePoint, site: Site, state: ServerState, now: datetime, words: Words) -> Card:
    sessions = [session for session in site.sessions or () if session.charge_point_id == cp.charge_point_id]
    status = "Offline" if cp.is_connected is False else cp.status
    nameless = words("states.other.nameless")
    is_alarm_meant = state is ServerState.RUNNING or status != "Offline"
    energies = [session.energy for session in sessions if session.energy is not None]
    return Card(
        name=plain(cp.name) or plain(cp.charge_point_id) or nameless,
        state=words("states.other.pending") if cp.is_waiting_for_approval else status_words(status, words),
        color=_color(cp, status, is_alarm_meant),
        urgency=URGENCY.get(status, Urgency.OTHER) if is_alarm_meant else Urgency.OTHER,
        persons=tuple(plain(session.person) or plain(session.id_tag) or nameless for session in sessions),
        power_w=power_of(cp.charge_point_id, site, now),
        energy=Wh(sum(energies)) if energies else None,
        is_in_use=bool(sessions) or status in IN_USE,
        is_free=status == "Available" and not sessions and not cp.is_waiting_for_approval,
        note=_note(cp, status, sessions, words),
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


def card_markdown(card: Card, words: Words) -> str:
    """Give a card as one Markdown element; everything from outside is escaped."""
    lines = [f"**{escaped(card.name)}**", f":{card.color}-badge[{escaped(card.state)}]"]
    if card.persons:
        lines.append(", ".join(map(escaped, card.persons[:3])))
        lines.append(f"**{words.kw(card.power_w)}** · {words.kwh(card.energy)}")
    if card.note:
        lines.append(f":small[{escaped(card.note)}]")
    return "  \n".join(lines)
