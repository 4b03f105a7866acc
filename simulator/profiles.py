"""The charging profiles of a simulated charge point (OCPP 1.6 §3.13). Of a schedule, the first period counts."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NOMINAL_VOLTAGE_V, PHASES = 230, 3
HIGHEST_STACK_LEVEL = 10
MOST_PROFILES = 20
MOST_PERIODS = 24
HIGHEST_CURRENT_A = 32
_WHOLE, _DEFAULT, _OF_TRANSACTION = "ChargePointMaxProfile", "TxDefaultProfile", "TxProfile"


@dataclass(frozen=True, slots=True)
class _Profile:
    connector_id: int
    profile_id: int
    purpose: str
    stack_level: int
    limit_w: float


class Profiles:
    """What was installed, and the limit that follows for each connector."""

    def __init__(self) -> None:
        self._installed: list[_Profile] = []

    def install(self, connector_id: int, sent: Mapping[str, Any]) -> bool:
        """Install a profile in place of the same id, or of the same purpose and level; False if that cannot be."""
        schedule = sent["charging_schedule"]
        periods = schedule["charging_schedule_period"]
        purpose, level = str(sent["charging_profile_purpose"]), int(sent["stack_level"])
        is_placed = (purpose == _WHOLE) <= (connector_id == 0) and (purpose == _OF_TRANSACTION) <= (connector_id > 0)
        if not is_placed or not 0 <= level <= HIGHEST_STACK_LEVEL or not 0 < len(periods) <= MOST_PERIODS:
            return False
        limit = float(periods[0]["limit"])
        limit_w = limit if schedule["charging_rate_unit"] == "W" else limit * NOMINAL_VOLTAGE_V * PHASES
        new = _Profile(connector_id, int(sent["charging_profile_id"]), purpose, level, limit_w)
        others = [one for one in self._installed if not _is_same_place(one, new)]
        if len(others) >= MOST_PROFILES:
            return False
        self._installed = [*others, new]
        return True

    def clear(
        self, profile_id: int | None, connector_id: int | None, purpose: str | None, stack_level: int | None
    ) -> bool:
        """Remove one by its id, else all that fit every criterion given; whether there was any (§5.5)."""

        def is_meant(one: _Profile) -> bool:
            if profile_id is not None:
                return one.profile_id == profile_id
            return (
                connector_id in (None, one.connector_id)
                and purpose in (None, one.purpose)
                and stack_level in (None, one.stack_level)
            )

        kept = [one for one in self._installed if not is_meant(one)]
        is_any = len(kept) < len(self._installed)
        self._installed = kept
        return is_any

    def end_transaction(self, connector_id: int) -> None:
        """A TxProfile goes with its transaction."""
        self.clear(None, connector_id, _OF_TRANSACTION, None)

    def limit_w(self, connector_id: int) -> float:
        """The limit of a connector in W; infinite without a profile."""
        own = self._highest(_OF_TRANSACTION, connector_id)
        if own is None:
            own = self._highest(_DEFAULT, connector_id)
        if own is None:
            own = self._highest(_DEFAULT, 0)
        whole = self._highest(_WHOLE, 0)
        return min((one.limit_w for one in (own, whole) if one is not None), default=math.inf)

    def composite(self, connector_id: int, duration_s: int, unit: str) -> dict[str, Any]:
        """A ChargingSchedule of one period (§5.7); where nothing limits it, what the charge point can give."""
        limit_w = min(self.limit_w(connector_id), HIGHEST_CURRENT_A * NOMINAL_VOLTAGE_V * PHASES)
        limit = limit_w if unit == "W" else limit_w / (NOMINAL_VOLTAGE_V * PHASES)
        periods = [{"start_period": 0, "limit": round(limit, 1)}]
        return {"duration": duration_s, "charging_rate_unit": unit, "charging_schedule_period": periods}

    def _highest(self, purpose: str, connector_id: int) -> _Profile | None:
        found = [one for one in self._installed if (one.purpose, one.connector_id) == (purpose, connector_id)]
        return max(found, key=lambda one: one.stack_level, default=None)


def _is_same_place(one: _Profile, other: _Profile) -> bool:
    if one.profile_id == other.profile_id:
        return True
    return (one.connector_id, one.purpose, one.stack_level) == (other.connector_id, other.purpose, other.stack_level)
