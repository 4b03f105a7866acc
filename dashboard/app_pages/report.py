"""Monthly report: what was charged, when, where and by whom; with files to download and statements to print."""

from collections.abc import Callable
from datetime import date

import streamlit as st

from dashboard import report_charts, shell, view
from dashboard.badges import QUOTA_COLORS
from dashboard.downloads import offer_csv
from dashboard.exports import XLSX_MIME, file_name, workbook_of
from dashboard.month_report import Comparison, MonthReport, month_before, month_report
from dashboard.quotas import QuotaState
from dashboard.report_sources import notes, read_month
from dashboard.report_tables import (
    SHEETS,
    change_words,
    charger_frame,
    day_frame,
    days_words,
    people_frame,
    person_names,
    report_tables,
    week_frame,
)
from dashboard.shell import Look
from dashboard.statements import HTML_MIME, Maker, statements
from dashboard.texts import DASH

MOST_ROWS = 15
EVERYBODY = ""
"""No card has it: a choice by card stays with its card when the month changes, and never gets another's statement."""


def show() -> None:
    seen = shell.look()
    archive, open_month = shell.archive(), view.open_month(seen.site.server, seen.local_now)
    months = sorted({open_month, *archive.months()}, reverse=True)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        first = choose_month(months, open_month, seen)
        read = read_month(archive, seen.site, first, open_month)
        before = read_month(archive, seen.site, month_before(first), open_month)
        report = month_report(read.month, before.month, seen.site, seen.local_now)
        show_downloads(report, seen)
        show_statements(report, seen)
    show_tiles(report, seen)
    for note in notes(read, open_month, seen.now, seen.words):
        st.warning(note, icon=":material/description:")
    show_charts(report, seen)
    show_tables(report, seen)


def choose_month(months: list[date], open_month: date, seen: Look) -> date:
    """The address keeps the month as 2026-11, the same in every language."""
    chosen = st.selectbox(
        seen.words("report.month"), months, index=months.index(open_month), format_func=lambda day: f"{day:%Y-%m}",
        key="report_month", bind="query-params", width=140,
    )  # fmt: skip
    return chosen or open_month


def show_tiles(report: MonthReport, seen: Look) -> None:
    words, totals, compared = seen.words, report.totals, report.comparison
    energy = (words("report.energy"), words.kwh(totals.energy))
    if totals.energy is None and report.on_quotas is not None:
        energy = (words("report.on_quotas"), words.kwh(report.on_quotas))
    listed = sum(person.line.state is not QuotaState.UNLISTED for person in report.people)
    cards = words("report.cards", number=words.number(listed, 0)) if seen.site.users else ""
    tiles = [
        (*energy, before_words(compared, "energy", lambda energy: words.number(energy / 1000), seen)),
        (words("report.sessions"), count(totals.sessions, seen), before_words(compared, "sessions", None, seen)),
        (words("report.users"), count(report.users, seen), cards),
        (words("report.by_quota"), count(totals.by_quota, seen), before_words(compared, "by_quota", None, seen)),
    ]
    with st.grid(4, min_column_width=150):
        for label, value, below in tiles:
            st.metric(label, value, below or None, delta_color="off", delta_arrow="off", border=True, height="stretch")
    st.caption(" ".join(explanations(report, seen)))


def explanations(report: MonthReport, seen: Look) -> list[str]:
    words, told = seen.words, []
    if report.on_quotas is not None and report.totals.energy is not None:
        told.append(words("report.on_quotas_line", energy=words.kwh(report.on_quotas)))
    if report.comparison is None:
        told.append(words("report.not_compared", month=words.month(month_before(report.month.first))))
    else:
        key = "report.compared_now" if report.comparison.is_until_now else "report.compared"
        told.append(words(key, days=days_words(report.comparison, words)))
    if report.is_open:
        told.append(words("report.running"))
    return told


def before_words(compared: Comparison | None, name: str, shown: Callable[[int], str] | None, seen: Look) -> str:
    """Say what stood there in the same days of the month before."""
    if compared is None or getattr(compared.before, name) is None:
        return ""
    now, before = getattr(compared.now, name), getattr(compared.before, name)
    change = "" if now is None else change_words(now, before, seen.words)
    figure = shown(before) if shown else count(before, seen)
    return seen.words("report.before", figure=figure, change=f"({change})" if change else "").strip()


def count(number: int | None, seen: Look) -> str:
    return DASH if number is None else seen.words.number(number, 0)


def show_charts(report: MonthReport, seen: Look) -> None:
    if report.month.energy is None:
        return
    words = seen.words
    days, week = day_frame(report, words), week_frame(report, words)
    most = max(report.days, key=lambda entry: entry[1], default=None)
    slot = max(report.week, key=lambda entry: entry.energy, default=None)
    with st.grid(2, min_column_width=340):
        with st.container():
            st.subheader(words("report.per_day"), anchor=False)
            alt = words("report.per_day_alt_none")
            if most and most[1]:
                alt = words("report.per_day_alt", total=words.kwh(report.totals.energy), most=words.day(most[0]))
            st.altair_chart(report_charts.day_chart(days, words), alt=alt)
        with st.container():
            st.subheader(words("report.hours"), anchor=False)
            alt = words("report.hours_alt_none")
            if slot and slot.energy:
                alt = words("report.hours_alt", weekday=words.weekday(slot.weekday), hour=slot.hour)
            st.altair_chart(report_charts.week_chart(week, words), alt=alt)


