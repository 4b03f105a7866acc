"""Each of the 26 calls through the HTTP door to a simulated charge point, well-behaved and not (issue 4)."""

import asyncio
import json
from typing import Any

import pytest
from operator_of_site import Operator
from operators_desk import NAME as CHARGE_POINT
from operators_desk import OFFLINE, PATIENCE_S, Told, answered, refused, unanswered
from running_site import RunningSite, SiteFactory
from schema_examples import request

from ocpp_server.core.records import NoteKind
from ocpp_server.ocpp16.requests import REQUESTS
from simulator import Behaviour, SimulatedChargePoint
from simulator.answering import Answering

LAST = ("UpdateFirmware", "RemoteStartTransaction", "Reset")
ACTIONS = (*(action for action in REQUESTS if action not in LAST), *LAST)
"""What changes the state of the charge point comes last."""
WITHOUT_DUTIES = {"GetConfiguration", "GetDiagnostics", "UpdateFirmware"}
"""Calls whose answers need not hold anything."""


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[list[Any]]:
    """The answers of simulated charge points, as they leave them."""
    frames: list[list[Any]] = []
    send = Answering._send

    async def send_and_note(self: Answering, message: str) -> None:
        frame = json.loads(message)
        if frame[0] in (3, 4):
            frames.append(frame)
        await send(self, message)

    monkeypatch.setattr(Answering, "_send", send_and_note)
    return frames


class Here:
    """A server that asks nothing by itself, and a simulated charge point."""

    def __init__(self, site: RunningSite, charge_point: SimulatedChargePoint) -> None:
        self.site = site
        self.charge_point = charge_point
        self._operator = Operator(site)

    async def ask(self, action: str, *, is_patient: bool = False) -> Told:
        """Through the generic door. `is_patient`: turn the clock until there is an answer."""
        asking = asyncio.ensure_future(self._operator.command(CHARGE_POINT, action, request(action, is_full=False)))
        return await (self._operator.patiently(asking) if is_patient else asking)

    def audited(self) -> list[tuple[str, str]]:
        """What was noted of these calls."""
        return [(note.text, dict(note.figures)["result"]) for note in self.site.notes(NoteKind.CALL)]


async def plugged(site: SiteFactory, **habits: Any) -> Here:
    here = await site(configure_charge_points=False, call_timeout_s=PATIENCE_S)
    return Here(here, await here.plug(CHARGE_POINT, behaviour=Behaviour(**habits)))


@pytest.mark.parametrize("habits", [{}, {"refused_calls": ACTIONS}], ids=["obeys", "refuses"])
async def test_its_answers_are_told_as_it_gave_them(
    site: SiteFactory, given: list[list[Any]], habits: dict[str, Any]
) -> None:
    """All 26 reach it, and what it says to each is told to the letter, a no as well as a yes."""
    here = await plugged(site, **habits)
    audit = []
    for action in ACTIONS:
        given.clear()
        told = await here.ask(action)
        ((kind, _, payload),) = given
        assert (kind, told) == (3, answered(action, payload))
        audit.append((action, payload.get("status", "answered")))

    assert here.charge_point.received.keys() == REQUESTS.keys()
    assert here.audited() == audit
    assert ("Reset", "Rejected" if habits else "Accepted") in audit


async def test_its_refusals_are_told(site: SiteFactory, given: list[list[Any]]) -> None:
    """CALLERROR NotSupported with its words."""
    here = await plugged(site, unsupported_calls=ACTIONS)
    for action in ACTIONS:
        assert await here.ask(action) == refused(action, "NotSupported", f"{action} is not supported")

    assert [frame[2] for frame in given] == ["NotSupported"] * len(ACTIONS)
    assert here.audited() == [(action, "error: NotSupported") for action in ACTIONS]


async def test_its_nonsense_is_told(site: SiteFactory) -> None:
    """502 where the answer lacks what it has to tell, else what is wrong with it."""
    here = await plugged(site, malformed_calls=ACTIONS)
    for action in ACTIONS:
        status, told = await here.ask(action)
        assert status == (200 if action in WITHOUT_DUTIES else 502)
        assert told["fault" if status == 200 else "detail"], action

    usual = dict.fromkeys(ACTIONS, "error: malformed answer")
    assert dict(here.audited()) == usual | dict.fromkeys(WITHOUT_DUTIES, "7")


async def test_its_silence_is_told(site: SiteFactory) -> None:
    """504, whatever was asked."""
    here = await plugged(site, unanswered_calls=ACTIONS)
    for action in ACTIONS:
        assert await here.ask(action, is_patient=True) == unanswered(action)

    assert here.audited() == [(action, "no answer") for action in ACTIONS]


async def test_that_it_hangs_up_is_told(site: SiteFactory) -> None:
    """504 where it was asked and is gone; 409 once it is gone for good."""
    here = await plugged(site, disconnecting_calls=ACTIONS)
    connection = here.site.server.gateway.connection
    for action in ACTIONS:
        before = connection(CHARGE_POINT)
        assert await here.ask(action) == unanswered(action)
        await here.site.until(lambda before=before: connection(CHARGE_POINT) not in (None, before))  # type: ignore[misc]
    await here.charge_point.close()
    await here.site.until(lambda: connection(CHARGE_POINT) is None)

    assert await here.ask("Reset") == OFFLINE
    assert here.audited() == [*((action, "no answer") for action in ACTIONS), ("Reset", "offline")]
