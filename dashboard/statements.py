"""Printable statements: one HTML page with a sheet of paper for each user, which asks nobody for anything.

Every text from outside is escaped; a policy in the page forbids scripts and requests besides. kWh have three decimals,
so that the sums on paper are exact.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from html import escape

from dashboard.archive_files import FinishedSession
from dashboard.finished_sessions import reason_words
from dashboard.month_report import MonthReport, Person
from dashboard.quotas import QuotaState
from dashboard.records import Wh
from dashboard.texts import DASH, Words
from dashboard.wording import plain

HTML_MIME = "text/html"
STYLE = """
@page { size: A4; margin: 18mm 16mm }
:root { color-scheme: light }
body { margin: 0 auto; max-width: 44rem; padding: 1rem; font: 11pt/1.45 system-ui, sans-serif; color: #111; \
background: #fff }
section { break-after: page; padding-bottom: 2rem }
section:last-child { break-after: auto }
header { border-bottom: 2px solid #1b5e3a; margin-bottom: 1rem }
header p { margin: 0; color: #444 }
h1 { font-size: 1.5em; margin: .1em 0 .3em }
h2 { font-size: 1.1em; margin: 1.4em 0 .3em; break-after: avoid }
table { border-collapse: collapse; width: 100%; font-size: .92em }
caption { text-align: start; font-weight: 600; padding: 1.2em 0 .3em }
th, td { text-align: start; padding: .22em .6em .22em 0; border-bottom: 1px solid #ccc; overflow-wrap: anywhere }
thead { display: table-header-group }
tr { break-inside: avoid }
.n { text-align: end; padding-right: 0; font-variant-numeric: tabular-nums; white-space: nowrap }
tfoot { display: table-row-group }
tfoot td { font-weight: 700; border-bottom: 0 }
.over { color: #9b1c1c }
small { color: #444; display: block; margin-top: 1rem }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True)
class Maker:
    """What is the same on every sheet."""

    report: MonthReport
    site_name: str
    now: datetime
    zone: tzinfo
    words: Words

    def kwh(self, energy: Wh | None) -> str:
        return DASH if energy is None else self.words.number(energy / 1000, 3)

    def moment(self, moment: datetime | None) -> str:
        return DASH if moment is None else f"{moment.astimezone(self.zone):%Y-%m-%d %H:%M}"


def statements(people: Iterable[Person], maker: Maker) -> bytes:
    """Give the page with a sheet for each of these people, in UTF-8."""
    words = maker.words
    sessions: defaultdict[str, list[FinishedSession]] = defaultdict(list)
    for session in maker.report.month.sessions or ():
        sessions[session.id_tag].append(session)
    title = f"{words('statement.title')} {words.month(maker.report.month.first)}"
    page = [
        f'<!doctype html>\n<html lang="{words.language}"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(title)}</title><style>{STYLE}</style></head><body>",
        *(_sheet(person, [one for tag in person.tags for one in sessions[tag]], maker) for person in people),
        "</body></html>\n",
    ]
    return "\n".join(page).encode("utf-8", "backslashreplace")


def _sheet(person: Person, sessions: Sequence[FinishedSession], maker: Maker) -> str:
    words, report = maker.words, maker.report
    month = words.month(report.month.first)
    parts = [
        "<section><header>",
        f"<p>{_outside(maker.site_name)} · {_text(words('statement.title'))}</p>",
        f"<h1>{_outside(person.person or person.line.id_tag)}</h1>",
        f"<p>{_text(words('columns.card'))} {_outside(person.line.id_tag)} · {_text(month)}</p>",
        "</header>",
        _paragraph(words("statement.until_now", moment=maker.moment(maker.now)) if report.is_open else ""),
        _quota(person, maker),
        _days(person, maker),
        _sessions(sessions, maker),
        f"<small>{_text(words('statement.made', moment=maker.moment(maker.now), zone=maker.zone))}</small></section>",
    ]
    return "\n".join(filter(None, parts))


def _quota(person: Person, maker: Maker) -> str:
    words, line = maker.words, person.line
    rows = [(words("statement.used"), maker.kwh(person.used), "")]
    match line.state:
        case QuotaState.NO_LIMIT:
            rows.append((words("statement.quota"), words("statement.no_limit"), ""))
        case QuotaState.UNLISTED:
            rows.append((words("statement.quota"), words("statement.not_listed"), ""))
        case _:
            rows.append((words("statement.quota"), maker.kwh(line.quota), ""))
    if person.over:
        rows.append((words("statement.over"), maker.kwh(person.over), "over"))
    elif line.left is not None and person.used is not None:
        rows.append((words("statement.left"), maker.kwh(line.left), ""))
    if person.free:
        rows.append((words("statement.free"), maker.kwh(person.free), ""))
    body = "".join(
        f'<tr class="{kind}"><th scope="row">{_text(label)}</th><td class="n">{_text(value)}</td></tr>'
        for label, value, kind in rows
    )
    shared = ""
    if line.account != line.id_tag and person.used is not None:
        account, energy = plain(line.account), f"{maker.kwh(line.used)} kWh"
        shared = _paragraph(words("statement.account", account=account, energy=energy))
    return f"<table><caption>kWh</caption><tbody>{body}</tbody></table>{shared}"


def _days(person: Person, maker: Maker) -> str:
    energy = maker.report.month.energy
    by_day: dict[date, int] = {}
    for tag in person.tags:
        for day, some in (energy.by_day.get(tag, {}) if energy else {}).items():
            by_day[day] = by_day.get(day, 0) + some
    if not by_day:
        return ""
    words = maker.words
    rows = [(f"{words.weekday(day.weekday())} {words.day(day)}", maker.kwh(Wh(by_day[day]))) for day in sorted(by_day)]
    total = maker.kwh(Wh(sum(by_day.values())))
    heads = (words("report.column.day"), words("report.column.energy"))
    return _table(words("statement.days"), heads, rows, (words("statement.total"), total), last_numbers=1)


def _sessions(own: Sequence[FinishedSession], maker: Maker) -> str:
    words = maker.words
    if maker.report.month.sessions is None:
        return _paragraph(words("statement.no_sessions_known"))
    if not own:
        return _paragraph(words("statement.no_sessions"))
    rows = [
        (
            maker.moment(session.start),
            maker.moment(session.end),
            session.charge_point,
            reason_words(session.reason, words),
            DASH if session.duration_min is None else words.number(session.duration_min, 0),
            maker.kwh(session.energy),
        )
        for session in own
    ]
    known = [session.energy for session in own if session.energy is not None]
    heads = tuple(words(f"columns.{name}") for name in ("start", "end", "charger", "reason", "minutes"))
    foot = (words("statement.total"), "", "", "", "", maker.kwh(Wh(sum(known))))
    table = _table(words("statement.sessions"), (*heads, words("report.column.energy")), rows, foot, last_numbers=2)
    return table + _paragraph(words("statement.over_midnight"))


def _table(
    caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], foot: Sequence[str], *, last_numbers: int
) -> str:
    words_columns = len(heads) - last_numbers

    def cells(row: Sequence[str], name: str) -> Iterator[str]:
        for column, cell in enumerate(row):
            kind = ' class="n"' if column >= words_columns else ""
            yield f"<{name}{kind}>{_outside(cell)}</{name}>"

    head = "".join(cells(heads, "th"))
    body = "".join(f"<tr>{''.join(cells(row, 'td'))}</tr>" for row in rows)
    total = "".join(cells(foot, "td"))
    return (
        f"<table><caption>{_text(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
        f"<tfoot><tr>{total}</tr></tfoot></table>"
    )


def _paragraph(text: str) -> str:
    return f"<p>{_text(text)}</p>" if text else ""


def _outside(text: str) -> str:
    """Give a text from outside: harmless, and in its own direction."""
    return f"<bdi>{_text(plain(text))}</bdi>"


def _text(text: str) -> str:
    return escape(text)
