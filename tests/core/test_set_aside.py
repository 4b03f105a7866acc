"""`core.set_aside`: the record of energy that waits for a person (docs/accounting.md, rule 5)."""

import pytest
from site_builder import NOON

from ocpp_server.core.set_aside import SetAside, SetAsideKind, SetAsideState


@pytest.mark.parametrize("state", list(SetAsideState))
def test_only_what_is_open_waits(state: SetAsideState) -> None:
    """Accepted, dropped and withdrawn are ends."""
    one = SetAside(1, SetAsideKind.ORPHAN, NOON, NOON, "CP1", None, None, "RFID001", "why", state=state)

    assert one.is_open is (state is SetAsideState.OPEN)
