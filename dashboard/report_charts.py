"""The charts of the monthly report. Colours are the theme's, so both of them follow light and dark."""

import altair as alt
import pandas as pd

from dashboard.texts import Words

HEIGHT = 230


def day_chart(frame: pd.DataFrame, words: Words) -> alt.Chart:
    """Give energy by day as bars."""
    chart: alt.Chart = (
        alt.Chart(frame, height=HEIGHT)
        .mark_bar()
        .encode(
            x=alt.X("day:O", title=None, axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            y=alt.Y("energy:Q", title=None),
            tooltip=[
                alt.Tooltip("label:N", title=words("report.day")),
                alt.Tooltip("energy:Q", title="kWh", format=".1f"),
            ],
        )
    )
    return chart


def week_chart(frame: pd.DataFrame, words: Words) -> alt.Chart:
    """Give energy by weekday and hour as a heat map."""
    chart: alt.Chart = (
        alt.Chart(frame, height=HEIGHT)
        .mark_rect()
        .encode(
            x=alt.X("hour:O", title=None, scale=alt.Scale(domain=list(range(24))),
                    axis=alt.Axis(labelAngle=0, values=list(range(0, 24, 3)), ticks=False)),
            y=alt.Y("weekday:O", title=None, sort=[words.weekday(number) for number in range(7)],
                    axis=alt.Axis(labelOverlap=False, ticks=False)),
            color=alt.Color("energy:Q", title=None, scale=alt.Scale(domainMin=0)),
            tooltip=[
                alt.Tooltip("weekday:N", title=words("report.weekday")),
                alt.Tooltip("hour:O", title=words("report.hour")),
                alt.Tooltip("energy:Q", title="kWh", format=".1f"),
            ],
        )
    )  # fmt: skip
    return chart
