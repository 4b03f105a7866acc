"""`first_start.advice`: what a newcomer is told to do next."""

from pathlib import Path

import pytest

from ocpp_server import first_start
from ocpp_server.control_api.token import make_token
from ocpp_server.settings import Settings


def test_a_newcomer_is_told_how_to_let_a_charger_in(tmp_path: Path) -> None:
    """And at the first start where the secret of the control API is: its place, never the secret (T19)."""
    settings = Settings(data_dir=tmp_path)
    approve = first_start.command("chargers", "approve", "CHARGER_ID")

    assert first_start.advice(settings).splitlines() == [
        f"A new charger is let in once you approve it, on the dashboard or by: {approve}",
        f"Secret of the control API, made at this first start, for this user alone: {tmp_path / 'api_token'}",
    ]
    token = make_token(tmp_path)
    assert len(first_start.advice(settings).splitlines()) == 1
    assert token not in first_start.advice(settings)
    assert first_start.advice(Settings(data_dir=tmp_path, charger_admission="open")) == ""


def test_a_command_can_be_typed_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short in the project's own folder, whole elsewhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(first_start.sys, "executable", f"{tmp_path}/.venv/bin/python")
    assert first_start.command("chargers", "list") == ".venv/bin/python -m ocpp_server chargers list"

    monkeypatch.chdir("/")
    assert first_start.command() == f"{str(tmp_path)[1:]}/.venv/bin/python -m ocpp_server"
    monkeypatch.setattr(first_start.sys, "executable", "/opt/a b/python")
    monkeypatch.chdir(tmp_path)
    assert first_start.command("check") == "'/opt/a b/python' -m ocpp_server check"
