"""What the commands print: tables for people, and on standard error how far long work has come."""

import sys
from collections.abc import Iterable, Sequence

from ocpp_server.event_log import printable


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns as wide as their widest cell, numbers to the right. None and blank are "-".

    What charge points and tables say of themselves cannot steer the terminal.
    """
    values = [list(row) for row in rows]
    cells = [list(header), *([_cell(value) for value in row] for row in values)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    is_number = [any(isinstance(row[column], int | float) for row in values) for column in range(len(header))]
    lines = (
        "  ".join(
            cell.rjust(width) if to_the_right else cell.ljust(width)
            for cell, width, to_the_right in zip(row, widths, is_number, strict=True)
        ).rstrip()
        for row in cells
    )
    return "\n".join(lines)


def progress(step: str) -> None:
    """Say what is being done now, if a person looks on."""
    if sys.stderr.isatty():
        print(f"{step} …", file=sys.stderr, flush=True)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "-" if value is None else printable(str(value)) or "-"