def show_tables(report: MonthReport, seen: Look) -> None:
    grid = st.grid(3, min_column_width=300)
    with grid.cell(column_span=2):
        show_people(report, seen)
    with grid.cell():
        show_chargers(report, seen)


def show_people(report: MonthReport, seen: Look) -> None:
    words, number = seen.words, st.column_config.NumberColumn
    st.subheader(words("report.people"), anchor=False)
    if not report.people:
        st.caption(words("report.no_people"))
        return
    st.dataframe(
        people_frame(report.people, words), key="report_people", hide_index=True, placeholder="",
        height="content" if len(report.people) <= MOST_ROWS else "auto",
        alt=words("report.people_alt"),
        column_config={
            "name": st.column_config.TextColumn(words("columns.name"), pinned=True),
            "card": words("columns.card"),
            "account": words("columns.account"),
            "state": st.column_config.MultiselectColumn(
                words("columns.state"),
                options=[words(f"states.quota.{state}") for state in QUOTA_COLORS],
                color=list(QUOTA_COLORS.values()),
            ),
            "sessions": number(words("report.column.sessions"), format="%d"),
            "used": number(words("report.column.account_used"), format="%.1f"),
            "quota": number(words("columns.quota"), format="%.1f"),
            "over": number(words("report.column.over"), format="%.1f"),
            "free": number(words("report.column.free"), format="%.1f"),
        },
    )  # fmt: skip
    st.caption(words("report.quota_now"))


def show_chargers(report: MonthReport, seen: Look) -> None:
    words, number = seen.words, st.column_config.NumberColumn
    st.subheader(words("report.chargers"), anchor=False)
    if not report.chargers:
        st.caption(words("report.no_chargers"))
        return
    st.dataframe(
        charger_frame(report.chargers), key="report_chargers", hide_index=True, placeholder="",
        height="content" if len(report.chargers) <= MOST_ROWS else "auto",
        alt=words("report.chargers_alt"),
        column_config={
            "charger": st.column_config.TextColumn(words("columns.charger"), pinned=True),
            "energy": number(words("report.column.energy"), format="%.1f"),
            "share": st.column_config.ProgressColumn(
                words("report.column.share"), format="%.0f%%", min_value=0, max_value=100
            ),
            "sessions": number(words("report.column.sessions"), format="%d"),
        },
    )  # fmt: skip


def show_downloads(report: MonthReport, seen: Look) -> None:
    """Files are made when somebody asks for one, not with every look."""
    words, month, site_name = seen.words, f"{report.month.first:%Y-%m}", site_name_of(seen)

    def workbook() -> bytes:
        return workbook_of(report_tables(report, site_name, seen.zone, words).values(), f"{site_name} {month}")

    st.download_button(
        words("report.download.excel"), workbook, file_name(site_name, month, "xlsx"), XLSX_MIME, key="report_excel",
        on_click="ignore", icon=":material/table_view:", help=words("report.download.excel_help"),
    )  # fmt: skip
    with st.popover(words("report.download.csv"), icon=":material/download:", key="report_tables"):
        sheet = st.selectbox(
            words("report.download.table"), SHEETS, index=1, format_func=lambda name: words(f"report.sheet.{name}"),
            key="report_sheet",
        ) or SHEETS[1]  # fmt: skip
        offer_csv(
            seen, f"{month}-{sheet}", "report_csv", lambda: report_tables(report, site_name, seen.zone, words)[sheet]
        )


def show_statements(report: MonthReport, seen: Look) -> None:
    words, site_name = seen.words, site_name_of(seen)
    active = [person for person in report.people if person.is_active]
    with st.popover(words("report.download.statements"), icon=":material/print:", disabled=not active):
        names = dict(zip((person.line.id_tag for person in active), person_names(active), strict=True))
        names[EVERYBODY] = words("report.download.everybody")
        chosen = st.selectbox(
            words("report.download.whose"), [EVERYBODY, *(person.line.id_tag for person in active)],
            format_func=lambda tag: names.get(tag, tag), key="report_whose",
        )  # fmt: skip
        people = [person for person in active if chosen in {EVERYBODY, person.line.id_tag}]
        whose = words("report.download.statements") if chosen == EVERYBODY else chosen or ""
        maker = Maker(report, site_name, seen.now, seen.zone, words)
        st.download_button(
            words("report.download.get"), lambda: statements(people, maker),
            file_name(site_name, f"{report.month.first:%Y-%m} {whose}", "html"), HTML_MIME, key="report_statement",
            on_click="ignore", disabled=not people, help=words("report.download.get_help"),
        )  # fmt: skip


def site_name_of(seen: Look) -> str:
    return seen.site.server.site_name if seen.site.server else ""


show()
