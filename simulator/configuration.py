"""The configuration keys of a simulated charge point (OCPP 1.6 §9) and what may be done to them."""

from collections.abc import Mapping
from dataclasses import dataclass

from simulator.brands import Brand

SUPPORTED_MEASURANDS = frozenset({"Energy.Active.Import.Register", "Power.Active.Import", "Frequency"})


@dataclass(frozen=True, slots=True)
class _Key:
    value: str
    is_readonly: bool = False
    is_number: bool = False


def _keys_of(brand: Brand, connectors: int) -> dict[str, _Key]:
    measurands = ",".join(brand.measurands)
    return {
        "AllowOfflineTxForUnknownId": _Key("true"),
        "AuthorizeRemoteTxRequests": _Key("false"),
        "ClockAlignedDataInterval": _Key("0", is_number=True),
        "ConnectionTimeOut": _Key("60", is_number=True),
        "ConnectorPhaseRotation": _Key("NotApplicable"),
        "GetConfigurationMaxKeys": _Key("50", is_readonly=True),
        "HeartbeatInterval": _Key("300", is_number=True),
        "LocalAuthorizeOffline": _Key("true"),
        "LocalPreAuthorize": _Key("false"),
        "MeterValueSampleInterval": _Key(str(brand.sample_interval_s), is_number=True),
        "MeterValuesAlignedData": _Key(""),
        "MeterValuesSampledData": _Key(measurands),
        "NumberOfConnectors": _Key(str(connectors), is_readonly=True),
        "ResetRetries": _Key("1", is_number=True),
        "StopTransactionOnEVSideDisconnect": _Key("true"),
        "StopTransactionOnInvalidId": _Key("true"),
        "StopTxnAlignedData": _Key(""),
        "StopTxnSampledData": _Key(""),
        "SupportedFeatureProfiles": _Key("Core,SmartCharging,RemoteTrigger", is_readonly=True),
        "TransactionMessageAttempts": _Key("3", is_number=True),
        "TransactionMessageRetryInterval": _Key("10", is_number=True),
        "UnlockConnectorOnEVSideDisconnect": _Key("true"),
        "WebSocketPingInterval": _Key("20", is_number=True),
    }


class Configuration:
    """Keys and values as GetConfiguration and ChangeConfiguration see them."""

    def __init__(self, brand: Brand, connectors: int, overrides: Mapping[str, str] | None = None) -> None:
        self._keys = _keys_of(brand, connectors)
        for key, value in (overrides or {}).items():
            self[key] = value

    def __getitem__(self, key: str) -> str:
        return self._keys[key].value

    def __setitem__(self, key: str, value: str) -> None:
        old = self._keys[key]
        self._keys[key] = _Key(value, old.is_readonly, old.is_number)

    def seconds(self, key: str) -> int:
        """The value of a key that holds a number."""
        return int(self[key])

    def is_on(self, key: str) -> bool:
        """The value of a key that holds true or false."""
        return self[key].lower() == "true"

    def report(self, keys: list[str] | None) -> tuple[list[dict[str, object]], list[str]]:
        """The key-value objects of GetConfiguration.conf and the unknown keys; no keys asked means all (§5.8)."""
        wanted = list(keys or self._keys)
        known = [
            {"key": key, "readonly": self._keys[key].is_readonly, "value": self._keys[key].value}
            for key in wanted
            if key in self._keys
        ]
        return known, [key for key in wanted if key not in self._keys]

    def change(self, key: str, value: str) -> str:
        """Change the value and give the status of ChangeConfiguration.conf (§5.3)."""
        known = self._keys.get(key)
        if known is None:
            return "NotSupported"
        if known.is_readonly or not self._is_acceptable(key, known, value):
            return "Rejected"
        self[key] = value
        return "Accepted"

    @staticmethod
    def _is_acceptable(key: str, known: _Key, value: str) -> bool:
        if known.is_number:
            return value.isdecimal()
        if key == "MeterValuesSampledData":
            return set(value.split(",")) <= SUPPORTED_MEASURANDS
        return True
