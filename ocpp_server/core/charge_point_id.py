"""What a charge point may be called: the one check for handshakes, the command line and the control API. Pure."""

import difflib
import re
from collections.abc import Iterable
from typing import Final

LONGEST_ID: Final = 48
"""Characters of a whole id, slashes included; OCPP 2.0.1 allows 48, OCPP 1.6 states no limit."""
MOST_SEGMENTS: Final = 3
EXPECTED: Final = (
    f"expected one to {MOST_SEGMENTS} parts of letters, digits and . _ : - , "
    f"together at most {LONGEST_ID} characters, as in ws://host:port/CHARGER_ID"
)
_SEGMENT = re.compile(r"[A-Za-z0-9._:-]{1,48}")
_LEAST_LIKENESS = 0.8


def check_id(charge_point_id: str) -> None:
    """Raises ValueError with what was expected. Slashes part the segments; none may be blank or climb (T15)."""
    segments = charge_point_id.split("/")
    if len(segments) > MOST_SEGMENTS:
        raise ValueError(f"charge point id has too many parts: {EXPECTED}")
    if len(charge_point_id) > LONGEST_ID:
        raise ValueError(f"charge point id is too long: {EXPECTED}")
    if any(segment in (".", "..") or _SEGMENT.fullmatch(segment) is None for segment in segments):
        raise ValueError(f"charge point id has other characters: {EXPECTED}")


def similar_id(charge_point_id: str, known: Iterable[str]) -> str | None:
    """The known id that was probably meant; None if none is alike."""
    by_fold = {one.casefold(): one for one in known if one != charge_point_id}
    alike = difflib.get_close_matches(charge_point_id.casefold(), by_fold, n=1, cutoff=_LEAST_LIKENESS)
    return by_fold[alike[0]] if alike else None
