"""Coverage-guided fuzzing of the front door: bytes to frame, frame to commands, answer to bytes. Nothing may raise.

A program of its own, because atheris instruments the code while it is imported: `python tests/fuzz/atheris_frames.py
-max_total_time=60 CORPUS`. The corpus folder begins with the real frames and grows. `./run prove` runs it.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import atheris

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parent)]

with atheris.instrument_imports(include=["ocpp_server.ocpp16", "ocpp_server.core"]):
    from ocpp_server.core.energy import BrandProfile
    from ocpp_server.core.meter import MeterValue, read_meter_value
    from ocpp_server.core.period import moment_of
    from ocpp_server.ocpp16 import fields, frames, translate

from hostile_frames import CLASSICS  # noqa: E402
from real_frames import ACTIONS, FRAMES  # noqa: E402

AT = datetime(2025, 1, 15, 10, 30, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Istanbul")
_LONGEST_SEED = 4096
_KEPT = [action for action in ACTIONS if action in translate._KEPT_FIELDS]


def survives(data: bytes) -> None:
    """Everything that is done with the bytes of a message before the rules decide about it."""
    frame = frames.decode(data)
    match frame:
        case frames.Call():
            frames.encode_result(frame.unique_id, {}).decode()
            _translated(frame.payload)
        case frames.Unreadable() if frame.unique_id is not None:
            frames.encode_error(frame.unique_id, frame.code, frame.reason).decode()
        case frames.CallResult():
            fields.text(frame.payload.get("status"), 50).encode()
            fields.objects(frame.payload.get("configurationKey"))
        case frames.CallError():
            f"{frame.code} {frame.description}".encode()


def _translated(payload: frames.Payload) -> None:
    translate.boot_notification("CP1", AT, payload)
    translate.status_notification("CP1", AT, payload)
    translate.authorize("CP1", AT, payload)
    translate.security_event("CP1", AT, payload)
    start = translate.start_transaction("CP1", AT, payload)
    stop = translate.stop_transaction("CP1", AT, payload)
    for stamp in (start.timestamp, stop.timestamp):
        moment_of(stamp, AT, ZONE, ())
    readings: tuple[MeterValue, ...] = translate.meter_values("CP1", AT, payload).meter_values
    for reading in (*readings, *stop.transaction_data):
        read_meter_value(reading, BrandProfile())
    for action in _KEPT:
        kept = translate.kept_message("CP1", AT, action, payload)
        assert f"{kept.text} {kept.said}".isprintable()


def seed(corpus: Path) -> None:
    """Put the real frames and the short classics into a corpus folder that is empty."""
    corpus.mkdir(parents=True, exist_ok=True)
    if not any(corpus.iterdir()):
        seeds = [*FRAMES, *(raw for raw in CLASSICS.values() if len(raw) <= _LONGEST_SEED)]
        for number, raw in enumerate(seeds):
            (corpus / f"seed-{number:03d}").write_bytes(raw)


if __name__ == "__main__":
    seed(Path(sys.argv[-1]))
    atheris.Setup(sys.argv, survives)
    atheris.Fuzz()
