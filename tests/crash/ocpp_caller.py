"""A charge point in the test's own hands: says one thing at a time and waits for the answer."""

import json
import uuid
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

LIMIT_S = 20.0


class OcppCaller:
    """One connection, open while the block runs."""

    def __init__(self, url: str, charger_id: str) -> None:
        self._url = f"{url}/{charger_id}"

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            dialling = connect(self._url, subprotocols=["ocpp1.6"], compression=None, proxy=None, close_timeout=2)
            self._socket = stack.enter_context(dialling)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def call(self, action: str, **payload: Any) -> dict[str, Any]:
        """The payload of the answer; AssertionError for a CALLERROR."""
        unique_id = str(uuid.uuid4())
        self._socket.send(json.dumps([2, unique_id, action, payload]))
        while True:
            frame = json.loads(self._socket.recv(LIMIT_S))
            if frame[0] == 2:
                self._socket.send(json.dumps([4, frame[1], "NotSupported", "", {}]))
            elif frame[1] == unique_id:
                assert frame[0] == 3, frame
                return dict(frame[2])

    def close_code(self) -> int | None:
        """Wait until the server closes; gives its code."""
        try:
            while True:
                self._socket.recv(LIMIT_S)
        except ConnectionClosed:
            return self._socket.close_code

    def boot(self) -> None:
        answer = self.call("BootNotification", chargePointVendor="Acme", chargePointModel="One")
        assert answer["status"] == "Accepted"

    def authorize(self, id_tag: str) -> str:
        return str(self.call("Authorize", idTag=id_tag)["idTagInfo"]["status"])

    def start(self, id_tag: str, meter_start: int) -> int:
        answer = self.call("StartTransaction", connectorId=1, idTag=id_tag, meterStart=meter_start, timestamp=_now())
        assert answer["idTagInfo"]["status"] == "Accepted"
        return int(answer["transactionId"])

    def meter(self, transaction_id: int, register: int) -> None:
        value = {"timestamp": _now(), "sampledValue": [{"value": str(register), "unit": "Wh"}]}
        self.call("MeterValues", connectorId=1, transactionId=transaction_id, meterValue=[value])

    def stop(self, transaction_id: int, register: int) -> None:
        self.call("StopTransaction", transactionId=transaction_id, meterStop=register, timestamp=_now())

    def charge(self, id_tag: str, wh: int, meter_start: int = 1_000_000) -> int:
        """A whole session at once; gives its id."""
        self.boot()
        transaction_id = self.start(id_tag, meter_start)
        self.stop(transaction_id, meter_start + wh)
        return transaction_id


def _now() -> str:
    return datetime.now(UTC).isoformat()
