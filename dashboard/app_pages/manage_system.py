"""Manage: system. Health and version, the month, deliveries to other systems, the audit, the settings."""

from datetime import datetime, time, timedelta

import streamlit as st

from dashboard import shell, site_state, view
from dashboard.asking import problem_words
from dashboard.control_api import ApiProblem
from dashboard.delivery_panel import show_deliveries
from dashboard.json_values import claim_at, objects_at, whole_at
from dashboard.month_panel import show_month
from dashboard.paging import PAGE, page_wanted, show_turning
from dashboard.reading_api import read
from dashboard.shell import Look
from dashboard.site_files import folder_of_site
from dashboard.told import show_told
from dashboard.wording import plain

PARTS = ("health", "month", "deliveries", "audit", "settings")
MOST_ROWS = 20


def show_health() -> None:
    """Whether all is well, as /healthz says it to a supervisor."""
    seen = shell.look()
    words, server = seen.words, seen.site.server
    try:
        health = shell.api().health()
    except ApiProblem as problem:
        st.error(problem_words(problem, words))
        health = {}
    checks = list(objects_at(health, "checks")) if isinstance(health, dict) else []
    wrong = sum(claim_at(check, "ok") is not True for check in checks)
    backup = site_state.newest_backup(folder_of_site())
    unknown = words("states.other.unknown")
    tiles = (
        (words("manage_system.version"), plain(server.version) if server and server.version else unknown),
        (words("manage_system.checks"), _verdict(len(checks), wrong, seen)),
        (words("manage_system.backup"), words.day(backup) if backup else words("manage_system.no_backup")),
    )  # fmt: skip
    with st.grid(3, min_column_width=150):
        for label, value in tiles:
            st.metric(label, value, border=True)
    if checks:
        st.dataframe(
            site_state.health_table(checks, words), key="health", hide_index=True, placeholder="", height="content",
            alt=words("manage_system.health_alt"),
            column_config={
                "check": words("manage_system.check"),
                "state": st.column_config.MultiselectColumn(
                    words("columns.state"),
                    options=[words(f"manage_system.health.{state}") for state in site_state.HEALTH_STATES],
                    color=list(site_state.HEALTH_STATES.values()),
                ),
                "detail": st.column_config.TextColumn(words("columns.details"), width="large"),
            },
        )  # fmt: skip
    st.markdown(words("manage_system.backup_hint"))
    st.code(".venv/bin/python -m ocpp_server backup evquota.zip", language=None, wrap_lines=True)


def _verdict(checks: int, wrong: int, seen: Look) -> str:
    if not checks:
        return seen.words("states.other.unknown")
    return seen.words.counted("manage_system.wrong", wrong) if wrong else seen.words("manage_system.all_well")


def show_audit() -> None:
    """Who did what: pages of it, by charger, card and days of the site's clock."""
    seen = shell.look()
    words, today = seen.words, seen.local_now.date()
    with st.grid(3, min_column_width=180):
        names = sorted({each.charge_point_id for each in seen.site.charge_points or ()})
        charger = st.selectbox(
            words("columns.charger"), names, index=None, key="audit_charger",
            placeholder=words("manage.all_chargers"),
        )  # fmt: skip
        card = st.text_input(words("columns.card"), key="audit_card", placeholder=words("manage_system.any_card"))
        days = st.date_input(words("manage_system.days"), [], key="audit_days", format="YYYY-MM-DD", max_value=today)
    since = until = None
    if isinstance(days, tuple) and len(days) == 2:
        first, last = (datetime.combine(day, time(), seen.zone) for day in days)
        since, until = first.isoformat(), (last + timedelta(days=1)).isoformat()
    wanted = (charger, (card or "").strip() or None, since, until)
    before = page_wanted("audit", wanted)
    found = read(
        "/audit", limit=PAGE, before=before, charge_point=wanted[0], id_tag=wanted[1], since=since, until=until
    )
    if found is None:
        return
    deeds = list(objects_at(found, "audit"))
    if not deeds:
        st.caption(words("manage_system.audit_none"))
        show_turning("audit", None, words)
        return
    st.dataframe(
        site_state.audit_table(deeds), key="audit", hide_index=True, placeholder="",
        height="content" if len(deeds) <= MOST_ROWS else "auto", alt=words("manage_system.audit_alt"),
        column_config={
            "time": st.column_config.DatetimeColumn(
                words("columns.time"), format="D MMM HH:mm:ss", timezone=str(seen.zone)
            ),
            "by": words("manage_system.by"),
            "what": st.column_config.TextColumn(words("columns.what"), width="large"),
            "charger": words("columns.charger"),
            "card": words("columns.card"),
            "transaction": words("columns.transaction"),
            "details": st.column_config.TextColumn(words("columns.details"), width="large"),
        },
    )  # fmt: skip
    show_turning("audit", whole_at(found, "next"), words)


def show_settings() -> None:
    """What the server runs with; to change one is for the file .env."""
    words = shell.words()
    st.caption(words("manage_system.settings_hint"))
    found = read("/settings")
    if found is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        query = st.text_input(
            words("manage_system.search"), key="setting_search", type="search", live=True, width=320,
            label_visibility="collapsed", placeholder=words("manage_system.search"), bind="query-params",
        )  # fmt: skip
        only_changed = st.toggle(words("manage_system.only_changed"), key="setting_changed", bind="query-params")
    table = site_state.settings_table(objects_at(found, "settings"), query or "", words, only_changed=only_changed)
    if table.empty:
        st.caption(words("manage_system.settings_none"))
        return
    st.dataframe(
        table, key="settings", hide_index=True, placeholder="",
        height="content" if len(table) <= MOST_ROWS else "auto", alt=words("manage_system.settings_alt"),
        column_config={
            "name": st.column_config.TextColumn(words("columns.name"), pinned=True),
            "value": words("manage_system.value"),
            "default": words("manage_system.default"),
            "description": st.column_config.TextColumn(words("manage_system.description"), width="large"),
        },
    )  # fmt: skip


def show(seen: Look) -> None:
    words = seen.words
    chosen = st.segmented_control(
        words("manage_system.parts"), PARTS, key="system_part", default=PARTS[0], required=True, bind="query-params",
        format_func=lambda each: words(f"manage_system.part.{each}"), label_visibility="collapsed",
    )  # fmt: skip
    match chosen:
        case "month":
            show_month(view.open_month(seen.site.server, seen.local_now))
        case "deliveries":
            show_deliveries()
        case "audit":
            show_audit()
        case "settings":
            show_settings()
        case _:
            shell.live(shell.USERS_INTERVAL_S, show_health)


show_told()
show(shell.look())
