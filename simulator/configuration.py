"""The configuration keys of a simulated charge point (OCPP 1.6 §9) and what may be done to them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from simulator.brands import Brand
from simulator.local_list import LONGEST_LIST, LONGEST_UPDATE
from simulator.profiles import HIGHEST_STACK_LEVEL, MOST_PERIODS, MOST_PROFILES

AUTHORIZATION_KEY = "AuthorizationKey"
FEATURE_PROFILES = "Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,RemoteTrigger"
_KEY_OF_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){16,20}")
SUPPORTED_MEASURANDS = frozenset({"Energy.Active.Import.Register", "Power.Active.Import", "Frequency"})


@dataclass(frozen=True, slots=True)
class _Key:
    value: str
    is_readonly: bool = False
    is_number: bool = False
    is_secret: bool = False
    """Can be set, and is never told."""
    needs_reboot: bool = False
    """A new value counts after the next boot."""


def _keys_of(brand: Brand, connectors: int) -> dict[str, _Key]:
    measurands = ",".join(brand.measurands)
    return {
        "AllowOfflineTxForUnknownId": _Key("true"),
        AUTHORIZATION_KEY: _Key("", is_secret=True),
        "AuthorizeRemoteTxRequests": _Key("false"),
        "ChargeProfileMaxStackLevel": _Key(str(HIGHEST_STACK_LEVEL), is_readonly=True),
        "ChargingScheduleAllowedChargingRateUnit": _Key("Current,Power", is_readonly=True),
        "ChargingScheduleMaxPeriods": _Key(str(MOST_PERIODS), is_readonly=True),
        "ClockAlignedDataInterval": _Key("0", is_number=True),
        "ConnectionTimeOut": _Key("60", is_number=True),
        "ConnectorPhaseRotation": _Key("NotApplicable", needs_reboot=True),
        "GetConfigurationMaxKeys": _Key("50", is_readonly=True),
        "HeartbeatInterval": _Key("300", is_number=True),
        "LocalAuthListEnabled": _Key("true"),
        "LocalAuthListMaxLength": _Key(str(LONGEST_LIST), is_readonly=True),
        "LocalAuthorizeOffline": _Key("true"),
        "LocalPreAuthorize": _Key("false"),
        "MaxChargingProfilesInstalled": _Key(str(MOST_PROFILES), is_readonly=True),
        "MeterValueSampleInterval": _Key(str(brand.sample_interval_s), is_number=True),
        "MeterValuesAlignedData": _Key(""),
        "MeterValuesSampledData": _Key(measurands),
        "NumberOfConnectors": _Key(str(connectors), is_readonly=True),
        "ReserveConnectorZeroSupported": _Key("false", is_readonly=True),
        "ResetRetries": _Key("1", is_number=True),
        "SendLocalListMaxLength": _Key(str(LONGEST_UPDATE), is_readonly=True),
        "StopTransactionOnEVSideDisconnect": _Key("true"),
        "StopTransactionOnInvalidId": _Key("true"),
        "StopTxnAlignedData": _Key(""),
        "StopTxnSampledData": _Key(""),
        "SupportedFeatureProfiles": _Key(FEATURE_PROFILES, is_readonly=True),
        "TransactionMessageAttempts": _Key("3", is_number=True),
        "TransactionMessageRetryInterval": _Key("10", is_number=True),
        "UnlockConnectorOnEVSideDisconnect": _Key("true"),
        "WebSocketPingInterval": _Key("20", is_number=True),
    }


class Configuration:
    """Keys and values as GetConfiguration and ChangeConfiguration see them."""

    def __init__(self, brand: Brand, connectors: int, overrides: Mapping[str, str] | None = None) -> None:
        self._keys = _keys_of(brand, connectors)
        self._after_boot: dict[str, str] = {}
        for key, value in (overrides or {}).items():
            self[key] = value

    def __getitem__(self, key: str) -> str:
        return self._keys[key].value

    def __setitem__(self, key: str, value: str) -> None:
        self._keys[key] = replace(self._keys[key], value=value)

    def seconds(self, key: str) -> int:
        """The value of a key that holds a number."""
        return int(self[key])

    def is_on(self, key: str) -> bool:
        """The value of a key that holds true or false."""
        return self[key].lower() == "true"

    def report(self, keys: list[str] | None) -> tuple[list[dict[str, object]], list[str]]:
        """The key-value objects of GetConfiguration.conf and the unknown keys; no keys asked means all (§5.8)."""
        wanted = list(keys or self._keys)
        known = [_told(key, self._keys[key]) for key in wanted if key in self._keys]
        return known, [key for key in wanted if key not in self._keys]

    def change(self, key: str, value: str) -> str:
        """Change the value and give the status of ChangeConfiguration.conf (§5.3)."""
        known = self._keys.get(key)
        if known is None:
            return "NotSupported"
        if known.is_readonly or not self._is_acceptable(key, known, value):
            return "Rejected"
        if known.needs_reboot:
            self._after_boot[key] = value
            return "RebootRequired"
        self[key] = value
        return "Accepted"

    def boot(self) -> None:
        """Values that waited for it count from now on."""
        for key, value in self._after_boot.items():
            self[key] = value
        self._after_boot.clear()

    @staticmethod
    def _is_acceptable(key: str, known: _Key, value: str) -> bool:
        if known.is_number:
            return value.isdecimal()
        if key == AUTHORIZATION_KEY:
            return _KEY_OF_HEX.fullmatch(value) is not None
        if key == "MeterValuesSampledData":
            return set(value.split(",")) <= SUPPORTED_MEASURANDS
        return True


def _told(key: str, known: _Key) -> dict[str, object]:
    told: dict[str, object] = {"key": key, "readonly": known.is_readonly}
    return told if known.is_secret else {**told, "value": known.value}
