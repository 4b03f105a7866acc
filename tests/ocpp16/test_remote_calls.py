"""What is asked of charge points: payloads by the schema, and answers in words."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from ocpp.messages import get_validator
from ocpp16_doubles import LIMIT_S, Dial

from ocpp_server.ocpp16.commands import RemoteCalls
from ocpp_server.ocpp16.gateway import Gateway
from ocpp_server.ocpp16.requests import REQUESTS, RequestError, check, payload_of


@pytest.mark.parametrize(
    ("method", "arguments", "action", "payload"),
    [
        ("remote_stop_transaction", (7,), "RemoteStopTransaction", {"transactionId": 7}),
        ("reset_soft", (), "Reset", {"type": "Soft"}),
        (
            "trigger_message",
            ("MeterValues", 2),
            "TriggerMessage",
            {"requestedMessage": "MeterValues", "connectorId": 2},
        ),
        ("trigger_message", ("Heartbeat",), "TriggerMessage", {"requestedMessage": "Heartbeat"}),
        ("change_configuration", ("K", "v"), "ChangeConfiguration", {"key": "K", "value": "v"}),
        (
            "set_no_power",
            (1, 7),
            "SetChargingProfile",
            {
                "connectorId": 1,
                "csChargingProfiles": {
                    "chargingProfileId": 1,
                    "transactionId": 7,
                    "stackLevel": 0,
                    "chargingProfilePurpose": "TxProfile",
                    "chargingProfileKind": "Relative",
                    "chargingSchedule": {
                        "chargingRateUnit": "A",
                        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 0.0}],
                    },
                },
            },
        ),
    ],
)
async def test_typed_calls_send_what_the_schema_asks(
    dial: Dial, gateway: Gateway, method: str, arguments: tuple[Any, ...], action: str, payload: dict[str, Any]
) -> None:
    """OCPP 1.6 §5.3, §5.12, §5.14, §5.16, §5.17."""
    charger = await dial()
    charger.script[action] = {"status": "Rejected", "vendorExtra": 1}
    async with asyncio.timeout(LIMIT_S):
        status = await getattr(RemoteCalls(gateway), method)("CP1", *arguments)

    assert status == "Rejected"
    assert charger.calls == [(action, payload)]


async def test_a_configuration_is_read_leniently(dial: Dial, gateway: Gateway) -> None:
    """OCPP 1.6 §5.8: values may be missing or numbers; a secret is not handed on (white paper A01.FR.09)."""
    charger = await dial()
    charger.script["GetConfiguration"] = {
        "configurationKey": [
            {"key": "A", "readonly": False, "value": "1"},
            {"key": "B", "readonly": "true", "value": 60},
            {"key": "C"},
            {"key": "AuthorizationKey", "readonly": False, "value": "secret"},
            {"value": "nameless"},
            "nonsense",
        ]
    }
    calls = RemoteCalls(gateway)

    assert await calls.get_configuration("CP1") == {"A": "1", "B": "60", "C": "", "AuthorizationKey": "(hidden)"}
    assert await calls.get_configuration("CP1", ("A",)) is not None
    assert charger.calls == [("GetConfiguration", {}), ("GetConfiguration", {"key": ["A"]})]


async def test_a_charge_point_that_is_not_there_is_offline(gateway: Gateway) -> None:
    """Nothing was sent."""
    calls = RemoteCalls(gateway)

    assert await calls.reset_soft("NOBODY") == "offline"
    assert await calls.get_configuration("NOBODY") is None


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("Reset", {"type": "Lukewarm"}),
        ("Reset", {}),
        ("Heartbeat", {}),
        ("Nonsense", {}),
        ("Reset", {"type": "Soft", "a": 1}),
    ],
)
async def test_what_does_not_fit_never_leaves(gateway: Gateway, action: str, payload: dict[str, Any]) -> None:
    """A charge point is asked only what a Central System may ask, in the form that the schema wants."""
    with pytest.raises(RequestError):
        await RemoteCalls(gateway).call("CP1", action, payload)


def test_every_call_of_the_central_system_is_in_the_table() -> None:
    """OCPP 1.6 §5 and the security white paper: each has a schema."""
    assert len(REQUESTS) == 26
    for action in REQUESTS:
        get_validator(2, action, "1.6", parse_float=Decimal)


async def test_any_request_of_the_table_can_be_sent() -> None:
    """A request dataclass becomes a payload in camelCase without what is None."""
    request = REQUESTS["ReserveNow"](1, "2026-11-20T10:35:00Z", "RFID001", 5)  # type: ignore[call-arg]
    payload = payload_of(request)

    assert payload == {"connectorId": 1, "expiryDate": "2026-11-20T10:35:00Z", "idTag": "RFID001", "reservationId": 5}
    await check("ReserveNow", payload)
