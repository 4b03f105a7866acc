"""`explain`: why a session went as it did, over HTTP and from the command line (issue 4)."""

import argparse
import json
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import pytest
from running_site import RunningSite, SiteFactory, people

from ocpp_server.__main__ import SUBCOMMANDS
from ocpp_server.command_line import parse
from ocpp_server.control_api.token import read_token
from ocpp_server.explain import explain
from ocpp_server.settings import Settings
from simulator import Behaviour


async def get(here: RunningSite, path: str, expected: int = 200) -> Any:
    """The JSON of an answer of the control API."""
    url = f"http://127.0.0.1:{here.server.api_port}/api/v1{path}"
    headers = {"Authorization": f"Bearer {read_token(here.data_dir)}"}
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        document = await answer.json(content_type=None)
        assert answer.status == expected, document
        return document


def explained(here: RunningSite, what: object, *, is_json: bool = False, is_tag: bool = False) -> int:
    """The exit code of the command; what it prints is captured."""
    return explain(here.settings, argparse.Namespace(what=str(what), json=is_json, tag=is_tag))


async def test_a_session_that_was_stopped_at_its_quota_is_explained(
    site: SiteFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """Readings, forecast, stop attempts, bookings and overshoot, in figures and in words; the command says the same."""
    here = await site(people(RFID001=5))
    charge_point = await here.plug()
    session = await charge_point.plug_in_and_swipe(1, "RFID001", 22_000)
    await here.steps.advance_until(lambda: session.is_stopped, 900)
    await here.published()

    told = await get(here, f"/transactions/{session.transaction_id}/explanation")

    readings = [reading["register_wh"] for reading in told["readings"]]
    assert len(readings) >= 5
    assert readings == sorted(readings)
    assert all(reading["transaction_id"] == session.transaction_id for reading in told["readings"])

    (forecast,) = told["forecasts"]
    assert (forecast["cause"], forecast["quota_wh"], forecast["power_w"]) == ("quota reached", 5000, 22_000)
    assert forecast["remaining_wh"] == 5000 - forecast["used_wh"] - forecast["unreported_wh"]
    ordered, reached, ended = (
        datetime.fromisoformat(text)
        for text in (forecast["at"], forecast["quota_reached_at"], told["transaction"]["ended_at"])
    )
    assert ordered < reached
    assert abs(ended - reached) < timedelta(seconds=3)

    stop = told["transaction"]["stop"]
    assert (stop["cause"], stop["attempts"], stop["failures"], stop["result"]) == ("quota reached", 1, 0, "Accepted")
    assert stop["ordered_at"] == forecast["at"]
    assert stop["next_attempt_at"] is None

    energy = session.meter_stop - session.meter_start
    assert told["overshoot"] == {
        "at": told["notes"][-1]["at"],
        "quota_wh": 5000,
        "used_wh": energy,
        "overshoot_wh": max(0, energy - 5000),
    }
    assert told["transaction"]["overshoot_wh"] == max(0, energy - 5000)
    assert sum(booking["wh"] for booking in told["bookings"]) == energy == told["transaction"]["energy_wh"]
    decisions = [note["kind"] for note in told["notes"] if note["kind"] != "quota nearly used up"]
    assert decisions == ["stop", "stop", "overshoot"]

    words = "\n".join(told["summary"])
    for fact in (
        f"Session {session.transaction_id} of RFID001 (John Doe) began at CP1, connector 1, 2025-01-15 13:30",
        f"{len(readings)} readings are kept",
        "quota reached. Of the quota of 5 kWh",
        "used up at 22 kW by 2025-01-15 13:",
        "RemoteStopTransaction (quota reached) was tried once; the last time 2025-01-15 13:",
        "answer: Accepted",
        f"{len(told['bookings'])} bookings, together {energy / 1000:g} kWh",
        "over the quota of 5 kWh" if energy > 5000 else "no overshoot",
    ):
        assert fact in words, words

    assert explained(here, session.transaction_id, is_json=True) == 0
    assert json.loads(capsys.readouterr().out) == told
    assert explained(here, session.transaction_id) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(words)
    assert all(title in printed for title in ("Readings:", "Bookings:", "Decisions and notes:"))

    await here.stop()  # and without a server
    assert explained(here, session.transaction_id, is_json=True) == 0
    assert json.loads(capsys.readouterr().out) == told


async def test_a_stop_that_was_not_obeyed_is_explained(site: SiteFactory) -> None:
    """How often it was asked for, what was answered, and how far it went over."""
    here = await site(people(RFID001=1), stop_escalation="none")
    charge_point = await here.plug(behaviour=Behaviour(reject_remote_stop=True))
    session = await charge_point.plug_in_and_swipe(1, "RFID001", 22_000)
    await here.advance(600)

    told = await get(here, f"/transactions/{session.transaction_id}/explanation")
    stop = told["transaction"]["stop"]
    assert stop["attempts"] == stop["failures"] == charge_point.received["RemoteStopTransaction"]
    assert (stop["result"], told["transaction"]["ended_at"], told["overshoot"]) == ("Rejected", None, None)
    assert stop["next_attempt_at"] > stop["attempted_at"]
    assert "stop not obeyed" in [note["text"] for note in told["notes"]]
    assert f"was tried {stop['attempts']} times, {stop['failures']} times in vain" in " ".join(told["summary"])
    assert "It runs at 22 kW" in told["summary"][-1]

    await charge_point.stop()
    told = await get(here, f"/transactions/{session.transaction_id}/explanation")
    over = session.meter_stop - session.meter_start - 1000
    assert told["overshoot"]["overshoot_wh"] == over > 2000
    assert f"Its account was then {over} Wh over the quota of 1 kWh." in told["summary"]


async def test_a_card_is_explained(site: SiteFactory, capsys: pytest.CaptureFixture[str]) -> None:
    """Quota, use, sessions and why it was refused, also in another spelling; a card nobody knows is 404."""
    here = await site(people(RFID001=5), used_kwh='{"RFID001": 5.25}')
    charge_point = await here.connect()
    for tag in ("RFID001", "rfid001", "STRANGER"):
        await charge_point.call("Authorize", {"idTag": tag})

    told = await get(here, "/users/rfid001/explanation")
    assert (told["id_tag"], told["name"], told["quota_wh"], told["used_wh"]) == ("RFID001", "John Doe", 5000, 5250)
    refused = [(note["id_tag"], note["text"]) for note in told["notes"] if note["kind"] == "refusal"]
    assert refused == [("rfid001", "quota is used up"), ("RFID001", "quota is used up")]
    assert "In 2025-01 its account used 5.25 kWh of 5 kWh: nothing is left, 250 Wh over." in told["summary"]
    assert told["summary"][-1].startswith("It was last refused 2025-01-15 13:30")

    stranger = await get(here, "/users/STRANGER/explanation")
    assert (stranger["is_known"], len(stranger["notes"])) == (False, 1)
    assert stranger["summary"][0] == "STRANGER is not in the users file: it is refused wherever quotas count."

    problem = await get(here, "/users/NOBODY%2F1/explanation", 404)
    assert problem["detail"] == "nothing is known of the tag NOBODY/1"
    assert explained(here, "RFID001", is_json=True) == 0
    assert json.loads(capsys.readouterr().out) == await get(here, "/users/RFID001/explanation")
    assert explained(here, "RFID001") == 0
    assert "RFID001 is John Doe." in capsys.readouterr().out
    assert explained(here, "NOBODY") == 2
    assert capsys.readouterr().err == "not explained: no session and no tag 'NOBODY' is known\n"


async def test_a_number_is_a_session_or_else_a_card(site: SiteFactory, capsys: pytest.CaptureFixture[str]) -> None:
    """Cards may be numbers; `--tag` says that one is meant."""
    here = await site("id_tag,name,surname,quota_kwh,unlimited\r\n1234,Ann,,5,FALSE\r\n")
    charge_point = await here.plug()
    session = await charge_point.plug_in_and_swipe(1, "1234", 7_000)
    await here.advance(120)

    for what, is_tag, begin in (
        ("1234", False, "1234 is Ann."),
        (session.transaction_id, False, f"Session {session.transaction_id} of 1234 (Ann)"),
    ):
        assert explained(here, what, is_tag=is_tag) == 0
        assert capsys.readouterr().out.startswith(begin)
    assert explained(here, session.transaction_id, is_tag=True) == 2
    assert explained(here, "9" * 30) == 2
    assert (await get(here, "/transactions/999999999/explanation", 404))["detail"] == "there is no session 999999999"


def test_the_command_is_known() -> None:
    """With what it takes."""
    arguments = parse(SUBCOMMANDS, ["explain", "RFID001", "--json"])

    assert (arguments.subcommand, arguments.what, arguments.json, arguments.tag) == ("explain", "RFID001", True, False)


def test_without_a_ledger_it_says_so(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped folder; none is made."""
    settings = Settings(_env_file=None, data_dir=tmp_path / "none")

    assert explain(settings, argparse.Namespace(what="RFID001", json=False, tag=False)) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
