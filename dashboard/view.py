"""What the page says of the server, the charge points and the totals. Pure: no Streamlit, no clock, no files."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum
from zoneinfo import ZoneInfo

from dashboard.records import Alert, FileNote, PowerReading, Problem, ServerStatus, Session, Site, Wh
from dashboard.texts import Words
from dashboard.wording import escaped, plain

STATUS_TOO_OLD = timedelta(seconds=30)
READING_TOO_OLD = timedelta(minutes=10)
MOST_MINUTES = 24 * 60
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


def site_now(server: ServerStatus | None, now: datetime) -> datetime:
    """Give the time by the site's clock, which in a demo runs faster; `now` is this machine's."""
    if server is None or not server.is_demo or server.time is None or server.site_time is None:
        return now
    return now + (server.site_time - server.time)


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


def absent_line(note: FileNote, words: Words) -> str:
    """Give, as Markdown, a file that is not there and what is therefore not shown."""
    return words("bars.not_there", file=escaped(note.name), means=words(f"bars.without.{note.name.partition('.')[0]}"))


def broken_line(note: FileNote, now: datetime, zone: tzinfo, words: Words) -> str:
    """Give, as Markdown, a file that cannot be read, why, and of when the version is that is shown instead."""
    kept = words("bars.kept", time=words.clock(note.kept, now, zone)) if note.kept else ""
    return "; ".join(filter(None, (f"{escaped(note.name)} {escaped(note.text)}", kept)))


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


def power_history(readings: Iterable[PowerReading], now: datetime) -> list[tuple[datetime, float]]:
    """Give the total power at the end of each whole minute that the log spans, oldest first, in W.

    At each time the newest reading of every charge point counts, if it is not too old. The minute that is still
    running is left out: half its readings are not there yet, and every line would seem to fall at its end.
    """
    logged = sorted(readings, key=lambda reading: reading.timestamp)
    if not logged:
        return []
    minute = timedelta(minutes=1)
    end = min(logged[-1].timestamp, now).replace(second=0, microsecond=0)
    moment = logged[0].timestamp.replace(second=0, microsecond=0) + minute
    newest: dict[str, PowerReading] = {}
    history: list[tuple[datetime, float]] = []
    index = 0
    while moment <= end:
        while index < len(logged) and logged[index].timestamp <= moment:
            newest[logged[index].charge_point] = logged[index]
            index += 1
        fresh = (each.power_w for each in newest.values() if moment - each.timestamp <= READING_TOO_OLD)
        history.append((moment, sum(fresh)))
        moment += minute
    return history[-MOST_MINUTES:]


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


def days_left(month: date, today: date) -> int:
    """Give the days until the month after `month` begins, at least 0: until quotas are counted anew."""
    following = (month.replace(day=1) + timedelta(days=32)).replace(day=1)
    return max(0, (following - today).days)
