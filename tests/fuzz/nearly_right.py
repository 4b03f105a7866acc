"""Frames for hypothesis: the shape of OCPP-J, an action of OCPP 1.6, its fields, and anything at all in them."""

import json
from typing import Any

from hostile_frames import KEYS, ODD_VALUES
from hypothesis import strategies as st
from real_frames import ACTIONS

_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.sampled_from(ODD_VALUES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
_FIELDS = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=10), _ANYTHING, max_size=6)
_SAMPLES = st.lists(_FIELDS, max_size=2)
_METER_VALUES = st.lists(st.fixed_dictionaries({"timestamp": _ANYTHING, "sampledValue": _SAMPLES}), max_size=2)
_PAYLOADS = _FIELDS | st.builds(
    lambda fields, values: fields | {"meterValue": values, "transactionData": values}, _FIELDS, _METER_VALUES
)


def nearly_right_frames() -> st.SearchStrategy[bytes]:
    """One frame in the bytes of a WebSocket message."""
    message = st.tuples(
        st.sampled_from((2, 2, 2, 2, 2, 2, 3, 4, "2", 5)) | _ANYTHING,
        st.text(max_size=40) | _ANYTHING,
        st.sampled_from(ACTIONS) | _ANYTHING,
        _PAYLOADS | _ANYTHING,
    )
    return st.builds(_encoded, message, st.booleans(), st.integers(1, 4))


def _encoded(message: tuple[Any, ...], is_ascii: bool, parts: int) -> bytes:
    text = json.dumps(message if parts == 4 else message[: max(parts, 3)], ensure_ascii=is_ascii)
    return text.encode("utf-8", "surrogatepass")
