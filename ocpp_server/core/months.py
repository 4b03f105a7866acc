"""The month that quotas count in: opened once, confirmed or taken back by a person (rule 11).

A wrong opening is taken back only to the month that the wall clock shows, and only if a person names that month too:
two witnesses. What was booked meanwhile keeps the month that it carries.
"""

from datetime import UTC, datetime
from typing import Final

from ocpp_server.core import changes as ch
from ocpp_server.core import commands as cmd
from ocpp_server.core.draft import Decision, Draft
from ocpp_server.core.period import Month, month_of
from ocpp_server.core.quota import WARNINGS
from ocpp_server.core.records import NoteKind
from ocpp_server.core.site import Site

CLOCK_ALERT: Final = "clock"
"""The alert that says that the wall clock cannot be believed."""
EARLIEST: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""A clock without a battery starts in 1970."""


def begin_month(site: Site, command: cmd.OpenMonth) -> Decision:
    """Open a month exactly once; never an earlier one."""
    draft = Draft(site, command.at)
    if site.open_month is not None and command.month <= site.open_month:
        return draft.decide(cmd.Done())
    _open(draft, command.month)
    draft.note(NoteKind.MONTH, "month opened", figures={"month": command.month, "closed": site.open_month})
    return draft.decide(cmd.Done())


def confirm_month(site: Site, command: cmd.ConfirmMonth) -> Decision:
    """Open the month that the wall clock shows, because a person says that the clock is right."""
    draft = Draft(site, command.at)
    refusal = _why_not_confirmed(site, command)
    if refusal:
        return draft.decide(cmd.Refused(refusal))
    _open(draft, command.month)
    draft.resolve(CLOCK_ALERT)
    figures = {"month": command.month, "closed": site.open_month, "by": command.by}
    draft.note(NoteKind.MONTH, "month opened, the clock was confirmed", figures=figures)
    return draft.decide(cmd.Done())


def undo_month(site: Site, command: cmd.UndoMonth) -> Decision:
    """Go back from a month that was opened by mistake to the one that the wall clock shows."""
    draft = Draft(site, command.at)
    refusal = _why_not_undone(site, command)
    if refusal:
        return draft.decide(cmd.Refused(refusal))
    _open(draft, command.back_to)
    draft.resolve(CLOCK_ALERT)
    figures = {"month": command.month, "reopened": command.back_to, "reason": command.reason, "by": command.by}
    draft.note(NoteKind.MONTH, "opened month taken back", figures=figures)
    return draft.decide(cmd.Done())


def _open(draft: Draft, month: Month) -> None:
    """Warnings are about the month that quotas counted in until now; those of this one come with the next look."""
    draft.put(ch.PutOpenMonth(month))
    for alert in draft.site.alerts.values():
        if alert.kind in WARNINGS:
            draft.resolve(alert.alert_id)


def _why_not_confirmed(site: Site, command: cmd.ConfirmMonth) -> str:
    """Why there is nothing to confirm, or a blank."""
    shown = month_of(command.at, site.policy.zone)
    if command.at < EARLIEST:
        return _impossible(command.at)
    if command.month != shown:
        return f"the clock shows {shown}, not {command.month}"
    if command.month == site.open_month:
        return f"{command.month} is open already"
    if site.open_month is not None and command.month < site.open_month:
        return f"{site.open_month} is open: if that was a mistake, undo it"
    return ""


def _why_not_undone(site: Site, command: cmd.UndoMonth) -> str:
    """Why the open month is no mistake, or a blank. A repeated undo finds another month open, and goes no further."""
    shown = month_of(command.at, site.policy.zone)
    if command.month != site.open_month:
        return f"{site.open_month or 'no month'} is open, not {command.month}"
    if command.at < EARLIEST:
        return _impossible(command.at)
    if shown >= command.month:
        return f"the clock shows {shown}, so {command.month} has begun: if the clock is wrong, set it right first"
    if command.back_to != shown:
        return f"the clock shows {shown}, not {command.back_to}: if the clock is wrong, set it right first"
    return ""


def _impossible(at: datetime) -> str:
    return f"the clock shows {at:%Y-%m-%d}, which cannot be: set it right first"
