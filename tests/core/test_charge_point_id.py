"""`core.charge_point_id`: what a charge point may be called, and which one was meant (T15)."""

import pytest

from ocpp_server.core.charge_point_id import EXPECTED, LONGEST_ID, check_id, similar_id


@pytest.mark.parametrize(
    "name", ["CP1", "SCHNEIDER/EVlinkProAC", "a/b/c", "00:11:22.33_44-55", "x" * LONGEST_ID, "..."]
)
def test_an_id_is_an_id(name: str) -> None:
    """One to three segments."""
    check_id(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a/b/c/d", "too many parts"),
        ("x" * (LONGEST_ID + 1), "too long"),
        ("", "other characters"),
        ("a//b", "other characters"),
        ("/a", "other characters"),
        (".", "other characters"),
        ("a/../b", "other characters"),
        ("CP 1", "other characters"),
        ("CP1\n", "other characters"),
        ("café", "other characters"),
        ("\udcff", "other characters"),
    ],
)
def test_what_is_no_id_is_told_with_what_was_expected(name: str, reason: str) -> None:
    """Nothing of the id itself stands in the message: it may be anything."""
    with pytest.raises(ValueError, match=reason) as refusal:
        check_id(name)

    assert str(refusal.value).endswith(EXPECTED)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("cp-gate-1", "CP-GATE-1"), ("CP-GATE-2", "CP-GATE-1"), ("GARAGE", None), ("LIVOLTEK_0", "LIVOLTEK_01")],
)
def test_a_mistyped_id_finds_the_one_that_was_meant(name: str, meant: str | None) -> None:
    """Also in another case; an id that is nothing like any finds none."""
    assert similar_id(name, ["CP-GATE-1", "LIVOLTEK_01"]) == meant


def test_an_id_is_not_similar_to_itself() -> None:
    """It is known."""
    assert similar_id("CP1", ["CP1"]) is None
