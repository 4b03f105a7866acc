"""The limits that the document only states are those that rules elsewhere enforce; the others enforce themselves."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_server.authorization_key import LONGEST_KEY, SHORTEST_KEY, check_strength
from ocpp_server.control_api.adjustments import WantedAdjustment
from ocpp_server.control_api.fields import IN_WORDS, ChargePointIdText, Key, Line, LongLine, Reason, StatedIdTag
from ocpp_server.control_api.problems import Problem
from ocpp_server.control_api.routing import Page, read_body, read_query
from ocpp_server.control_api.user_documents import NewIdTag
from ocpp_server.core.charge_point_id import check_id
from ocpp_server.core.energy import parse_number


def fits(schema: dict[str, Any], text: str) -> bool:
    """As JSON Schema sees it."""
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength", len(text))
    pattern = schema.get("pattern", "").replace("$", r"\Z")  # Python's own is also in front of a last line feed
    return shortest <= len(text) <= longest and re.search(pattern, text) is not None


def is_accepted(check: Any, text: str) -> bool:
    try:
        check(text)
    except ValueError:
        return False
    return True


PARTS = st.sampled_from(["CP1", "a-b_c:d.e", ".", "..", "...", ".a", "", "é", " ", "x" * 24, "x" * 48])


@given(st.one_of(st.lists(PARTS, max_size=4).map("/".join), st.text(max_size=50)))
def test_the_pattern_of_an_id_is_the_rule_of_ids(text: str) -> None:
    """Parts that climb, blank parts, too many, too long: both say the same."""
    assert fits(msgspec.json.schema(ChargePointIdText), text) == is_accepted(check_id, text)


@given(st.text(st.sampled_from("aZ0 ~\x7f\n€"), max_size=LONGEST_KEY + 2), st.integers(0, SHORTEST_KEY))
def test_the_pattern_of_a_key_is_the_rule_of_keys(text: str, more: int) -> None:
    """Its length and its characters."""
    key = text + "x" * more

    assert fits(msgspec.json.schema(Key), key) == is_accepted(check_strength, key)


@given(st.text(st.sampled_from("+-., 0123456789eE_x\n٣"), max_size=12))
def test_a_text_of_kwh_that_fits_is_a_number(text: str) -> None:
    """The document promises no number that the rule would not read, or refuse as too large."""
    (schema,) = msgspec.json.schema_components([WantedAdjustment])[1].values()
    (of_text,) = (one for one in schema["properties"]["kwh"]["anyOf"] if one["type"] == "string")
    number = parse_number(text)

    if number is not None:
        assert fits(of_text, text)
    elif fits(of_text, text):
        assert len(text.lower().partition("e")[2]) > 1  # more than any energy


CELLS = {
    Line: ["", "a", "x" * 200, " "],
    LongLine: ["x" * 1000],
    NewIdTag: ["A", "x" * 20, " A"],
    StatedIdTag: ["A", "x" * 100, "\nA"],
    Reason: ["r", "r" * 500, "two\nlines"],
}
NO_CELLS = {
    Line: ["x" * 201, "two\nlines", "a\n", "\r", "\x00", "\x85", "\u2028"],
    LongLine: ["x" * 1001, "\t"],
    NewIdTag: ["", " ", "x" * 21, "A\n", "\u00a0"],
    StatedIdTag: ["", " \n", "x" * 101],
    Reason: ["", " ", "r" * 501],
}


@pytest.mark.parametrize("kind", CELLS, ids=["line", "long line", "new tag", "stated tag", "reason"])
def test_texts_of_bodies(kind: Any) -> None:
    """What fits is taken as it is; what does not is 422, and document and server agree which is which."""
    schema = msgspec.json.schema(kind)
    for text in CELLS[kind]:
        assert read_body(msgspec.json.encode(text), kind) == text
        assert fits(schema | {"pattern": schema["pattern"].replace(r"(?!\n)", "")}, text)
    for text in NO_CELLS[kind]:
        with pytest.raises(Problem) as refused:
            read_body(msgspec.json.encode(text), kind)
        assert refused.value.status == 422
        assert not fits(schema | {"pattern": schema["pattern"].replace(r"(?!\n)", "")}, text)


def test_a_problem_tells_no_pattern() -> None:
    """But what it asks for."""
    for kind, text, words in ((Line, "a\n", "one line"), (NewIdTag, "\t", "one line, not blank"), (Reason, " ", "not")):
        with pytest.raises(Problem) as refused:
            read_body(msgspec.json.encode(text), kind)
        assert f"Expected text that is {words}" in refused.value.detail
        assert not any(pattern in refused.value.detail for pattern in IN_WORDS)


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "501"}, {"before": "-1"}, {"before": str(2**63)}])
def test_a_page_has_its_limits(query: dict[str, str]) -> None:
    """422 with the name, not another page than was asked for."""
    with pytest.raises(Problem) as refused:
        read_query(query, Page)
    assert refused.value.members["field"] in query
