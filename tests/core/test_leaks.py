"""What lets energy escape the quota, found in what a charge point told (issue 4, quota-leak audit; rule 27)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from site_builder import CHARGE_POINT, SiteBuilder, at, stamp

from ocpp_server.core import commands as cmd
from ocpp_server.core.leaks import (
    INTERVAL_KEY,
    LONGEST_VALUE,
    NEVER_TOLD,
    POWER,
    REGISTER,
    SAMPLED_KEY,
    WRONG_CLOCK,
    find_leaks,
    is_watched,
    is_within,
    leaks_of,
    right_sampled,
)

RIGHT = {
    "AllowOfflineTxForUnknownId": "false",
    "LocalPreAuthorize": "false",
    "AuthorizationCacheEnabled": "false",
    "LocalAuthorizeOffline": "false",
    "StopTransactionOnInvalidId": "true",
    SAMPLED_KEY: f"{POWER},{REGISTER}",
    INTERVAL_KEY: "60",
}
OPEN_BY_TRUE = ("AllowOfflineTxForUnknownId", "LocalPreAuthorize", "AuthorizationCacheEnabled", "LocalAuthorizeOffline")


def mends(told: dict[str, str], readonly: tuple[str, ...] = ()) -> list[tuple[str, tuple[str, str] | None]]:
    """Key and mend of each leak, where the rest is right."""
    leaks = find_leaks({**RIGHT, **told}.items(), wanted_interval_s=60, readonly=readonly)
    return [(leak.key, leak.mend) for leak in leaks]


def test_a_right_configuration_leaks_nothing() -> None:
    """Nor does one that does not list what the charge point cannot do."""
    assert mends({}) == []
    assert find_leaks([("Other", "x")], wanted_interval_s=60) == ()


@pytest.mark.parametrize("key", OPEN_BY_TRUE)
def test_each_switch_that_lets_a_card_charge_unasked_is_a_leak(key: str) -> None:
    """OCPP 1.6 §9.1: without a connection, or before the server answered."""
    assert mends({key: "true"}) == [(key, (key, "false"))]


def test_a_charge_point_that_goes_on_after_a_refusal_is_a_leak() -> None:
    """StopTransactionOnInvalidId (OCPP 1.6 §9.1) is the one that must be true."""
    key = "StopTransactionOnInvalidId"

    assert mends({key: "false"}) == [(key, (key, "true"))]


@pytest.mark.parametrize(
    ("value", "mend"),
    [("True", "false"), ("TRUE ", "false"), ("1", "0"), ("yes", "no"), ("On", "off")],
)
def test_booleans_are_understood_and_mended_in_the_charge_points_own_words(value: str, mend: str) -> None:
    """The spec says true and false; charge points say what they like."""
    assert mends({"LocalPreAuthorize": value}) == [("LocalPreAuthorize", ("LocalPreAuthorize", mend))]


@pytest.mark.parametrize("value", ["", "maybe", "2", "truefalse"])
def test_a_value_that_is_no_boolean_says_nothing(value: str) -> None:
    """Nothing is made up."""
    assert mends({"LocalPreAuthorize": value, "StopTransactionOnInvalidId": value}) == []


def test_keys_are_found_in_any_case_and_mended_in_their_own() -> None:
    """Keys ignore case (OCPP 1.6 §9)."""
    told = [("localPREauthorize", "true"), ("METERVALUESAMPLEINTERVAL", "0"), ("metervaluessampleddata", "")]
    leaks = find_leaks(told, wanted_interval_s=30)

    assert [leak.mend for leak in leaks] == [
        ("localPREauthorize", "false"),
        ("metervaluessampleddata", f"{REGISTER},{POWER}"),
        ("METERVALUESAMPLEINTERVAL", "30"),
    ]


@pytest.mark.parametrize(
    ("value", "is_leak"),
    [
        ("60", False),
        ("1", False),
        ("0", True),
        ("61", True),
        ("900", True),
        ("", True),
        ("-5", True),
        ("9" * 5000, True),
    ],
)
def test_readings_must_come_as_often_as_wanted(value: str, is_leak: bool) -> None:
    """Rule 25: 0 is never; a number of 5,000 digits is none."""
    assert mends({INTERVAL_KEY: value}) == ([(INTERVAL_KEY, (INTERVAL_KEY, "60"))] if is_leak else [])


def test_the_register_must_be_among_what_is_sampled() -> None:
    """What is sampled already stays."""
    assert mends({SAMPLED_KEY: POWER}) == [(SAMPLED_KEY, (SAMPLED_KEY, f"{POWER},{REGISTER}"))]
    assert mends({SAMPLED_KEY: f"Voltage, {REGISTER.upper()}"}) == []


def test_a_list_that_would_grow_too_long_cannot_be_mended() -> None:
    """OCPP 1.6 §6.9: 500 characters."""
    room = LONGEST_VALUE - len(REGISTER) - 1

    assert mends({SAMPLED_KEY: "x" * room})[0][1] is not None
    assert mends({SAMPLED_KEY: "x" * (room + 1)}) == [(SAMPLED_KEY, None)]


def test_a_key_that_cannot_be_changed_is_a_leak_without_a_mend() -> None:
    """Told with the configuration; of another key it means nothing."""
    told = {"LocalPreAuthorize": "true", "LocalAuthorizeOffline": "true"}

    assert mends(told, readonly=("LocalPreAuthorize", "Other")) == [
        ("LocalPreAuthorize", None),
        ("LocalAuthorizeOffline", ("LocalAuthorizeOffline", "false")),
    ]


def test_a_configuration_that_was_never_told_is_a_leak_itself() -> None:
    """Nobody knows what it lets through."""
    assert find_leaks((), wanted_interval_s=60) == (NEVER_TOLD,)


def test_a_leak_says_in_short_what_it_is() -> None:
    """A foreign value of any length is cut."""
    (leak,) = find_leaks([(SAMPLED_KEY, "x" * 300)], wanted_interval_s=60)

    assert leak.label == f"{SAMPLED_KEY}={'x' * 40}"
    assert WRONG_CLOCK.label == WRONG_CLOCK.why


def test_the_site_knows_configuration_clock_and_what_cannot_be_changed() -> None:
    """From the boot on; the clock by the stamp of a StatusNotification (rule 15)."""
    site = SiteBuilder()
    never = leaks_of(site.site, CHARGE_POINT)
    told = (("LocalPreAuthorize", "true"), (INTERVAL_KEY, "90"), ("Other", "1"))
    site.do(
        cmd.RecordConfiguration(CHARGE_POINT, at(0), told, is_complete=True, readonly=("LocalPreAuthorize", "Other"))
    )
    site.status(1, timestamp=stamp(at(-30)))
    late = leaks_of(site.site, CHARGE_POINT)
    site.do(cmd.RecordConfiguration(CHARGE_POINT, at(2), (("LocalPreAuthorize", "false"), (INTERVAL_KEY, "60"))))
    site.status(3, timestamp=stamp(at(3)))

    assert never == (NEVER_TOLD,)
    assert [(leak.key, leak.mend) for leak in late] == [
        ("LocalPreAuthorize", None),
        (INTERVAL_KEY, (INTERVAL_KEY, "60")),
        ("", None),
    ]
    assert late[-1] is WRONG_CLOCK
    assert site.site.charge_points[CHARGE_POINT].readonly_keys == ("LocalPreAuthorize",)
    assert leaks_of(site.site, CHARGE_POINT) == ()


def test_what_is_watched_and_what_is_within() -> None:
    """Shared with the configurator."""
    assert is_watched("metervaluesampleinterval")
    assert not is_watched("HeartbeatInterval")
    assert is_within("60", 60)
    assert not is_within("0", 60)


@given(st.lists(st.tuples(st.sampled_from([*RIGHT, "Other", "localpreauthorize"]), st.text(max_size=20))))
def test_whatever_is_told_each_mend_closes_its_leak(told: list[tuple[str, str]]) -> None:
    """After all mends nothing is left that can be mended."""
    mended = dict(told)
    for leak in find_leaks(mended.items(), wanted_interval_s=60):
        if leak.mend is not None:
            mended[leak.mend[0]] = leak.mend[1]
    # A key that is listed twice in other spellings counts with its last one.
    left = find_leaks(mended.items(), wanted_interval_s=60)

    assert [leak for leak in left if leak.mend is not None] == []


@given(st.text(max_size=60))
def test_the_register_is_asked_for_once(value: str) -> None:
    """What is right now stays right."""
    wanted = right_sampled(value)

    assert right_sampled(value if wanted is None else wanted) is None
