"""Which charge point a connection URL names (OCPP-J §3.1.1)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocpp_server.core.charge_point_id import LONGEST_ID
from ocpp_server.ocpp16.address import AddressError, charge_point_id_of

PREFIXES = ("/ws/ocpp/16", "/ocpp")


@pytest.mark.parametrize(
    ("target", "charge_point_id"),
    [
        ("/CP1", "CP1"),
        ("/SCHNEIDER/EVlinkProAC", "SCHNEIDER/EVlinkProAC"),
        ("/SCHNEIDER%2FEVlinkProAC", "SCHNEIDER/EVlinkProAC"),
        ("/a/b/c", "a/b/c"),
        ("/ws/ocpp/16/CP1", "CP1"),
        ("/ocpp/CP1", "CP1"),
        ("/ocpp/SCHNEIDER/EVlinkProAC", "SCHNEIDER/EVlinkProAC"),
        ("//CP1", "CP1"),
        ("///CP1//", "CP1"),
        ("/ocpp//CP1/", "CP1"),
        ("/C%501", "CP1"),
        ("/00:11:22.33_44-55", "00:11:22.33_44-55"),
        ("/ocpp?chargePointId=CP1&version=1.6", "CP1"),
        ("/ocpp?version=OCPP1.6&chargepointid=SCHNEIDER%2FEVlinkProAC", "SCHNEIDER/EVlinkProAC"),
        ("/?chargePointId=CP1", "CP1"),
        ("/CP1?chargePointId=CP2", "CP1"),
        ("/CP1?version=2.0.1", "CP1"),
        ("ws://host:9000/ocpp/CP1", "CP1"),
        ("/ws://host:9000/CP1", "CP1"),
        ("/ocpp2/CP1", "ocpp2/CP1"),
        ("/OCPP/CP1", "OCPP/CP1"),
        ("/" + "x" * LONGEST_ID, "x" * LONGEST_ID),
    ],
)
def test_an_id_is_found(target: str, charge_point_id: str) -> None:
    """Doubled and trailing slashes (AcTEC, ZJ Beny), prefixes, percent-encoding, and the id in the query."""
    assert charge_point_id_of(target, PREFIXES) == charge_point_id


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/", 404),
        ("", 404),
        ("///", 404),
        ("/ocpp", 404),
        ("/ws/ocpp/16/", 404),
        ("/ocpp?version=1.6", 404),
        ("/ocpp?chargePointId=", 404),
        ("/ocpp?chargePointId=CP1&version=2.0.1", 400),
        ("/a/b/c/d", 400),
        ("/.", 400),
        ("/..", 400),
        ("/a/../b", 400),
        ("/a%2F..%2F..%2Fetc", 400),
        ("/%2e%2e/CP1", 400),
        ("/%00x", 400),
        ("/%252e", 400),
        ("/C%zz", 400),
        ("/RDAM%20123", 400),
        ("/caf%C3%A9", 400),
        ("/caf%E9", 400),
        ("/a\\b", 400),
        ("/<script>", 400),
        ("/CP1%0d%0aX", 400),
        ("/" + "x" * (LONGEST_ID + 1), 400),
        ("/" + "x" * 30 + "/" + "y" * 30, 400),
        ("/ocpp?chargePointId=..%2F..%2Fetc", 400),
    ],
)
def test_what_is_no_id_is_refused_with_a_reason(target: str, status: int) -> None:
    """HTTP 404 where there is no id, 400 for a bad one (OCPP-J §3.2, T15)."""
    with pytest.raises(AddressError) as refusal:
        charge_point_id_of(target, PREFIXES)

    assert refusal.value.status == status
    assert "expected" in str(refusal.value)


def test_the_longest_prefix_is_taken_off() -> None:
    """`/ocpp/16` before `/ocpp`, whatever their order in the settings."""
    assert charge_point_id_of("/ocpp/16/CP1", ("/ocpp", "/ocpp/16")) == "CP1"


@given(st.text() | st.binary().map(lambda raw: "/" + "".join(f"%{byte:02x}" for byte in raw)))
@settings(max_examples=500, deadline=None)
def test_no_path_gives_anything_else(target: str) -> None:
    """T15: an id, or a refusal; never a segment that climbs or a sign that nobody asked for."""
    try:
        charge_point_id = charge_point_id_of(target, PREFIXES)
    except AddressError:
        return
    assert charge_point_id.isascii()
    assert charge_point_id.isprintable()
    assert not {"", ".", ".."} & set(charge_point_id.split("/"))
