"""How the gateway listens, and whom it lets in how far. What a charge point may be is `core.admission`'s business."""

from collections.abc import Callable
from dataclasses import dataclass

from ocpp_server.ocpp16.message_log import NOT_KEPT, Messages
from ocpp_server.ocpp16.tls import ServerTls
from ocpp_server.ocpp16.traffic import UNWATCHED, Traffic


def _always(_: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """How to listen. Pings and their patience are in real seconds, calls in seconds of the site."""

    host: str = "0.0.0.0"  # noqa: S104 - charge points are other machines
    port: int | None = 9000
    """Without encryption; None: not at all."""
    tls_port: int = 9443
    tls: ServerTls | None = None
    """With a certificate the TLS port is listened on, too."""
    path_prefixes: tuple[str, ...] = ("/ws/ocpp/16", "/ocpp")
    allow_missing_subprotocol: bool = True
    heartbeat_interval_s: int = 60
    ping_interval_s: float = 20.0
    """0: no pings."""
    ping_timeout_s: float = 20.0
    call_timeout_s: float = 30.0
    max_message_bytes: int = 2 * 1024 * 1024
    """A long session's transactionData is 100 to 450 KiB, and must not be refused for ever."""
    max_unapproved_message_bytes: int = 64 * 1024
    """Until a person has approved the charge point."""
    max_connections: int = 500
    """In all; approved charge points are not refused by it."""
    max_files: int = 768
    """For so many connections the process has open files."""
    max_message_rate: float = 20.0
    """Messages per second of one charge point; 0: no limit."""
    ping_of: Callable[[str], bool] = _always
    """Whether this charge point is pinged: some never answer (EN+, Phoenix)."""
    traffic: Traffic = UNWATCHED
    """Told of messages and refused handshakes."""
    messages: Messages = NOT_KEPT
    """Keeps what is said on the lines."""
    is_storable: Callable[[], bool] = lambda: True
    """Whether the central system can store now; else handshakes get 503 and charge points queue (OCPP 1.6 §3.7)."""
