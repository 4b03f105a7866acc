"""The calls of OCPP 1.6 that an administrator can have sent, and what came back, in words. Pure."""

import json
from collections.abc import Mapping
from typing import Any, Final, Literal

from dashboard.asking import problem_words
from dashboard.control_api import NO_ANSWER, ApiProblem
from dashboard.json_values import Json, text_at
from dashboard.texts import Words
from dashboard.wording import LONGEST_SENTENCE, escaped

TRIGGERED: Final = (
    "StatusNotification",
    "MeterValues",
    "BootNotification",
    "Heartbeat",
    "DiagnosticsStatusNotification",
    "FirmwareStatusNotification",
)
"""OCPP 1.6 §7.19."""
_SOON: Final = "2026-01-01T00:00:00Z"
_PLACE: Final = "ftp://192.168.1.10/"
_HASH: Final = {"hashAlgorithm": "SHA256", "issuerNameHash": "", "issuerKeyHash": "", "serialNumber": ""}

EXAMPLES: Final[Mapping[str, dict[str, Any]]] = {
    "CancelReservation": {"reservationId": 1},
    "CertificateSigned": {"certificateChain": "-----BEGIN CERTIFICATE-----"},
    "ChangeAvailability": {"connectorId": 0, "type": "Operative"},
    "ChangeConfiguration": {"key": "MeterValueSampleInterval", "value": "60"},
    "ClearCache": {},
    "ClearChargingProfile": {},
    "DataTransfer": {"vendorId": "", "messageId": "", "data": ""},
    "DeleteCertificate": {"certificateHashData": _HASH},
    "ExtendedTriggerMessage": {"requestedMessage": "StatusNotification"},
    "GetCompositeSchedule": {"connectorId": 1, "duration": 3600},
    "GetConfiguration": {},
    "GetDiagnostics": {"location": _PLACE},
    "GetInstalledCertificateIds": {"certificateType": "CentralSystemRootCertificate"},
    "GetLocalListVersion": {},
    "GetLog": {"logType": "DiagnosticsLog", "requestId": 1, "log": {"remoteLocation": _PLACE}},
    "InstallCertificate": {
        "certificateType": "CentralSystemRootCertificate", "certificate": "-----BEGIN CERTIFICATE-----",
    },
    "RemoteStartTransaction": {"connectorId": 1, "idTag": ""},
    "RemoteStopTransaction": {"transactionId": 1},
    "ReserveNow": {"connectorId": 1, "expiryDate": _SOON, "idTag": "", "reservationId": 1},
    "Reset": {"type": "Soft"},
    "SendLocalList": {"listVersion": 1, "updateType": "Full", "localAuthorizationList": []},
    "SetChargingProfile": {
        "connectorId": 0,
        "csChargingProfiles": {
            "chargingProfileId": 2,
            "stackLevel": 0,
            "chargingProfilePurpose": "ChargePointMaxProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": {
                "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.0}],
            },
        },
    },
    "SignedUpdateFirmware": {
        "requestId": 1,
        "firmware": {
            "location": _PLACE, "retrieveDateTime": _SOON, "signingCertificate": "-----BEGIN CERTIFICATE-----",
            "signature": "",
        },
    },
    "TriggerMessage": {"requestedMessage": "StatusNotification", "connectorId": 1},
    "UnlockConnector": {"connectorId": 1},
    "UpdateFirmware": {"location": _PLACE, "retrieveDate": _SOON},
}  # fmt: skip
"""Every call of a Central System, with a payload to begin from."""

Level = Literal["success", "info", "warning", "error"]
_DONE: Final = frozenset({"Accepted", "Unlocked", "answered"})
_PROMISING: Final = frozenset(
    {"RemoteStartTransaction", "RemoteStopTransaction", "Reset", "TriggerMessage", "ExtendedTriggerMessage"}
)
"""Accepted says only that it means to do so."""
_LATER: Final = frozenset({"Scheduled", "RebootRequired", "Downloading"})
_OF_STATUS: Final = {
    0: "unreachable", 404: "unknown", 409: "offline", 422: "unfit", 429: "busy", 502: "nonsense", 504: "no_answer",
}  # fmt: skip


class PayloadError(ValueError):
    """What was typed is no JSON object; the message says where, blank where it is JSON and no object."""


def payload_in(text: str) -> dict[str, Any]:
    """Read a payload; nothing typed is an empty one. Raises PayloadError."""
    try:
        found = json.loads(text.strip() or "{}")
    except json.JSONDecodeError as error:
        raise PayloadError(f"{error.lineno}:{error.colno} {error.msg}") from error
    except (RecursionError, ValueError) as error:
        raise PayloadError(type(error).__name__) from error
    if not isinstance(found, dict):
        raise PayloadError("")
    return found


def payload_text(payload: object) -> str:
    """Give a payload as it is to be edited."""
    return json.dumps(payload, indent=2, ensure_ascii=False)


def answer_words(outcome: Json, words: Words) -> tuple[Level, str]:
    """Give what the charge point answered as Markdown: its own word, and what that means."""
    status, action = text_at(outcome, "status"), escaped(text_at(outcome, "action"))
    if status == "CALLERROR":
        code = text_at(outcome, "error_code")
        meaning = words.of("manage_chargers.error", code, "")
        said = escaped(text_at(outcome, "error_description"), LONGEST_SENTENCE)
        line = words("manage_chargers.call_error", action=action, code=escaped(code))
        return "error", " · ".join(filter(None, (line, meaning, said)))
    level: Level = "success" if status in _DONE else "info" if status in _LATER else "warning"
    line = words("manage_chargers.call_answer", action=action, status=escaped(status))
    is_promise = status == "Accepted" and text_at(outcome, "action") in _PROMISING
    meaning = words.of("manage_chargers.answer", "promised" if is_promise else status, "")
    fault = escaped(text_at(outcome, "fault"), LONGEST_SENTENCE)
    told = words("manage_chargers.call_fault", fault=fault) if fault else ""
    return level, " · ".join(filter(None, (line, meaning, told)))


def call_problem_words(problem: ApiProblem, words: Words) -> str:
    """Give as Markdown why there is no answer: nobody was asked, or nobody knows whether it did so."""
    kind = _OF_STATUS.get(problem.status)
    if kind is None or kind == "unreachable" or (problem.status == NO_ANSWER and not problem.detail):
        return problem_words(problem, words)
    said = f" ({escaped(problem.detail, LONGEST_SENTENCE)})" if problem.detail else ""
    return words(f"manage_chargers.no_call.{kind}") + said
