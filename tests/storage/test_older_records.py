"""Records as an older ledger holds them still load: a new field has a default (docs/architecture.md)."""

import dataclasses
import json
from datetime import UTC, datetime

import pytest

from ocpp_server.core.records import Alert, ChargePoint
from ocpp_server.storage.ledger_codec import decode, encode

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
RECORDS = (Alert("clock", "clock suspect", "it jumped", NOW), ChargePoint("CP1", NOW))
ADDED = {
    Alert: ("acknowledged_at", "acknowledged_by"),
    ChargePoint: ("disconnected_at", "readonly_keys"),
}


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_without_the_fields_of_alerts_and_leaks_loads(record: Alert | ChargePoint) -> None:
    """The fields that came with issue 4."""
    document = json.loads(encode(record))
    for name in ADDED[type(record)]:
        del document[name]

    assert decode(json.dumps(document), type(record)) == record


@pytest.mark.parametrize("kind", ADDED, ids=lambda kind: kind.__name__)
def test_a_record_with_them_comes_back_as_it_was(kind: type[Alert] | type[ChargePoint]) -> None:
    """Nothing of an acknowledgement is lost in the ledger."""
    values = {"acknowledged_at": NOW, "acknowledged_by": "Jane", "disconnected_at": NOW, "readonly_keys": ("A", "B")}
    (record,) = (one for one in RECORDS if type(one) is kind)
    full = dataclasses.replace(record, **{name: values[name] for name in ADDED[kind]})  # type: ignore[arg-type]

    assert decode(encode(full), kind) == full
