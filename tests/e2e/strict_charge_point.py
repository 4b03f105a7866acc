"""A charge point that holds each call of the server to the schemas of the OCA, and answers as the test wants it to."""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from raw_charge_point import Json, RawChargePoint
from schema_violations import violations
from websockets.asyncio.client import ClientConnection

Reply: TypeAlias = Callable[[str], Sequence[list[Any]]] | None
"""The frames that answer a call of this message id; None: it hangs up instead."""

HANG_UP: Reply = None
LONGEST_MESSAGE_ID = 36
"""OCPP-J §4.1.4."""


def silence(_message_id: str) -> Sequence[list[Any]]:
    """It never answers."""
    return ()


def result(payload: Any) -> Reply:
    """A CALLRESULT."""
    return lambda message_id: [[3, message_id, payload]]


def error(*rest: Any) -> Reply:
    """A CALLERROR with what comes after its message id: code, description, details."""
    return lambda message_id: [[4, message_id, *rest]]


class StrictChargePoint(RawChargePoint):
    """Answers each call by `reply`, unless `replies` has another one for its action."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.reply: Reply = silence
        self.replies: dict[str, Reply] = {}
        self.faults: list[str] = []
        """What the server did wrong."""
        self.message_ids: list[str] = []
        """Of its calls."""

    async def _take(self, socket: ClientConnection, frame: Any) -> None:
        if frame[0] != 2:
            await super()._take(socket, frame)
            return
        _, message_id, action, payload = frame
        self.faults += self._faults_of(message_id, action, payload)
        self.message_ids.append(message_id)
        self.asked.append((action, payload))
        reply = self.replies.get(action, self.reply)
        if reply is None:
            self.drop()
            return
        for one in reply(message_id):
            await socket.send(json.dumps(one))

    def _faults_of(self, message_id: str, action: str, payload: Json) -> list[str]:
        """OCPP-J §4.1.4: a message id is never used again on a connection."""
        faults = violations(2, action, payload)
        if message_id in self.message_ids or not 0 < len(message_id) <= LONGEST_MESSAGE_ID:
            faults.append(f"{action}: message id {message_id}")
        return faults
