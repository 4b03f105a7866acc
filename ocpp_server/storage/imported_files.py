"""The published files of an earlier server as the beginning of a new ledger: what is read, and what it becomes.

`energy_usage.json` holds all that was used in its month, the open sessions included, so their energy must not be
booked on top. It is split: the part of a tag's kWh that its open sessions delivered is booked under their transaction
ids, the rest under none. So the month's total is the file's to the Wh, and each transaction's `booked` is the sum of
its own bookings, as for every other one. What a session delivered beyond the file (it began before the month was
reset) is booked at its start and on no quota. If even that could not have been delivered, the register is not trusted
(older servers mixed Wh and kWh): the session goes on with the file's part, and its next reading is the base.

Energy that a charge point delivered before belongs to no known person or hour: one booking at the beginning of 2020,
without a tag and on no quota. The files stay as they are; the publisher rewrites them.
"""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ocpp_server.core import changes as ch
from ocpp_server.core.draft import Draft
from ocpp_server.core.energy import Wh, parse_number
from ocpp_server.core.period import month_of, split_by_hour
from ocpp_server.core.records import Booking, BookingKind, NoteKind, Reading, Transaction
from ocpp_server.core.register import SLACK, TOLERANCE
from ocpp_server.core.site import MOST_READINGS, Site
from ocpp_server.core.users import IdTag
from ocpp_server.storage import imported_rows as rows
from ocpp_server.storage.json_files import JsonObject, read_objects, read_rows, read_usage

USAGE = "energy_usage.json"
SESSIONS = "active_transactions.json"
CHARGERS = "charger_status.json"
READINGS = "meter_data_log.json"

_LARGEST_TRANSACTION_ID = 2**31 - 1_000_000
"""Ids go on from the largest one known and stay below 2³¹: a larger one would leave no room."""
_BEFORE_ALL = datetime(2020, 1, 1, tzinfo=UTC)


def import_files(folder: Path, site: Site, now: datetime) -> tuple[ch.Change, ...]:
    """The changes that make an empty site what the files of a data folder tell; none if there are no files.

    Commit them as the first group of a new ledger. `energy_usage.json` belongs to the month of its modification time
    in the site's zone, and that month is opened. Raises ImportFileError with file, line and column for a file that
    cannot be read; an entry that cannot be used is noted and left out.
    """
    work = _Import(folder, site, now)
    work.take_charge_points()
    work.take_sessions()
    work.take_usage()
    work.take_delivered()
    work.take_readings()
    return tuple(work.draft.changes)


