"""`core.months`: a month opens once, by the clock or by a person's word; a wrong one is taken back (rule 11)."""

from datetime import UTC, datetime, timedelta

import pytest
from site_builder import FEBRUARY, JANUARY, NOON, SiteBuilder, at, sample, user

from ocpp_server.core import commands as cmd
from ocpp_server.core.energy import Wh
from ocpp_server.core.months import CLOCK_ALERT
from ocpp_server.core.period import Month
from ocpp_server.core.records import AuthorizationStatus, NoteKind
from ocpp_server.core.users import IdTag

MARCH = Month("2025-03")
IN_FEBRUARY = NOON + timedelta(days=20)
IN_1970 = datetime(1970, 1, 2, tzinfo=UTC)


def undo(
    at: datetime = NOON, month: Month = FEBRUARY, back_to: Month = JANUARY, reason: str = "clock was ahead"
) -> cmd.UndoMonth:
    return cmd.UndoMonth(at, month, back_to, reason, "Ann")


def test_a_month_opens_exactly_once_and_never_an_earlier_one() -> None:
    """By the clock alone; whose use is warned about is warned anew."""
    site = SiteBuilder([user("RFID001", 300)])
    site.do(cmd.OpenMonth(at(0), JANUARY))
    site.do(cmd.RaiseAlert(at(0), "disk", "disk", "full"))
    site.meter(site.begin(), sample(1, 299))
    raised = sorted(site.site.alerts)
    site.do(cmd.OpenMonth(at(1), FEBRUARY))
    figures = dict(site.notes[0].figures)
    site.do(cmd.OpenMonth(at(2), FEBRUARY))
    twice = site.last
    site.do(cmd.OpenMonth(at(3), JANUARY))

    assert raised == ["disk", "quota-RFID001"]
    assert figures == {"month": "2025-02", "closed": "2025-01"}
    assert (twice, site.last, site.site.open_month) == ((), (), FEBRUARY)
    assert list(site.site.alerts) == ["disk"]


def test_a_month_opened_by_mistake_is_taken_back_with_its_quotas() -> None:
    """Who had used up January has used it up again; what was booked meanwhile keeps its month."""
    site = SiteBuilder([user("RFID001", 300)])
    site.do(cmd.OpenMonth(at(0), JANUARY))
    site.do(cmd.Adjust(at(0), IdTag("RFID001"), Wh(299), "guest", "ops"))
    site.do(cmd.OpenMonth(IN_FEBRUARY, FEBRUARY))  # the clock is ahead
    site.do(cmd.Adjust(IN_FEBRUARY, IdTag("RFID001"), Wh(150), "guest", "ops"))
    in_february = site.authorize("RFID001", 5).status
    site.do(cmd.RaiseAlert(at(6), CLOCK_ALERT, "clock suspect", "it jumped"))
    booked = dict(site.site.usage)

    reply = site.do(undo(at(7)))

    (note,) = site.notes
    figures = {"month": "2025-02", "reopened": "2025-01", "reason": "clock was ahead", "by": "Ann"}
    assert (reply, site.site.open_month) == (cmd.Done(), JANUARY)
    assert (note.kind, dict(note.figures)) == (NoteKind.MONTH, figures)
    assert in_february is AuthorizationStatus.ACCEPTED
    assert site.authorize("RFID001", 8).status is AuthorizationStatus.BLOCKED
    assert site.site.usage == booked == {(JANUARY, "RFID001"): 299, (FEBRUARY, "RFID001"): 150}
    assert CLOCK_ALERT not in site.site.alerts


def test_warnings_are_about_the_month_that_is_open_again() -> None:
    """Those of the month that was none go."""
    site = SiteBuilder([user("RFID001", 10_000)])
    site.do(cmd.OpenMonth(at(0), FEBRUARY))
    site.do(cmd.Adjust(at(0), IdTag("RFID001"), Wh(9_600), "guest", "ops"))
    site.do(cmd.LookForAlerts(at(1), at(0)))
    warned = set(site.site.alerts)

    site.do(undo(at(2)))
    site.do(cmd.LookForAlerts(at(3), at(0)))

    assert "quota-RFID001" in warned
    assert "quota-RFID001" not in site.site.alerts


