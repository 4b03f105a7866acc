"""The names of the dashboard's pages, read from app.py: a new page cannot be forgotten by the tests that visit all."""

import ast
from pathlib import Path

APP = Path(__file__).resolve().parents[2] / "dashboard" / "app.py"


def names_in(table: str) -> list[str]:
    """Of `ICONS`, the pages of everybody, or of `MANAGE`, those of administrators."""
    for statement in ast.parse(APP.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and any(getattr(name, "id", "") == table for name in statement.targets):
            return list(ast.literal_eval(statement.value))
    raise LookupError(table)


FOR_EVERYBODY, FOR_ADMINISTRATORS = names_in("ICONS"), names_in("MANAGE")
EVERY_PAGE = [*FOR_EVERYBODY, *FOR_ADMINISTRATORS]
