"""Values of bodies, queries and paths with their limits: `msgspec` enforces them, and the document states the same.

What only a rule elsewhere can judge well (a row of a table, a key, a number with a comma) is stated here and judged
there, with its own words.
"""

from typing import Annotated, Any, Final, TypeAlias

import msgspec

from ocpp_server.authorization_key import LONGEST_KEY, SHORTEST_KEY
from ocpp_server.control_api.problems import LONGEST_NAME
from ocpp_server.core.charge_point_id import LONGEST_ID, MOST_SEGMENTS

Meta: Final = msgspec.Meta

_CONTROL: Final = r"\u0000-\u001f\u007f-\u009f\u2028\u2029"
_END: Final = r"$(?!\n)"
"""Python's `$` is also in front of a last line feed; that of JSON Schema is not."""
NOT_BLANK: Final = r"\S"
ONE_LINE: Final = f"^[^{_CONTROL}]*{_END}"
ONE_LINE_NOT_BLANK: Final = rf"^[^{_CONTROL}]*[^{_CONTROL}\s][^{_CONTROL}]*{_END}"
_ID_PART: Final = r"(?!\.{1,2}(/|$))[A-Za-z0-9._:-]+"
_ID: Final = f"^{_ID_PART}(/{_ID_PART}){{0,{MOST_SEGMENTS - 1}}}$"
_ASCII: Final = "^[ -~]*$"
IN_WORDS: Final = {
    NOT_BLANK: "not blank",
    ONE_LINE: "one line",
    ONE_LINE_NOT_BLANK: "one line, not blank",
    _ID: f"one to {MOST_SEGMENTS} parts of letters, digits and . _ : - with / between them",
    _ASCII: "letters, digits and signs of ASCII",
}
"""What a pattern asks for, for people."""
LARGEST_NUMBER: Final = 2**63 - 1
"""SQLite knows no larger one."""

Number: TypeAlias = Annotated[int, Meta(ge=0, le=LARGEST_NUMBER)]
"""Of a session, a note, a reading."""
IdTagText: TypeAlias = Annotated[str, Meta(min_length=1, max_length=20)]
"""What fits into a call of OCPP 1.6 (CiString20Type, §7.5)."""
StatedIdTag: TypeAlias = Annotated[str, Meta(min_length=1, max_length=100, pattern=NOT_BLANK)]
"""As somebody types or reads it: the books may hold what no card of today has."""
Who: TypeAlias = Annotated[str, Meta(max_length=LONGEST_NAME)]
Reason: TypeAlias = Annotated[str, Meta(min_length=1, max_length=500, pattern=NOT_BLANK)]
"""It stays in the books."""
Filter: TypeAlias = Annotated[str, Meta(max_length=1000)]
"""Of a list: what is nobody's finds nothing."""
Line: TypeAlias = Annotated[str, Meta(max_length=200, pattern=ONE_LINE)]
"""A cell of a table. Characters that cannot be printed are refused, too."""
LongLine: TypeAlias = Annotated[str, Meta(max_length=1000, pattern=ONE_LINE)]
ChargePointIdText: TypeAlias = Annotated[
    str,
    Meta(min_length=1, max_length=LONGEST_ID, extra_json_schema={"pattern": _ID}),
]
"""Judged by `core.charge_point_id`."""
Key: TypeAlias = Annotated[
    str, Meta(extra_json_schema={"minLength": SHORTEST_KEY, "maxLength": LONGEST_KEY, "pattern": _ASCII})
]
"""Judged by `authorization_key`: no word of it may come back in a problem."""

PATH_PARTS: Final[dict[str, dict[str, Any]]] = {"id": msgspec.json.schema(ChargePointIdText)}
"""Parts of a path that are known by their name; what else stands there is judged by the resource: 404 or 422."""
