"""What an administrator does with charge points: look, edit, approve, lock, forget, give a key. No HTTP.

The routes of the control API and, while no server runs, the command line ask for the same deeds here. Each answers with
a document and remarks for a person; what is not done is a Problem. A key never reaches a log, a note or a file.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from ocpp_server.authorization_key import canonical, check_strength, hash_key, make_key
from ocpp_server.central_system import CentralSystem, CommitError
from ocpp_server.clock import Clock
from ocpp_server.control_api.charge_point_edits import ChargePointChanges, ChargePointEditor, columns_of
from ocpp_server.control_api.problems import Problem
from ocpp_server.core import commands as cmd
from ocpp_server.core.admission import admission_of, required_profile
from ocpp_server.core.charge_point_id import check_id, similar_id
from ocpp_server.core.records import Admission
from ocpp_server.event_log import printable
from ocpp_server.storage.chargers_csv import FILE, ChargersFileError
from ocpp_server.storage.chargers_edit import with_approval, with_lock
from ocpp_server.storage.chargers_file import ChargersFile

Json: TypeAlias = dict[str, Any]
_TAKEN = ("Accepted", "RebootRequired")
_REFUSED = ("Rejected", "NotSupported", "offline")
_MALFORMED = "error: malformed answer"
_ORDER = (Admission.PENDING, Admission.APPROVED, Admission.LOCKED)


class ChargePoints:
    """The charge points of one site. `change_configuration` gives the status of the charge point's answer."""

    def __init__(
        self,
        central: CentralSystem,
        clock: Clock,
        chargers_path: Path,
        chargers_file: ChargersFile,
        *,
        is_connected: Callable[[str], bool],
        change_configuration: Callable[[str, str, str], Awaitable[str]],
    ) -> None:
        self._central = central
        self._site = central.site
        self._clock = clock
        self._chargers_path = chargers_path
        self._chargers_file = chargers_file
        self._editor = ChargePointEditor(central, clock, chargers_path, chargers_file)
        self._is_connected = is_connected
        self._change_configuration = change_configuration
        self._sending: set[asyncio.Task[str]] = set()

    async def all(self) -> Json:
        """Every charge point that is known here or decided about in chargers.csv; first those that wait."""
        decided = {name for name, row in self._site.chargers.items() if row.approved is not None}
        documents = [self._document(name) for name in self._site.charge_points.keys() | decided]
        documents.sort(key=lambda one: (_ORDER.index(one["admission"]), one["id"]))
        return {"charge_points": documents}

    async def one(self, charge_point_id: str) -> Json:
        """Raises Problem 404."""
        self._check_known(charge_point_id)
        return self._document(charge_point_id)

    async def version(self) -> str:
        """The ETag of chargers.csv."""
        return await self._editor.etag()

    async def edit(
        self, charge_point_id: str, by: str, changes: ChargePointChanges, if_match: str = ""
    ) -> tuple[Json, str]:
        """Change its row in chargers.csv; with the file's new ETag. Raises Problem: 404, 409, 412, 422 or 503."""
        self._check_known(charge_point_id)
        remarks, etag = await self._editor.edit(charge_point_id, by, changes, if_match)
        return self._answer(charge_point_id, remarks), etag

    async def approve(self, charge_point_id: str, by: str, min_profile: int | None = None) -> Json:
        """Let it in, also if it was never here; for people a row in chargers.csv says so."""
        _check(charge_point_id)
        remarks = self._stranger(charge_point_id)
        await self._do(cmd.ApproveChargePoint(self._now(), charge_point_id, by, min_profile))
        has_row = charge_point_id in self._site.chargers
        note = f"approved {self._now().astimezone(self._site.policy.zone):%Y-%m-%d}"
        told = f"its row in {FILE} says so now" if has_row else f"a row for it was added to {FILE}"
        remarks += await self._edit(lambda content: with_approval(content, charge_point_id, note=note), told)
        remarks += self._without_effect(charge_point_id, Admission.APPROVED)
        least, known = required_profile(self._site, charge_point_id), self._site.charge_points[charge_point_id]
        if least in (1, 2) and not known.key_hash:
            remarks.append(f"it must prove security profile {least}, and it has no key yet: set a password")
        return self._answer(charge_point_id, remarks)

    async def lock(self, charge_point_id: str, by: str) -> Json:
        """Shut it out, also if it was never here."""
        _check(charge_point_id)
        remarks = self._stranger(charge_point_id)
        await self._do(cmd.LockChargePoint(self._now(), charge_point_id, by))
        told = f"its row in {FILE} says so now"
        remarks += await self._edit(lambda content: with_lock(content, charge_point_id), told)
        remarks += self._without_effect(charge_point_id, Admission.LOCKED)
        for transaction in self._site.open_on(charge_point_id):
            remarks.append(
                f"session {transaction.transaction_id} runs on connector {transaction.connector_id}: "
                "its energy cannot be reported until the charge point is let in again"
            )
        return self._answer(charge_point_id, remarks)

    async def forget(self, charge_point_id: str, by: str) -> Json:
        """Let go of it, with its key. Raises Problem 404, and 409 while a session runs."""
        self._check_known(charge_point_id)
        remarks: list[str] = []
        if charge_point_id in self._site.charge_points:
            await self._do(cmd.ForgetChargePoint(self._now(), charge_point_id, by))
        row = self._site.chargers.get(charge_point_id)
        if row is not None and row.approved is not None:
            becomes = "let in" if row.approved else "refused"
            remarks.append(f"{FILE} still has a row that decides about it: it will be {becomes} when it comes again")
        return {"id": charge_point_id, "remarks": remarks}

    async def remove_password(self, charge_point_id: str, by: str) -> Json:
        """Take its key away. Raises Problem 404."""
        self._check_known(charge_point_id)
        await self._do(cmd.SetChargePointKey(self._now(), charge_point_id, "", by))
        return self._answer(charge_point_id, ["its key was taken away: from the site's networks it is let in without"])

    async def set_password(
        self, charge_point_id: str, by: str, password: str | None = None, *, is_sent: bool = False
    ) -> Json:
        """Give it a key; one that is made here stands in the answer, once. `is_sent`: also to the charge point.

        Raises Problem: 409 if it is not connected or refuses, 422 for a weak key, 504 if nobody knows whether it took
        it (A01.FR.03, A01.FR.04: the new key counts after Accepted, else the old one).
        """
        _check(charge_point_id)
        key = make_key() if password is None else password
        _check_key(key)
        shown = {"password": key} if password is None else {}
        remarks = self._stranger(charge_point_id)
        if is_sent:
            remarks += _remarks_on(await self._send(charge_point_id, by, key, shown))
        else:
            key_hash = await asyncio.to_thread(hash_key, key)
            await self._do(cmd.SetChargePointKey(self._now(), charge_point_id, key_hash, by))
            remarks.append("from now on it is let in with this key only: type it into the charge point")
        if admission_of(self._site, charge_point_id) is not Admission.APPROVED:
            remarks.append("it is not approved yet")
        return self._answer(charge_point_id, remarks) | shown

    async def _send(self, charge_point_id: str, by: str, key: str, shown: Json) -> str:
        """In a task of its own: whoever asked may have gone when the charge point answers, and then its key counts."""
        task = asyncio.create_task(self._send_and_keep(charge_point_id, by, key, shown))
        self._sending.add(task)
        task.add_done_callback(self._is_sent)
        return await asyncio.shield(task)

    def _is_sent(self, task: asyncio.Task[str]) -> None:
        self._sending.discard(task)
        if not task.cancelled():
            task.exception()  # taken note of: if nobody waits for it any more, that is no error

    async def _send_and_keep(self, charge_point_id: str, by: str, key: str, shown: Json) -> str:
        """`shown`: what is to be told of the key where it would be lost otherwise."""
        key_hash = await asyncio.to_thread(hash_key, key)
        if not self._is_connected(charge_point_id):
            raise Problem(409, f"{charge_point_id} is not connected: nothing was sent")
        status = await self._change_configuration(charge_point_id, "AuthorizationKey", canonical(key).hex())
        if status not in _TAKEN and not _is_refusal(status):
            detail = f"{charge_point_id} gave no clear answer: perhaps it took the key, and the old one counts here"
            raise Problem(504, f"{detail}; if it is refused from now on, set this password without sending it", **shown)
        if status not in _TAKEN:
            raise Problem(409, f"{charge_point_id} did not take the key ({printable(status)}): the old one counts")
        try:
            await self._do(cmd.SetChargePointKey(self._now(), charge_point_id, key_hash, by))
        except CommitError:
            detail = f"{charge_point_id} took the key, and the ledger cannot be written: set this password again"
            raise Problem(503, detail, **shown) from None
        return status

    async def _do(self, command: cmd.Command) -> None:
        reply = await self._central.handle(command)
        if isinstance(reply, cmd.Unknown):
            raise Problem(404, reply.text)
        if isinstance(reply, cmd.Refused):
            raise Problem(409, reply.text)

    async def _edit(self, edit: Callable[[bytes], bytes | None], told: str) -> list[str]:
        try:
            is_changed = await self._chargers_file.edit(self._chargers_path, edit)
        except (ChargersFileError, OSError) as error:
            return [f"{FILE} was not changed: {error}"]
        return [told] if is_changed else []

    def _without_effect(self, charge_point_id: str, wanted: Admission) -> list[str]:
        if admission_of(self._site, charge_point_id) is wanted:
            return []
        return [f"this has no effect yet: a row of {FILE} says something else"]

    def _stranger(self, charge_point_id: str) -> list[str]:
        """Said of an id that was never here: it may be mistyped."""
        known = self._site.charge_points
        if charge_point_id in known or charge_point_id in self._site.chargers:
            return []
        similar = similar_id(charge_point_id, known)
        state = admission_of(self._site, similar) if similar else None
        hint = f"; did you mean {similar} ({state})? Then forget this one" if similar else ""
        return [f"{charge_point_id} was not known here until now{hint}"]

    def _check_known(self, charge_point_id: str) -> None:
        _check(charge_point_id)
        if admission_of(self._site, charge_point_id) is not None:
            return
        similar = similar_id(charge_point_id, self._site.charge_points)
        hint = f": did you mean {similar}?" if similar else ""
        raise Problem(404, f"there is no charge point {charge_point_id}{hint}")

    def _answer(self, charge_point_id: str, remarks: list[str]) -> Json:
        return {"charge_point": self._document(charge_point_id), "remarks": remarks}

    def _document(self, charge_point_id: str) -> Json:
        """One charge point for people and programs; times in ISO 8601 UTC. Never a hash."""
        site, known = self._site, self._site.charge_points.get(charge_point_id)
        return {
            "id": charge_point_id,
            **columns_of(site.chargers.get(charge_point_id)),
            "admission": admission_of(site, charge_point_id) or Admission.APPROVED,
            "connected": self._is_connected(charge_point_id),
            "security_profile": known.security_profile if known is not None else 0,
            "min_security_profile": required_profile(site, charge_point_id),
            "has_key": bool(known is not None and known.key_hash),
            "address": known.address if known is not None else "",
            "vendor": known.vendor if known is not None else "",
            "model": known.model if known is not None else "",
            "first_seen": _stamp(known.first_seen if known is not None else None),
            "last_seen": _stamp(site.last_seen.get(charge_point_id)),
            "sessions": len(site.open_on(charge_point_id)),
        }

    def _now(self) -> datetime:
        return self._clock.now()


def _check(charge_point_id: str) -> None:
    try:
        check_id(charge_point_id)
    except ValueError as error:
        raise Problem(422, str(error)) from None


def _check_key(key: str) -> None:
    try:
        check_strength(key)
    except ValueError as error:
        raise Problem(422, str(error)) from None


def _is_refusal(status: str) -> bool:
    """It said that it did not take the key, or was never asked; anything unclear is none."""
    return status in _REFUSED or (status.startswith("error: ") and status != _MALFORMED)


def _remarks_on(status: str) -> list[str]:
    if status == "RebootRequired":
        return ["it has the key and uses it after its next restart: restart it, until then it is refused"]
    return ["it has the key, and connects again with it"]


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")
