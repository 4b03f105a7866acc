"""Meter log: the total power, a strip for each charge point, the mains frequency and the newest readings."""

from collections.abc import Sequence

import altair as alt
import streamlit as st

from dashboard import meter_log, shell
from dashboard.records import PowerReading
from dashboard.shell import Look

MOST_ROWS = 15
LINE_HEIGHT = 180
STRIP_HEIGHT = 22


def show() -> None:
    seen = shell.look()
    words, readings = seen.words, seen.site.readings
    if not readings:
        st.caption(words("meter_log.none"))
        return
    picked = st.multiselect(
        words("meter_log.filter"), meter_log.charge_point_names(readings), key="log_chargers",
        placeholder=words("meter_log.filter_hint"), label_visibility="collapsed", bind="query-params",
    )  # fmt: skip
    shown = meter_log.of_charge_points(readings, picked)
    if not shown:
        st.caption(words("meter_log.none_of_these"))
        return
    reach = words.duration(meter_log.span(shown, seen.now).total_seconds())
    st.caption(words.counted("meter_log.spans", len(shown), time=reach))
    show_charts(seen, shown)
    show_newest(seen, shown)


def show_charts(seen: Look, shown: Sequence[PowerReading]) -> None:
    words = seen.words
    total = meter_log.total_table(shown, seen.now, seen.zone)
    if len(total) < 2:
        st.caption(words("meter_log.too_few"))
        return
    time = alt.X("time:T", title=None, axis=alt.Axis(format="%H:%M"))
    power = alt.Y("kw:Q", title="kW")
    st.subheader(words("meter_log.total"), anchor=False)
    line = alt.Chart(total).mark_line(interpolate="step-after").encode(time, power)
    st.altair_chart(line.properties(height=LINE_HEIGHT), alt=words("meter_log.total_alt"))

    st.subheader(words("meter_log.strips"), anchor=False)
    strips = meter_log.strip_table(shown, seen.now, seen.zone)
    strip = alt.Chart(strips).mark_rect().encode(
        time,
        alt.X2("end:T"),
        alt.Y("charger:N", title=None, axis=alt.Axis(labelOverlap=False, labelLimit=140)),
        alt.Color("kw:Q", title="kW", scale=alt.Scale(domainMin=0)),
    )  # fmt: skip
    height = 60 + STRIP_HEIGHT * strips["charger"].nunique()
    st.altair_chart(strip.properties(height=height), alt=words("meter_log.strips_alt"))

    frequency = meter_log.frequency_table(shown, seen.zone)
    if len(frequency):
        st.subheader(words("meter_log.frequency"), anchor=False)
        hertz = alt.Y("hz:Q", title="Hz", scale=alt.Scale(zero=False), axis=alt.Axis(format=".2f"))
        points = alt.Chart(frequency).mark_line().encode(time, hertz)
        st.altair_chart(points.properties(height=LINE_HEIGHT), alt=words("meter_log.frequency_alt"))


def show_newest(seen: Look, shown: Sequence[PowerReading]) -> None:
    words = seen.words
    st.subheader(words("meter_log.newest"), anchor=False)
    st.dataframe(
        meter_log.newest_table(shown),
        key="newest_readings",
        hide_index=True,
        placeholder="",
        height="content" if len(shown) <= MOST_ROWS else "auto",
        alt=words("meter_log.newest_alt"),
        column_config={
            "time": st.column_config.DatetimeColumn(
                words("columns.time"), format="D MMM HH:mm:ss", timezone=str(seen.zone), pinned=True
            ),
            "charger": words("columns.charger"),
            "person": words("columns.person"),
            "power": st.column_config.NumberColumn(words("columns.power"), format="%.1f"),
            "register": st.column_config.NumberColumn(words("columns.register"), format="%.1f"),
            "frequency": st.column_config.NumberColumn(words("columns.frequency"), format="%.2f"),
        },
    )


shell.live(shell.USERS_INTERVAL_S, show)
