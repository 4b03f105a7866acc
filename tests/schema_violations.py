"""What the OCA schemas of the `ocpp` package have against a payload."""

from decimal import Decimal
from typing import Any

from ocpp.messages import get_validator


def violations(kind: int, action: str, payload: Any) -> list[str]:
    """Of a CALL (2) or a CALLRESULT (3); empty where the payload fits."""
    errors = get_validator(kind, action, "1.6", parse_float=Decimal).iter_errors(_with_decimals(payload))
    return [f"{action}: {error.message}" for error in errors]


def _with_decimals(value: Any) -> Any:
    """21.4 as a float is no multiple of 0.1."""
    if isinstance(value, dict):
        return {key: _with_decimals(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_decimals(item) for item in value]
    return Decimal(str(value)) if isinstance(value, float) else value
