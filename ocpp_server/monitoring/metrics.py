"""What is counted while the server runs: messages, commits, stops, sessions, refusals, answers of the API.

Each part tells what it did through a callable or a Protocol of its own; what can be read off the state when somebody
asks is not counted here (`site_metrics`). No label tells of a person, and each takes few values: what OCPP
does not list becomes "other". All of it begins at 0 with the process, as Prometheus expects.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, Metric

from ocpp_server.core import changes as ch
from ocpp_server.core.records import AuthorizationStatus, EndKind, StopCause, Transaction
from ocpp_server.core.site import Site
from ocpp_server.monitoring.series import PREFIX, Cell, Counts, Histogram

_OTHER: Final = "other"
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_DECISIONS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_OVERSHOOT_WH: Final = (0, 10, 50, 100, 200, 500, 1000, 2000, 5000)
_ERROR_KINDS: Final = ("unreadable", "NotSupported", "NotImplemented", "no answer", "call error")
_STOP_RESULTS: Final = ("Accepted", "Rejected", "offline", "no answer", "error", _OTHER)
_REASONS: Final = (
    *("DeAuthorized", "EmergencyStop", "EVDisconnected", "HardReset", "Local", "PowerLoss", "Reboot", "Remote"),
    *("SoftReset", "UnlockCommand", _OTHER, EndKind.SUPERSEDED.value, EndKind.STALE.value),
    *(cause.value for cause in StopCause),
)
"""OCPP 1.6 §7.36, why the server wanted a session to stop, and how it ends one itself."""
_NEVER_SENT: Final = frozenset({"offline", "error: too many calls are waiting"})
_FOLLOWED: Final = frozenset({ch.PutTransaction, ch.PutUsers, ch.PutChargers})
_AUTHORIZING: Final = frozenset({"Authorize", "StartTransaction"})


class Metrics:
    """Counts what it is told. None of its methods waits or raises."""

    def __init__(self, site: Site) -> None:
        self._open = set(site.open_transactions)
        self._reloaded_at = dict.fromkeys(("users1.csv", "chargers.csv"), time.time())
        self._unserved = 0
        kinds = [(kind,) for kind in _ERROR_KINDS]
        self._errors = Counts("ocpp_errors", "OCPP messages that failed, by kind", ("kind",), kinds)
        self._message_s = Histogram(
            "message_seconds", "From a message's arrival to its answer, commit included", _SECONDS, ("action",)
        )
        self._cells: dict[str, Cell] = {}
        self._call_s = Histogram(
            "call_seconds", "From a call to the charge point's answer, its turn included", _SECONDS, ("action",)
        )
        self._authorizations = Counts(
            "authorizations",
            "Answers to Authorize and StartTransaction",
            ("result",),
            [(status.value,) for status in AuthorizationStatus],
        )
        self._handshakes = Counts("handshakes_refused", "Connections refused, by HTTP status", ("status",))
        self._sessions = Counts("sessions", "Sessions that ended, by reason", ("reason",), [(one,) for one in _REASONS])
        self._overshoot = Histogram(
            "overshoot_watt_hours",
            "Energy over the quota at the end of a session of a user with a quota",
            _OVERSHOOT_WH,
        )
        results = [(result,) for result in _STOP_RESULTS]
        self._stops = Counts("remote_stops", "RemoteStopTransaction, by what became of it", ("result",), results)
        self._commit_s = Histogram("state_write_seconds", "Time of a commit to the ledger", _SECONDS)
        self._group = Histogram("state_write_decisions", "Decisions in one commit", _DECISIONS)
        self._commit_cell, self._group_cell = self._commit_s.cell(), self._group.cell()
        self._publish_s = Histogram("publish_seconds", "Time to render and write the files in data/", _SECONDS)
        self._api_s = Histogram(
            "api_request_seconds", "Answers of the control API", _SECONDS, ("method", "route", "status")
        )

    def answered(self, action: str, answer: Mapping[str, Any], seconds: float) -> None:
        """A charge point's call, of an action that we serve, has its answer."""
        cell = self._cells.get(action)
        if cell is None:
            cell = self._cells[action] = self._message_s.cell(action)
        cell.observe(seconds)
        if action in _AUTHORIZING:
            self._authorizations.add(str(answer["idTagInfo"]["status"]))

    def failed(self, kind: str) -> None:
        """A message of a charge point cannot be read, or nobody serves it: the code of the CALLERROR, "unreadable"."""
        self._unserved += 1
        self._errors.add(kind)

    def called(self, action: str, status: str, seconds: float) -> None:
        """A call of ours came to its end, with a status as `RemoteCalls` gives it."""
        if status in _NEVER_SENT:
            return
        self._call_s.cell(action).observe(seconds)
        if status == "no answer":
            self._errors.add(status)
        elif status.startswith("error: "):
            self._errors.add("call error")

    def refused(self, status: int) -> None:
        """A handshake was refused with this HTTP status."""
        self._handshakes.add(str(status))

    def changed(self, changes: Sequence[ch.Change]) -> None:
        """For `CentralSystem.listen`."""
        for change in changes:
            if type(change) not in _FOLLOWED:
                continue
            if isinstance(change, ch.PutTransaction):
                self._follow(change.transaction)
            elif isinstance(change, ch.PutUsers):
                self._reloaded_at["users1.csv"] = time.time()
            elif isinstance(change, ch.PutChargers):
                self._reloaded_at["chargers.csv"] = time.time()

    def committed(self, decisions: int, seconds: float) -> None:
        """For `CentralSystem.listen_to_commits`."""
        self._group_cell.observe(decisions)
        self._commit_cell.observe(seconds)

    def stop_attempted(self, result: str) -> None:
        """A RemoteStopTransaction of the stopper came to its end."""
        kind = "error" if result.startswith("error: ") else result
        self._stops.add(kind if kind in _STOP_RESULTS else _OTHER)

    def published(self, seconds: float) -> None:
        """The files in data/ were looked at, and written where they differ."""
        self._publish_s.cell().observe(seconds)

    def api_answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """`route`: the template, not the path; blank: there is none."""
        self._api_s.cell(method if route else _OTHER, route or _OTHER, str(status)).observe(seconds)

    def families(self) -> Iterator[Metric]:
        """What was counted so far."""
        yield self._messages()
        counters = (self._errors, self._authorizations, self._handshakes, self._sessions, self._stops)
        histograms = (self._message_s, self._call_s, self._commit_s, self._group, self._publish_s, self._api_s)
        for series in (*counters, *histograms, self._overshoot):
            yield series.family()

    def _messages(self) -> Metric:
        """Counted by the histograms already: the hot path does it once."""
        name, text = f"{PREFIX}ocpp_messages", "OCPP calls, received and sent"
        family = CounterMetricFamily(name, text, labels=("action", "direction"))
        for (action,), count in self._message_s.observed().items():
            family.add_metric((action, "received"), count)
        family.add_metric((_OTHER, "received"), self._unserved)
        for (action,), count in self._call_s.observed().items():
            family.add_metric((action, "sent"), count)
        return family

    def reloaded_at(self) -> Mapping[str, float]:
        """Unix time since when the rows of a table are in force, at least since the start."""
        return self._reloaded_at

    def _follow(self, transaction: Transaction) -> None:
        """What comes after the end only mends what is known of it; a session that went on after all ends again."""
        number = transaction.transaction_id
        if transaction.is_open:
            self._open.add(number)
            return
        if number not in self._open:
            return
        self._open.remove(number)
        is_ours = transaction.end_kind in (EndKind.SUPERSEDED, EndKind.STALE)
        reason = str(transaction.end_kind) if is_ours else transaction.stop_reason
        self._sessions.add(reason if reason in _REASONS else _OTHER)
        if transaction.overshoot is not None:
            self._overshoot.cell().observe(transaction.overshoot)
