"""Who is told of the traffic with charge points, so that it can be counted. It must neither raise nor wait."""

from typing import Final, Protocol

from ocpp_server.ocpp16.frames import Payload


class Traffic(Protocol):
    """Told of each message and each refused handshake."""

    def answered(self, action: str, answer: Payload, seconds: float) -> None:
        """A charge point's call, of an action that we serve, has its answer; so long after it arrived."""

    def failed(self, kind: str) -> None:
        """A charge point's message cannot be read ("unreadable"), or nobody serves it (the code of the CALLERROR)."""

    def called(self, action: str, status: str, seconds: float) -> None:
        """A call of ours came to its end, with the status of its `CallAnswer`."""

    def refused(self, status: int) -> None:
        """A handshake was refused with this HTTP status."""


class Unwatched:
    """Nobody counts."""

    def answered(self, action: str, answer: Payload, seconds: float) -> None:
        """Nothing."""

    def failed(self, kind: str) -> None:
        """Nothing."""

    def called(self, action: str, status: str, seconds: float) -> None:
        """Nothing."""

    def refused(self, status: int) -> None:
        """Nothing."""


UNWATCHED: Final = Unwatched()