class _Import:
    """One import: what is left of each total after the sessions took their part."""

    def __init__(self, folder: Path, site: Site, now: datetime) -> None:
        self.draft = Draft(site, now)
        self._zone = site.policy.zone
        self._most_w = site.policy.max_power_w
        self._now = now
        self._booking_id = site.next_booking_id
        self._first_reading = site.next_reading_number
        self._usage = read_usage(folder / USAGE)
        self._used_until = self._written(folder / USAGE)
        self._chargers = read_objects(folder / CHARGERS)
        self._sessions = read_objects(folder / SESSIONS)
        self._sessions_until = self._written(folder / SESSIONS)
        self._rows = read_rows(folder / READINGS)
        self._delivered: dict[str, int] = {}
        self._names: dict[str, str] = {}

    def take_charge_points(self) -> None:
        """Each one counts as booted: a charge point that reconnects need not boot again (OCPP-J 1.6 §5.4)."""
        named = {charge_point_id: row for charge_point_id, row in self._chargers.items() if charge_point_id.strip()}
        for row in self._sessions.values():
            named.setdefault(rows.text(row, "charger_id"), {})
        named.pop("", None)
        for key, row in named.items():
            charge_point_id = key.strip()
            self._names[rows.text(row, "name") or charge_point_id] = charge_point_id
            self.draft.put(ch.PutChargePoint(rows.charge_point(charge_point_id, row, self._now)))
            heartbeat = self._time(row, "last_heartbeat")
            seen = self._time(row, "last_seen") or heartbeat
            if seen is not None:
                self.draft.put(ch.PutSeen(charge_point_id, seen, heartbeat))

    def take_sessions(self) -> None:
        """Open transactions go on under their ids."""
        for key, row in self._sessions.items():
            id_tag, charge_point_id = rows.text(row, "id_tag"), rows.text(row, "charger_id")
            number = int(key) if key.isascii() and key.isdecimal() and len(key) <= 10 else 0
            if 0 < number <= _LARGEST_TRANSACTION_ID and id_tag and charge_point_id:
                clues = self._chargers.get(charge_point_id, {}) | row
                until = self._time(row, "last_update") or self._sessions_until
                self._take_session(rows.transaction(number, clues, until, self._time(row, "start_time")))
            else:
                figures = {"file": SESSIONS, "transaction": key[:40]}
                text = "not imported: no usable transaction id, tag or charge point"
                self.draft.note(NoteKind.ODDITY, text, id_tag=id_tag, figures=figures)

    def take_usage(self) -> None:
        """What a tag used in sessions that have ended, and the month itself."""
        if self._usage is None:
            return
        self.draft.put(ch.PutOpenMonth(month_of(self._used_until, self._zone)))
        for id_tag, wh in self._usage.items():
            if wh:
                self._book(self._used_until, id_tag, wh, f"imported from {USAGE}")

    def take_delivered(self) -> None:
        """What a charge point delivered apart from its open sessions."""
        for charge_point_id, row in self._chargers.items():
            total = rows.wh(row, "total_energy_delivered")
            rest = (total or 0) - self._delivered.get(charge_point_id.strip(), 0)
            if rest > 0:
                reason = f"imported from {CHARGERS}: delivered before"
                self._book(_BEFORE_ALL, "", Wh(rest), reason, charge_point_id=charge_point_id.strip())

    def take_readings(self) -> None:
        """The newest readings, oldest first. Their key keeps the ID under which they were forwarded."""
        readings: dict[str, Reading] = {}
        for row in self._rows[-MOST_READINGS:]:
            at, register = self._time(row, "timestamp"), rows.wh(row, "deliveredEnergy")
            name = rows.text(row, "chargerName")
            if at is None or register is None or not name:
                continue
            power = parse_number(row.get("totalPower"))
            known_id = rows.text(row, "ID") or f"{name}|{rows.text(row, 'timestamp')}|{register}"
            reading = Reading(
                number=self._first_reading + len(readings),
                key=f"imported:{known_id}",
                at=at,
                charge_point_id=self._names.get(name, name),
                connector_id=0,
                transaction_id=None,
                id_tag="",
                full_name=rows.text(row, "userName"),
                power_w=0 if power is None else round(power),
                register=register,
                frequency_hz=parse_number(row.get("frequency")),
            )
            readings.setdefault(reading.key, reading)
        for reading in readings.values():
            self.draft.put(ch.AddReading(reading))

    def _take_session(self, transaction: Transaction) -> None:
        energy, tag = transaction.register.energy, transaction.id_tag
        left = energy if self._usage is None else self._usage.get(tag, Wh(0))
        until = self._used_until if self._usage is not None else transaction.register.last_moment.at
        part = Wh(min(energy, left))
        if self._usage is not None and part:
            self._usage[tag] = Wh(left - part)
        beyond = Wh(energy - part)
        if beyond and not self._could_deliver(transaction, energy):
            figures = {"file": SESSIONS, "energy_wh": energy, "used_wh": left}
            self.draft.note(NoteKind.SET_ASIDE, "imported energy could not be delivered", transaction, figures=figures)
            moment = transaction.register.last_moment
            transaction = replace(transaction, register=replace(rows.register(None, None, moment), carried=part))
            beyond = Wh(0)
        if part:
            transaction = self._book_session(transaction, until, part, is_on_quota=True)
        if beyond:
            transaction = self._book_session(transaction, transaction.started_at, beyond, is_on_quota=False)
        self.draft.put(ch.PutTransaction(transaction))

    def _could_deliver(self, transaction: Transaction, energy: Wh) -> bool:
        hours = (transaction.register.last_moment.at - transaction.started_at).total_seconds() / 3600
        return energy <= self._most_w * TOLERANCE * hours + SLACK

    def _book_session(self, transaction: Transaction, at: datetime, wh: Wh, *, is_on_quota: bool) -> Transaction:
        reason = f"imported from {USAGE if is_on_quota else SESSIONS}: open session"
        booking = self._book(
            at,
            transaction.id_tag,
            wh,
            reason,
            charge_point_id=transaction.charge_point_id,
            transaction_id=transaction.transaction_id,
            is_on_quota=is_on_quota,
        )
        charge_point_id = transaction.charge_point_id
        self._delivered[charge_point_id] = self._delivered.get(charge_point_id, 0) + wh
        booked = dict(transaction.booked)
        booked[booking.month] = Wh(booked.get(booking.month, 0) + wh)
        return replace(transaction, booked=tuple(sorted(booked.items())))

    def _book(
        self,
        at: datetime,
        id_tag: str,
        wh: Wh,
        reason: str,
        *,
        charge_point_id: str = "",
        transaction_id: int | None = None,
        is_on_quota: bool | None = None,
    ) -> Booking:
        """Book under one hour. Without a word on it, what has a tag is on its quota."""
        (place,) = split_by_hour(at, at, wh, self._zone)
        booking = Booking(
            self._booking_id,
            BookingKind.IMPORT,
            place.hour,
            place.month,
            place.day,
            IdTag(id_tag),
            wh,
            self._now,
            charge_point_id,
            transaction_id,
            bool(id_tag) if is_on_quota is None else is_on_quota,
            reason,
        )
        self.draft.put(ch.AddBooking(booking))
        self._booking_id += 1
        return booking

    def _written(self, path: Path) -> datetime:
        """When a file was last written, never later than now; now if there is none."""
        if not path.exists():
            return self._now
        return min(datetime.fromtimestamp(path.stat().st_mtime, UTC), self._now)

    def _time(self, row: JsonObject, key: str) -> datetime | None:
        return rows.time(row, key, self._now, self._zone)
