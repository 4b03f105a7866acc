"""What is told or noticed of a charge point's security: kept as a note, and an alert where a person should look."""

from datetime import timedelta
from typing import Final

from ocpp_server.core import changes as ch
from ocpp_server.core import commands as cmd
from ocpp_server.core.draft import Decision, Draft
from ocpp_server.core.records import Alert, NoteKind
from ocpp_server.core.site import Site

TAKEN_OVER: Final = "TakenOver"
"""Event of our own: a connection from another address took an id over from one that was alive."""
HELD_DOWN: Final = "HeldDown"
"""Event of our own: two connections fight for one id."""
MOVED: Final = "Moved"
"""Event of our own: a charge point without a key comes from another network."""
_PASSING_EVENTS: Final = frozenset({"StartupOfTheDevice", "ResetOrReboot", "SettingSystemTime"})
"""Critical, but each power cut brings them: their alert is over after a day."""
_CRITICAL_EVENTS: Final = _PASSING_EVENTS | {
    "FirmwareUpdated",
    "SecurityLogWasCleared",
    "MemoryExhaustion",
    "TamperDetectionActivated",
    HELD_DOWN,
}
"""Security white paper §8; they raise an alert."""
_PASSING_FOR: Final = timedelta(hours=24)
_ALERT_KIND: Final = "security"
_PASSING_ALERT_KIND: Final = "security, passing"


def security_event(site: Site, command: cmd.SecurityEvent, *, is_stranger: bool = False) -> Decision:
    """Keep an event; a critical one raises an alert, unless nobody knows who tells it."""
    draft = Draft(site, command.at)
    if command.event in _CRITICAL_EVENTS and not is_stranger:
        raise_alert(draft, command.charge_point_id, command.event, command.text)
    else:
        draft.note(NoteKind.SECURITY, command.text, charge_point_id=command.charge_point_id)
    return draft.decide(cmd.Done())


def raise_alert(draft: Draft, charge_point_id: str, event: str, text: str) -> None:
    """Note an event and raise its alert; one that stands keeps its beginning, a passing one begins anew."""
    draft.note(NoteKind.SECURITY, text, charge_point_id=charge_point_id)
    alert_id = alert_id_of(charge_point_id, event)
    before = draft.site.alerts.get(alert_id)
    kind = _PASSING_ALERT_KIND if event in _PASSING_EVENTS else _ALERT_KIND
    since = before.since if before is not None and kind == _ALERT_KIND else draft.at
    draft.put(ch.PutAlert(Alert(alert_id, kind, text, since, charge_point_id)))


def alert_id_of(charge_point_id: str, event: str) -> str:
    """The alert of an event of a charge point."""
    return f"security-{event}-{charge_point_id}"


def resolve_alerts(draft: Draft, charge_point_id: str) -> None:
    """Draft the end of all security alerts of a charge point: a person has looked at it."""
    for alert in draft.site.alerts.values():
        if alert.charge_point_id == charge_point_id and alert.kind in (_ALERT_KIND, _PASSING_ALERT_KIND):
            draft.resolve(alert.alert_id)


def resolve_passing(draft: Draft) -> None:
    """Draft the end of the alerts whose day is over."""
    for alert in draft.site.alerts.values():
        if alert.kind == _PASSING_ALERT_KIND and draft.at - alert.since >= _PASSING_FOR:
            draft.resolve(alert.alert_id)
