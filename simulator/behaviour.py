"""The ways in which a simulated charge point can misbehave; each was seen on a real one, and each is off by default."""

from dataclasses import dataclass
from enum import Enum, StrEnum

from simulator.meter import MeterFault


class Absent(Enum):
    """A field that is left out of the message."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


class FirmwareFault(StrEnum):
    """Where an update of the firmware fails."""

    DOWNLOAD = "download"
    SIGNATURE = "signature"
    """Of a signed update only."""
    INSTALLATION = "installation"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One charge point's bad habits. Durations are simulated seconds."""

    retry_start: bool = False
    """Sends StartTransaction twice under two message ids, as if the first answer was lost (spec §3.7.1)."""
    duplicate_stop: bool = False
    """Sends StopTransaction twice."""
    duplicate_meter_values: bool = False
    """Sends every MeterValues twice."""
    offline_queue_s: float = 0.0
    """Drops the link for this long in every session and queues meanwhile (spec §3.7)."""
    offline_queue_after_s: float = 90.0
    """When in the session `offline_queue_s` begins."""
    ignore_remote_stop: bool = False
    """Accepts RemoteStopTransaction and charges on."""
    reject_remote_stop: bool = False
    """Answers RemoteStopTransaction with Rejected."""
    silent_remote_stop: bool = False
    """Never answers RemoteStopTransaction."""
    remote_stop_failures: int | None = None
    """After so many the three above end and it obeys; None: never."""
    remote_stop_delay_s: float = 1.0
    """From the confirmation of RemoteStopTransaction to the stop; no misbehaviour, relays take their time."""
    wrong_transaction_id: int | str | Absent | None = None
    """Sent as transactionId of every MeterValues: 0, -1, 2**63-1, a text, ABSENT; None sends the right one."""
    stop_transaction_id: int | None = None
    """Sent as transactionId of every StopTransaction, such as -1; None sends the right one."""
    no_clock: bool = False
    """Stamps count from 1970."""
    local_time_without_offset: bool = False
    """Stamps are local time (`local_offset_h` ahead of UTC) and do not say so."""
    local_offset_h: float = 3.0
    """Hours that local time is ahead of UTC; used by `local_time_without_offset` only."""
    no_meter_values: bool = False
    """Never sends MeterValues."""
    lost_stop: bool = False
    """Never sends StopTransaction."""
    charge_after_refusal: bool = False
    """Charges on though StartTransaction.conf was not Accepted."""
    ignore_pending: bool = False
    """Goes on as if registered though BootNotification.conf was not Accepted."""
    transaction_data: bool = False
    """Repeats the first and the last reading in StopTransaction.transactionData; allowed, but easily counted twice."""
    meter_faults: tuple[MeterFault, ...] = ()
    """Faults of the meter, in every session."""

    unsupported_calls: tuple[str, ...] = ()
    """Actions of the central system that get a CALLERROR NotSupported."""
    refused_calls: tuple[str, ...] = ()
    """Actions that are answered with Rejected, or with what comes nearest to it."""
    malformed_calls: tuple[str, ...] = ()
    """Actions that are answered with a payload of wrong types."""
    unanswered_calls: tuple[str, ...] = ()
    """Actions that are never answered, nor obeyed."""
    disconnecting_calls: tuple[str, ...] = ()
    """Actions on which the connection is cut."""
    call_answer_delay_s: float = 0.0
    """Every call of the central system is answered this much later."""
    upload_fails: bool = False
    """Diagnostics and logs never arrive."""
    firmware_fault: FirmwareFault | None = None
    """An update of the firmware ends there."""

    def disobeys_remote_stop(self, already: int) -> bool:
        """Whether the next RemoteStopTransaction is ignored, rejected or left unanswered, after `already` such ones."""
        is_any = self.ignore_remote_stop or self.reject_remote_stop or self.silent_remote_stop
        return is_any and (self.remote_stop_failures is None or already < self.remote_stop_failures)


WELL_BEHAVED = Behaviour()
