"""The meter log: what its charts and its table show, and the page in good and bad states."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from site_folder import SiteFolder, reading
from streamlit.testing.v1 import AppTest

from dashboard import meter_log
from dashboard.records import PowerReading, Wh

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
ISTANBUL = ZoneInfo("Europe/Istanbul")


def at(seconds: int, charge_point: str = "A", power_w: float = 1000.0, **more: object) -> PowerReading:
    return PowerReading(charge_point, NOW + timedelta(seconds=seconds), power_w, **more)  # type: ignore[arg-type]


def test_a_strip_is_the_mean_of_each_whole_minute_by_the_sites_clock() -> None:
    """12:00 UTC is 15:00 in Istanbul; the running minute is left out."""
    table = meter_log.strip_table([at(-90), at(-80, power_w=2000.0), at(-5), at(-90, "B", 500.0)], NOW, ISTANBUL)

    begin, end = (datetime.fromisoformat(text) for text in ("2026-11-20T14:59", "2026-11-20T15:00"))
    assert table.values.tolist() == [["A", begin, end, 1.5], ["B", begin, end, 0.5]]


def test_only_a_frequency_that_was_reported_is_drawn() -> None:
    """A charger that reports none, or 0, has no frequency; nothing is made up."""
    table = meter_log.frequency_table([at(0, frequency_hz=49.98), at(1), at(2, frequency_hz=0.0)], UTC)

    assert table["hz"].tolist() == [49.98]


def test_the_table_has_the_newest_first_and_names_the_register_as_such() -> None:
    """The register is the charger's meter reading, not the session's energy."""
    table = meter_log.newest_table([at(-60, register=Wh(1500)), at(0)])

    assert table["time"].tolist() == [NOW, NOW - timedelta(seconds=60)]
    assert table["register"].tolist()[1] == 1.5
    assert table["register"].isna().tolist() == [True, False]


def test_the_log_says_how_far_back_it_reaches(folder: SiteFolder, run_app: Callable[..., AppTest]) -> None:
    """500 readings of 15 cars are half an hour."""
    now = datetime.now(UTC)
    folder.write_five()
    folder.write(
        "meter_data_log.json", [reading("CP_01", now - timedelta(minutes=number)) for number in range(26, 0, -1)]
    )

    app = run_app("meter_log")

    assert any(caption.value.startswith("26 readings of the last 26 min.") for caption in app.caption)
    assert [chart.value for chart in app.subheader] == [
        "Total power", "Power by charger", "Mains frequency", "Newest readings",
    ]  # fmt: skip
    assert len(app.dataframe[0].value) == 26


def test_the_filter_leaves_one_charger(folder: SiteFolder, run_app: Callable[..., AppTest]) -> None:
    """It is in the address of the page."""
    now = datetime.now(UTC)
    folder.write_five()
    folder.write("meter_data_log.json", [reading("A", now), reading("B", now), reading("A", now)])

    app = run_app("meter_log")
    app.multiselect(key="log_chargers").set_value(["A"]).run()

    assert not app.exception
    assert app.dataframe[0].value["charger"].tolist() == ["A", "A"]


@pytest.mark.parametrize("content", ["", "{", "[1]", "[]", "null"])
def test_without_readings_the_page_says_so(folder: SiteFolder, run_app: Callable[..., AppTest], content: str) -> None:
    """Also if the file cannot be read."""
    folder.write_five()
    folder.write("meter_data_log.json", content)

    app = run_app("meter_log")

    assert any("meter_data_log.json" in caption.value for caption in app.caption)
    assert not app.dataframe