def test_an_undo_that_is_repeated_goes_back_no_further() -> None:
    """The answer may have been lost: both months are named, so the second one finds nothing to do."""
    site = SiteBuilder()
    site.do(cmd.OpenMonth(at(0), MARCH))
    site.do(undo(at(1), MARCH))
    again = site.do(undo(at(2), MARCH))

    assert again == cmd.Refused("2025-01 is open, not 2025-03")
    assert (site.last, site.site.open_month) == ((), JANUARY)


@pytest.mark.parametrize(
    ("opened", "command", "why"),
    [
        (None, undo(), "no month is open, not 2025-02"),
        (MARCH, undo(), "2025-03 is open, not 2025-02"),
        (FEBRUARY, undo(IN_1970), "the clock shows 1970-01-02, which cannot be: set it right first"),
        (
            FEBRUARY,
            undo(IN_FEBRUARY),
            "the clock shows 2025-02, so 2025-02 has begun: if the clock is wrong, set it right first",
        ),
        (
            FEBRUARY,
            undo(IN_FEBRUARY + timedelta(days=28)),
            "the clock shows 2025-03, so 2025-02 has begun: if the clock is wrong, set it right first",
        ),
        (
            MARCH,
            undo(NOON, MARCH, FEBRUARY),
            "the clock shows 2025-01, not 2025-02: if the clock is wrong, set it right first",
        ),
    ],
)
def test_a_month_that_may_be_right_is_not_taken_back(opened: Month | None, command: cmd.UndoMonth, why: str) -> None:
    """Only with two witnesses, the wall clock and a person; nothing is changed else."""
    site = SiteBuilder()
    if opened is not None:
        site.do(cmd.OpenMonth(at(0), opened))

    assert site.do(command) == cmd.Refused(why)
    assert (site.last, site.site.open_month) == ((), opened)


@pytest.mark.parametrize("before", [None, JANUARY, Month("2023-05")])
def test_a_person_may_confirm_the_month_that_the_clock_shows(before: Month | None) -> None:
    """However far it is: the clock alone is not believed after 400 days."""
    site = SiteBuilder()
    if before is not None:
        site.do(cmd.OpenMonth(at(0), before))
    site.do(cmd.RaiseAlert(at(0), CLOCK_ALERT, "clock suspect", "it jumped"))

    reply = site.do(cmd.ConfirmMonth(IN_FEBRUARY, FEBRUARY, "Ann"))

    (note,) = site.notes
    assert (reply, site.site.open_month, site.site.alerts) == (cmd.Done(), FEBRUARY, {})
    assert dict(note.figures) == {"month": "2025-02", "closed": str(before), "by": "Ann"}


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (cmd.ConfirmMonth(IN_FEBRUARY, FEBRUARY, "Ann"), "2025-02 is open already"),
        (cmd.ConfirmMonth(IN_FEBRUARY, MARCH, "Ann"), "the clock shows 2025-02, not 2025-03"),
        (cmd.ConfirmMonth(NOON, JANUARY, "Ann"), "2025-02 is open: if that was a mistake, undo it"),
        (
            cmd.ConfirmMonth(IN_1970, Month("1970-01"), "Ann"),
            "the clock shows 1970-01-02, which cannot be: set it right first",
        ),
    ],
)
def test_what_the_clock_does_not_show_cannot_be_confirmed(command: cmd.ConfirmMonth, why: str) -> None:
    """Nor what is open, nor what comes before it."""
    site = SiteBuilder()
    site.do(cmd.OpenMonth(at(0), FEBRUARY))

    assert site.do(command) == cmd.Refused(why)
    assert (site.last, site.site.open_month) == ((), FEBRUARY)
