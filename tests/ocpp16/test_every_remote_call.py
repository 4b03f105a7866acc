"""Each of the 26 calls, by a charge point that is strict about schemas: what became of it is told truthfully."""

import asyncio
import math
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from ocpp.messages import MessageType, get_validator
from ocpp16_doubles import LIMIT_S, Charger, RecordingCentral
from schema_examples import answers, request
from schema_violations import violations

from ocpp_server.clock import Clock
from ocpp_server.ocpp16 import schemas
from ocpp_server.ocpp16.commands import RemoteCalls
from ocpp_server.ocpp16.gateway import Gateway
from ocpp_server.ocpp16.outgoing import CallAnswer
from ocpp_server.ocpp16.requests import REQUESTS, RequestError, check

ERROR_CODES = (
    "NotImplemented",
    "NotSupported",
    "InternalError",
    "ProtocolError",
    "SecurityError",
    "FormationViolation",
    "FormatViolation",
    "PropertyConstraintViolation",
    "OccurenceConstraintViolation",
    "OccurrenceConstraintViolation",
    "TypeConstraintViolation",
    "GenericError",
)
"""OCPP-J §4.2.3, in the spellings of its text and of its errata."""
WITHOUT_STATUS = {"GetConfiguration", "GetDiagnostics", "GetLocalListVersion", "UpdateFirmware"}
QUIET = object()
HANG_UP = object()


class StrictCharger(Charger):
    """Answers with `reply`: a payload, an (error code, description), QUIET or HANG_UP. Checks what it is asked."""

    reply: Any = QUIET

    def __init__(self, *arguments: Any) -> None:
        self.violations: list[str] = []
        super().__init__(*arguments)

    async def _take_call(self, unique_id: str, action: str, payload: dict[str, Any]) -> None:
        self.violations += violations(2, action, payload)
        self.calls.append((action, payload))
        self.call_ids.append(unique_id)
        self._changed.set()
        if isinstance(self.reply, tuple):
            await self.send([4, unique_id, *self.reply, {}])
        elif self.reply is HANG_UP:
            self.socket.transport.abort()
        elif self.reply is not QUIET:
            await self.send([3, unique_id, self.reply])


