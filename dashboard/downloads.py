"""A table as a file, in both national forms of CSV."""

from collections.abc import Callable

import streamlit as st

from dashboard.exports import CSV_MIME, Table, csv_of, file_name
from dashboard.shell import Look


def offer_csv(seen: Look, what: str, key: str, make: Callable[[], Table]) -> None:
    """Show two buttons; the file is made when somebody asks for it. `what` is a part of its name."""
    site_name = seen.site.server.site_name if seen.site.server else ""
    for form, has_decimal_comma in (("csv", False), ("csv_comma", True)):

        def made(*, has_decimal_comma: bool = has_decimal_comma) -> bytes:
            return csv_of(make(), has_decimal_comma=has_decimal_comma)

        st.download_button(
            seen.words(f"downloads.{form}"), made, file_name(site_name, what, "csv"), CSV_MIME,
            key=f"{key}_{form}", icon=":material/download:", on_click="ignore",
        )  # fmt: skip
