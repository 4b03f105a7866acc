"""An edit of energy_usage.json made by hand while the server was stopped becomes a booking (F10).

Only after an orderly stop: after a power cut an older file can look like an edit, and taking it over would take back
what others used. Call it right after the ledger is loaded, before a new month is opened: the file shows the month
that was open at the stop.
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ocpp_server.core.changes import Change
from ocpp_server.core.draft import Draft
from ocpp_server.core.energy import Wh
from ocpp_server.core.period import Month, split_by_hour
from ocpp_server.core.quota import account_of, open_month
from ocpp_server.core.records import BookingKind, NoteKind
from ocpp_server.core.site import Site
from ocpp_server.core.users import IdTag
from ocpp_server.storage.errors import ImportFileError
from ocpp_server.storage.imported_files import USAGE
from ocpp_server.storage.json_files import read_usage

log = logging.getLogger(__name__)

REASON = "adjusted by hand"
_STAMP = "%Y%m%dT%H%M%SZ"
_LATER_THAN_A_VIEW = timedelta(seconds=5)
"""A view is written at most a second after the ledger; what is this much newer came from a person."""


def adjustments_from_edit(
    folder: Path,
    site: Site,
    *,
    was_clean: bool,
    content_hashes: Mapping[str, str],
    ledger_written_at: datetime | None,
    now: datetime,
) -> tuple[Change, ...]:
    """The bookings that make the open month what the edited file says; none if nobody edited it.

    `was_clean`, `content_hashes` and `ledger_written_at` are what the ledger found when it was opened. A tag that
    was taken out of the file is set to zero. A file that cannot be used is moved to `*.set-aside-<time>`; an edit
    after a stop that was not orderly is copied to `*.conflict-<time>` and does not count.
    """
    path = folder / USAGE
    if not path.exists():
        return ()
    published = content_hashes.get(USAGE) if was_clean else None
    if published == hashlib.sha256(path.read_bytes()).hexdigest():
        return ()
    month = open_month(site, now)
    try:
        wanted = _by_account_spelling(site, month, read_usage(path) or {})
    except ImportFileError as error:
        _set_aside(path, str(error), now)
        return ()
    used = {tag: wh for (booked, tag), wh in site.usage.items() if booked == month}
    different = {tag for tag in {*wanted, *used} if wanted.get(tag, 0) != used.get(tag, 0)}
    if not different:
        return ()
    if published is None:
        _keep_conflict(path, ledger_written_at, now)
        return ()
    return _adjustments(site, month, {tag: (used.get(tag, Wh(0)), wanted.get(tag, Wh(0))) for tag in different}, now)


def _by_account_spelling(site: Site, month: Month, usage: Mapping[str, Wh]) -> dict[IdTag, Wh]:
    """A tag typed in another case is the tag that users1.csv has."""
    found: dict[IdTag, Wh] = {}
    for typed, wh in usage.items():
        tag = IdTag(typed) if (month, IdTag(typed)) in site.usage else account_of(site, typed)[0]
        if tag in found:
            raise ImportFileError(f"{USAGE}: {tag} is there twice in different spellings")
        found[tag] = wh
    return found


def _adjustments(site: Site, month: Month, figures: Mapping[IdTag, tuple[Wh, Wh]], now: datetime) -> tuple[Change, ...]:
    draft = Draft(site, now)
    for tag in sorted(figures):
        before, after = figures[tag]
        difference = Wh(after - before)
        (place,) = split_by_hour(now, now, difference, site.policy.zone)
        draft.adjust(tag, difference, replace(place, month=month), BookingKind.ADJUSTMENT, REASON)
        told = {"file": USAGE, "month": month, "before_wh": before, "after_wh": after}
        draft.note(NoteKind.ADJUSTED, REASON, id_tag=tag, figures=told)
    log.warning("[QUOTA] adjusted by hand file=%s month=%s tags=%d", USAGE, month, len(figures))
    return tuple(draft.changes)


def _set_aside(path: Path, reason: str, now: datetime) -> None:
    kept = path.with_name(f"{path.name}.set-aside-{now.strftime(_STAMP)}")
    path.replace(kept)
    log.error("[QUOTA] file set aside file=%s reason=%s", kept.name, reason)


def _keep_conflict(path: Path, ledger_written_at: datetime | None, now: datetime) -> None:
    changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    if ledger_written_at is None or changed - ledger_written_at <= _LATER_THAN_A_VIEW:
        return  # an older view: the ledger is ahead of it, and the publisher rewrites it
    kept = path.with_name(f"{path.name}.conflict-{now.strftime(_STAMP)}")
    kept.write_bytes(path.read_bytes())
    log.warning(
        "[QUOTA] edit not taken over file=%s reason=%s hint=%s",
        kept.name,
        "the last stop was not orderly",
        "book a correction instead: python -m ocpp_server adjust TAG KWH --reason TEXT",
    )