class PatientClock(Clock):
    """Waits for an answer until the test says that it has waited long enough."""

    def __init__(self) -> None:
        super().__init__()
        self.is_enough = asyncio.Event()

    async def wait_for(self, event: asyncio.Event, seconds: float) -> bool:
        waits = [asyncio.create_task(one.wait()) for one in (event, self.is_enough)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return event.is_set()


class Asker:
    """The server's side and the charge point's side of one call after the other."""

    def __init__(self, gateway: Gateway, charger: StrictCharger, clock: PatientClock) -> None:
        self.gateway = gateway
        self.charger = charger
        self._clock = clock

    async def ask(self, action: str, reply: Any, *, is_full: bool = False) -> CallAnswer:
        """Send the call; the charge point gives this reply. It got exactly what was to be sent."""
        self.charger.reply = reply
        payload = request(action, is_full=is_full)
        async with asyncio.timeout(LIMIT_S):
            answer = await RemoteCalls(self.gateway).call("CP1", action, payload)
        assert self.charger.calls[-1] == (action, payload)
        return answer

    async def ask_in_vain(self, action: str) -> CallAnswer:
        """Send a call that gets no answer."""
        before = len(self.charger.calls)
        asking = asyncio.create_task(self.ask(action, QUIET))
        await self.charger.until(lambda: len(self.charger.calls) > before)
        self._clock.is_enough.set()
        answer = await asking
        self._clock.is_enough.clear()
        return answer


@pytest.fixture
async def asker(gateway: Gateway, central: RecordingCentral) -> AsyncIterator[Asker]:
    """A gateway whose patience is in the hand of the test, and a strict charge point."""
    gateway._clock = clock = PatientClock()
    charger = await StrictCharger.dial(gateway.port)
    await central.until(lambda: gateway.is_connected("CP1"))
    yield Asker(gateway, charger, clock)
    assert charger.violations == []
    await charger.hang_up()


@pytest.mark.parametrize("action", REQUESTS)
async def test_every_answer_that_a_schema_knows_is_passed_on(asker: Asker, action: str) -> None:
    """Accepted, Rejected, NotSupported, …: the charge point's own status and payload, whatever else it holds."""
    for number, reply in enumerate(answers(action)):
        answer = await asker.ask(action, reply, is_full=number % 2 == 0)

        assert answer == CallAnswer("answered" if action in WITHOUT_STATUS else reply["status"], reply)
        assert answer.is_answered


@pytest.mark.parametrize("action", REQUESTS)
async def test_every_refusal_is_passed_on_as_such(asker: Asker, action: str) -> None:
    """A CALLERROR of each code with its description is no answer (OCPP-J §4.2.3)."""
    for code in ERROR_CODES:
        answer = await asker.ask(action, (code, f"no {action} here"))

        assert answer == CallAnswer(f"error: {code}", {"description": f"no {action} here"})
        assert not answer.is_answered


@pytest.mark.parametrize("action", sorted(REQUESTS.keys() - {"GetConfiguration", "GetDiagnostics", "UpdateFirmware"}))
async def test_an_answer_without_its_status_is_malformed(asker: Asker, action: str) -> None:
    """It is told apart from an answer, and with what is wrong: nobody may take it for a yes."""
    name = "listVersion" if action == "GetLocalListVersion" else "status"
    for reply in ({}, {name: None}, {name: ["Accepted"]}, {name: {}}, {"Status": "Accepted"}, "Accepted", None, []):
        answer = await asker.ask(action, reply)

        assert answer.status == "error: malformed answer"
        assert not answer.is_answered
        assert answer.fault


@pytest.mark.parametrize("word", ["offline", "no answer", "error: GenericError"])
async def test_a_status_in_our_own_words_is_malformed(asker: Asker, word: str) -> None:
    """A charge point cannot pass itself off as being offline."""
    answer = await asker.ask("Reset", {"status": word})

    assert (answer.status, answer.is_answered) == ("error: malformed answer", False)
    assert answer.fault == "status is no status of a charge point"


@pytest.mark.parametrize(
    ("action", "reply", "status", "fault"),
    [
        ("Reset", {"status": "Accepted", "vendorExtra": 1}, "Accepted", "vendorExtra is no field here"),
        ("Reset", {"status": "accepted"}, "accepted", "status is none of Accepted, Rejected"),
        ("GetDiagnostics", {"fileName": 7}, "answered", "fileName is a whole number, expected a text"),
        ("GetDiagnostics", {"fileName": "x" * 256}, "answered", "fileName has 256 characters"),
        (
            "GetConfiguration",
            {"configurationKey": [{"key": "A", "readonly": "true"}]},
            "answered",
            "configurationKey[0].readonly is a text, expected true or false",
        ),
        ("GetCompositeSchedule", {"status": "Accepted", "connectorId": "1"}, "Accepted", "connectorId is a text"),
        ("UpdateFirmware", {"status": "Accepted"}, "Accepted", "status is no field here: there are none"),
    ],
)
async def test_an_answer_with_other_faults_is_passed_on_with_them(
    asker: Asker, action: str, reply: Any, status: str, fault: str
) -> None:
    """Charge points add fields and write numbers as text; what they meant is still theirs to say."""
    answer = await asker.ask(action, reply)

    assert (answer.status, answer.payload) == (status, reply)
    assert answer.fault.startswith(fault)
    assert answer.is_answered


@pytest.mark.parametrize("action", REQUESTS)
async def test_silence_is_no_answer_and_a_late_reply_harms_nobody(asker: Asker, action: str) -> None:
    """What comes after the end of the patience is dropped; the next call gets its own answer (OCPP-J §4.1.1)."""
    silent = await asker.ask_in_vain(action)
    await asker.charger.send([3, asker.charger.call_ids[-1], {"status": "Accepted", "listVersion": 99}])
    late = await asker.ask("GetLocalListVersion", {"listVersion": 3})
    await asker.charger.send([4, asker.charger.call_ids[0], "InternalError", "late", {}])
    after = await asker.ask("ClearCache", {"status": "Rejected"})

    assert silent == CallAnswer("no answer")
    assert late == CallAnswer("answered", {"listVersion": 3})
    assert after == CallAnswer("Rejected", {"status": "Rejected"})


@pytest.mark.parametrize("action", REQUESTS)
async def test_a_line_that_is_cut_in_the_middle_is_no_answer(
    asker: Asker, central: RecordingCentral, action: str
) -> None:
    """It was sent, so whether it was obeyed is not known; afterwards the charge point is offline."""
    cut = await asker.ask(action, HANG_UP)
    await central.until(lambda: not asker.gateway.is_connected("CP1"))
    async with asyncio.timeout(LIMIT_S):
        gone = await RemoteCalls(asker.gateway).call("CP1", action, request(action, is_full=False))

    assert (cut.status, gone.status) == ("no answer", "offline")


@pytest.mark.parametrize(
    ("action", "payload", "field", "text"),
    [
        ("Reset", {}, "type", "Reset: type is missing"),
        ("Reset", {"typ": "Soft"}, "typ", "Reset: typ is no field here: there are type"),
        ("Reset", {"type": "Lukewarm"}, "type", "Reset: type is none of Hard, Soft"),
        ("Reset", {"type": 1}, "type", "Reset: type is a whole number, expected a text"),
        ("UnlockConnector", {"connectorId": True}, "connectorId", "is true or false, expected a whole number"),
        ("UnlockConnector", {"connectorId": 1.5}, "connectorId", "is a number, expected a whole number"),
        ("UnlockConnector", {"connectorId": None}, "connectorId", "is nothing, expected a whole number"),
        ("RemoteStopTransaction", {"transactionId": 2**64}, "transactionId", "is a number beyond 64 bits"),
        ("RemoteStartTransaction", {"idTag": "x" * 21}, "idTag", "has 21 characters, at most 20 are allowed"),
        ("RemoteStartTransaction", {"idTag": "\ud800"}, "idTag", "holds half a character"),
        ("ClearCache", {"a\nb": 1}, "a\\nb", "is no field here: there are none"),
        (
            "SendLocalList",
            {"listVersion": 1, "updateType": "Full", "localAuthorizationList": [{"idTag": "A"}, {}]},
            "localAuthorizationList[1].idTag",
            "is missing",
        ),
        (
            "SetChargingProfile",
            request("SetChargingProfile", is_full=False) | {"csChargingProfiles": {"chargingSchedule": []}},
            "csChargingProfiles.chargingProfileId",
            "is missing",
        ),
        (
            "ReserveNow",
            request("ReserveNow", is_full=True) | {"expiryDate": "tomorrow"},
            "expiryDate",
            "is no time with its zone, such as 2026-11-20T10:35:00Z",
        ),
        ("ReserveNow", request("ReserveNow", is_full=True) | {"expiryDate": "2026-11-20T10:35:00"}, "expiryDate", ""),
        ("GetDiagnostics", {"location": "my desk"}, "location", "is no address, such as ftp://192.168.1.10/logs/"),
        ("GetDiagnostics", {"location": "http://[::1"}, "location", "is no address"),
        ("GetLog", request("GetLog", is_full=True) | {"log": {"remoteLocation": "x"}}, "log.remoteLocation", ""),
        ("GetInstalledCertificateIds", {"certificateType": "Root"}, "certificateType", "is none of"),
        ("Heartbeat", {}, "", "Heartbeat is no call of a Central System: expected one of ChangeAvailability"),
        ("Reset\n", {}, "", "Reset\\n is no call"),
        ("DataTransfer", [], "", "the payload is a list, expected an object"),
        ("DataTransfer", {"vendorId": object()}, "", "the payload is no JSON object"),
    ],
)
async def test_the_field_that_does_not_fit_is_named(
    asker: Asker, action: str, payload: Any, field: str, text: str
) -> None:
    """For people, and for the API: which field, and what was expected. Nothing is sent."""
    with pytest.raises(RequestError) as caught:
        await RemoteCalls(asker.gateway).call("CP1", action, payload)

    assert caught.value.field == field
    assert text in str(caught.value)
    assert asker.charger.calls == []


@pytest.mark.parametrize("limit", [math.nan, math.inf, 0.15])
async def test_a_limit_that_json_or_the_schema_cannot_say_is_refused(limit: float) -> None:
    """NaN would leave as null; limits have one decimal (OCPP 1.6 §7.14)."""
    profile = request("SetChargingProfile", is_full=True)
    profile["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"] = limit

    with pytest.raises(RequestError):
        await check("SetChargingProfile", profile)


async def test_a_limit_of_one_decimal_fits_however_its_float_is_rounded() -> None:
    """21.4 as a float is no multiple of 0.1."""
    profile = request("SetChargingProfile", is_full=True)
    period = profile["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"][0]
    for tenths in range(1000):
        period["limit"] = tenths / 10
        await check("SetChargingProfile", profile)


async def test_a_value_is_never_repeated() -> None:
    """A refused value may be a key: the message names the field and not what was in it."""
    with pytest.raises(RequestError) as caught:
        await check("ChangeConfiguration", {"key": "AuthorizationKey", "value": "secret" * 100})

    assert caught.value.field == "value"
    assert "secret" not in str(caught.value)


def test_the_names_of_times_and_addresses_are_those_of_the_schemas() -> None:
    """Their formats are checked by name. The schemas of the white paper do not say that theirs are addresses."""
    found: dict[str, set[str]] = {"date-time": set(), "uri": set()}
    for action in REQUESTS:
        _collect(get_validator(MessageType.Call, action, "1.6", parse_float=Decimal).schema, "", found)

    assert found == {"date-time": schemas.TIMES, "uri": schemas.PLACES - {"remoteLocation"}}


def _collect(part: Any, name: str, found: dict[str, set[str]]) -> None:
    if isinstance(part, dict):
        if part.get("format") in found:
            found[part["format"]].add(name)
        for key, item in part.items():
            _collect(item, key, found)
