"""What the Central System can ask of a charge point, by its id (OCPP 1.6 §5).

To be used from tasks of its own, never from a handler. Rule 27 (quiet while a session begins) is kept below, in
`ChargePointConnection.call`; whether an answer is good enough is for whoever asked.
"""

from dataclasses import dataclass, replace
from typing import Protocol

from ocpp.v16 import call, datatypes, enums  # type: ignore[import-untyped]

from ocpp_server.ocpp16 import fields, redaction, requests
from ocpp_server.ocpp16.charge_point import ChargePointConnection
from ocpp_server.ocpp16.frames import Payload
from ocpp_server.ocpp16.outgoing import ANSWERED, MALFORMED, OFFLINE, CallAnswer

NO_POWER_PROFILE_ID = 1
WITHOUT_STATUS = frozenset({"GetConfiguration", "GetDiagnostics", "GetLocalListVersion", "UpdateFirmware"})
"""Calls whose answers say no status."""
_LONGEST_VALUE = 500


class Connections(Protocol):
    """Who is connected."""

    def connection(self, charge_point_id: str) -> ChargePointConnection | None:
        """The connection that speaks for this charge point, or None."""


@dataclass(frozen=True, slots=True)
class ConfigurationKey:
    """A KeyValue of GetConfiguration.conf (OCPP 1.6 §7.29)."""

    key: str
    value: str
    is_readonly: bool


class RemoteCalls:
    """Calls to charge points. All wait for the answer, a limited time; none raises for what the other side does."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def call(self, charge_point_id: str, action: str, payload: Payload) -> CallAnswer:
        """Send any call of `requests.REQUESTS`. Raises RequestError if it does not fit its schema.

        An answer that breaks its schema is passed on with its `fault`, because charge points add fields and words of
        their own. One that lacks what it has to tell (a status, a version) is no answer: "error: malformed answer".
        """
        return await self._call(charge_point_id, action, payload, is_stop=action == "RemoteStopTransaction")

    async def remote_stop_transaction(self, charge_point_id: str, transaction_id: int) -> str:
        """OCPP 1.6 §5.12. Accepted is a promise: the stop is done when StopTransaction comes (rule 26)."""
        return await self._status(charge_point_id, call.RemoteStopTransaction(transaction_id), is_stop=True)

    async def set_no_power(self, charge_point_id: str, connector_id: int, transaction_id: int) -> str:
        """A TxProfile of 0 A for a transaction that does not stop (OCPP 1.6 §5.16, rule 26)."""
        schedule = datatypes.ChargingSchedule(
            enums.ChargingRateUnitType.amps, [datatypes.ChargingSchedulePeriod(start_period=0, limit=0.0)]
        )
        profile = datatypes.ChargingProfile(
            charging_profile_id=NO_POWER_PROFILE_ID,
            stack_level=0,
            charging_profile_purpose=enums.ChargingProfilePurposeType.tx_profile,
            charging_profile_kind=enums.ChargingProfileKindType.relative,
            charging_schedule=schedule,
            transaction_id=transaction_id,
        )
        return await self._status(charge_point_id, call.SetChargingProfile(connector_id, profile), is_stop=True)

    async def reset_soft(self, charge_point_id: str) -> str:
        """OCPP 1.6 §5.14: the last resort of a stop."""
        return await self._status(charge_point_id, call.Reset(enums.ResetType.soft), is_stop=True)

    async def trigger_message(self, charge_point_id: str, requested: str, connector_id: int | None = None) -> str:
        """OCPP 1.6 §5.17."""
        return await self._status(charge_point_id, call.TriggerMessage(requested, connector_id))

    async def change_configuration(self, charge_point_id: str, key: str, value: str) -> str:
        """OCPP 1.6 §5.3."""
        return await self._status(charge_point_id, call.ChangeConfiguration(key, value))

    async def get_configuration(self, charge_point_id: str, keys: tuple[str, ...] = ()) -> dict[str, str] | None:
        """Values by key, all of them if none is named (OCPP 1.6 §5.8); None if there was no answer."""
        answer = await self.read_configuration(charge_point_id, keys)
        return {one.key: one.value for one in configuration_of(answer)} if answer.is_answered else None

    async def read_configuration(self, charge_point_id: str, keys: tuple[str, ...] = ()) -> CallAnswer:
        """The answer to GetConfiguration as it came; `configuration_of` reads it."""
        request = call.GetConfiguration(list(keys) or None)
        return await self._call(charge_point_id, "GetConfiguration", requests.payload_of(request), is_stop=False)

    async def _status(self, charge_point_id: str, request: object, *, is_stop: bool = False) -> str:
        payload = requests.payload_of(request)
        return (await self._call(charge_point_id, type(request).__name__, payload, is_stop=is_stop)).status

    async def _call(self, charge_point_id: str, action: str, payload: Payload, *, is_stop: bool) -> CallAnswer:
        await requests.check(action, payload)
        connection = self._connections.connection(charge_point_id)
        if connection is None:
            return CallAnswer(OFFLINE)
        return await _looked_over(action, await connection.call(action, payload, is_stop=is_stop))


async def _looked_over(action: str, answer: CallAnswer) -> CallAnswer:
    if not answer.is_answered:
        return answer
    misfits = await requests.misfits_of_answer(action, answer.payload)
    if not misfits:
        is_whole = _whole(answer.payload) == answer.payload
        return answer if is_whole else replace(answer, fault="the payload holds half a character (a lone surrogate)")
    is_blank = answer.status == ANSWERED and action not in WITHOUT_STATUS
    is_useless = is_blank or any(misfit.is_essential for misfit in misfits)
    return replace(answer, status=MALFORMED if is_useless else answer.status, fault=str(misfits[0]))


def configuration_of(answer: CallAnswer) -> tuple[ConfigurationKey, ...]:
    """The keys in an answer to GetConfiguration; a key's value may be missing. Secrets are not handed on."""
    listed = fields.objects(answer.payload.get("configurationKey"))
    return tuple(_configuration_key(item) for item in listed if fields.text(item.get("key"), 50))


def _configuration_key(item: Payload) -> ConfigurationKey:
    key = fields.text(item.get("key"), 50)
    value = hidden_or(key, fields.text(item.get("value"), _LONGEST_VALUE))
    return ConfigurationKey(key, value, fields.is_true(item.get("readonly")))


def hidden_or(key: str, value: str) -> str:
    """The value of a configuration key, unless it is a secret."""
    return redaction.HIDDEN if redaction.is_secret_key(key) else value


def for_people(payload: Payload) -> Payload:
    r"""The answer to any call: secrets of a configuration are hidden, half a character is shown as `\ud83d`."""
    keys = payload.get("configurationKey")
    if isinstance(keys, list):
        payload = {**payload, "configurationKey": [_masked(item) for item in keys]}
    return {_whole_text(name): _whole(value) for name, value in payload.items()}


def _whole(value: object) -> object:
    match value:
        case str():
            return _whole_text(value)
        case list():
            return [_whole(item) for item in value]
        case dict():
            return {_whole_text(name): _whole(item) for name, item in value.items()}
        case _:
            return value


def _whole_text(text: str) -> str:
    """JSON can hold a lone surrogate, UTF-8 cannot: an answer to a person would fail on it."""
    return text.encode("utf-8", "backslashreplace").decode()


def _masked(item: object) -> object:
    if not isinstance(item, dict) or "value" not in item:
        return item
    return {**item, "value": hidden_or(fields.text(item.get("key"), 50), item["value"])}
