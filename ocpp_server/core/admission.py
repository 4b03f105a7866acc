"""Who is let in: the verdict on a handshake, and what a person decides about a charge point.

What a peer has proved (a key, a certificate) is found out by `ocpp16.doorkeeper`; what that means is decided here.
Threats T1, T2, T5 and T7 of `docs/security.md`.
"""

from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto
from ipaddress import ip_network
from typing import Final, TypeAlias

from ocpp_server.core import changes as ch
from ocpp_server.core import commands as cmd
from ocpp_server.core.draft import Decision, Draft
from ocpp_server.core.frozen import dataclass, replace
from ocpp_server.core.period import SHORTEST_GAP, Gap
from ocpp_server.core.records import Admission, ChargePoint, NoteKind
from ocpp_server.core.security_events import MOVED, alert_id_of, raise_alert, resolve_alerts, resolve_passing
from ocpp_server.core.site import Site, UnknownChargePoints

MOST_PENDING: Final = 20
PENDING_FOR: Final = timedelta(hours=24)
"""A charge point that waits for approval and was not heard of for so long is forgotten."""

_CERTIFICATE_PROFILE: Final = 3
_MOST_GAPS = 20


class Place(StrEnum):
    """Where a peer is."""

    LOOPBACK = "this machine"
    SITE = "the site's networks"
    OUTSIDE = "outside the site's networks"
    INTERNET = "the internet"


class Proof(Enum):
    """What a peer has proved of who it is."""

    NONE = auto()
    WRONG = auto()
    """It gave a key or a certificate, and not the right one."""
    KEY = auto()
    CERTIFICATE = auto()


@dataclass(frozen=True, slots=True)
class Handshake:
    """A peer that wants to speak for a charge point."""

    charge_point_id: str
    at: datetime
    address: str
    place: Place
    is_encrypted: bool
    proof: Proof

    @property
    def security_profile(self) -> int:
        """The OCPP security profile that it has proved; 0: none."""
        if self.proof is Proof.CERTIFICATE:
            return _CERTIFICATE_PROFILE
        if self.proof is Proof.KEY:
            return 2 if self.is_encrypted else 1
        return 0


@dataclass(frozen=True, slots=True)
class LetIn:
    """It may speak for the charge point; `admission` is what an unknown one begins as."""

    admission: Admission
    security_profile: int


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """HTTP status, and for the log why and what would mend it. Nothing of `reason` is told to the peer."""

    status: int
    reason: str


Verdict: TypeAlias = LetIn | TurnedAway


def admission_of(site: Site, charge_point_id: str) -> Admission | None:
    """What a charge point is here; None: unknown. What chargers.csv says goes before what was decided here."""
    row = site.chargers.get(charge_point_id)
    if row is not None and row.approved is not None:
        return Admission.APPROVED if row.approved else Admission.LOCKED
    known = site.charge_points.get(charge_point_id)
    return None if known is None else known.admission


def required_profile(site: Site, charge_point_id: str) -> int:
    """The least OCPP security profile that is let in: a key that was given must be shown (A00.FR.005, T7)."""
    least = site.policy.admission.min_security_profile
    known = site.charge_points.get(charge_point_id)
    if known is None:
        return least
    return max(least, known.min_security_profile, 1 if known.key_hash else 0)


def judge(site: Site, handshake: Handshake) -> Verdict:
    """Whether a peer may speak for a charge point. What is told from outside does not depend on the id (T5)."""
    policy = site.policy.admission
    profile = handshake.security_profile
    is_outside = handshake.place in (Place.OUTSIDE, Place.INTERNET)
    if handshake.place is Place.INTERNET and not handshake.is_encrypted and not policy.is_internet_without_tls_allowed:
        return TurnedAway(404, f"comes from the internet without TLS; {_network_line(handshake)}")
    if handshake.proof is Proof.WRONG:
        return TurnedAway(401, "wrong key, user name or certificate")
    if is_outside and profile == 0:
        return TurnedAway(404, f"is outside the site's networks and gives no key; {_network_line(handshake)}")
    admission = admission_of(site, handshake.charge_point_id)
    if admission is Admission.LOCKED:
        return TurnedAway(404, "is locked; approve it to let it in again")
    least = required_profile(site, handshake.charge_point_id)
    if profile < least:
        return TurnedAway(401, f"proved security profile {profile}, but {least} is the least that is let in")
    if admission is not Admission.APPROVED:
        admission = _without_approval(site, handshake, admission)
    if admission is None:
        return TurnedAway(404, "is not approved, and EVQUOTA_CHARGER_ADMISSION=locked; approve it to let it in")
    full = _full(site, handshake.charge_point_id, admission, handshake.at)
    return TurnedAway(404, full) if full else LetIn(admission, profile)


def _without_approval(site: Site, handshake: Handshake, before: Admission | None) -> Admission | None:
    """What one that nobody approved is let in as, by the setting; None: it is not. Who waits already goes on waiting,
    also on this machine.
    """
    match site.policy.admission.unknown:
        case UnknownChargePoints.LOCKED:
            return None
        case UnknownChargePoints.OPEN:
            return Admission.APPROVED
        case _:
            is_here = handshake.place is Place.LOOPBACK and before is None
            return Admission.APPROVED if is_here else Admission.PENDING


def _full(site: Site, charge_point_id: str, admission: Admission, at: datetime) -> str:
    """Why there is no room for a charge point that begins, or waits on, as this; blank: there is."""
    known = site.charge_points.get(charge_point_id)
    if admission is Admission.PENDING:
        waiting = {one.charge_point_id for one in site.charge_points.values() if _is_waiting(site, one, at)}
        has_room = charge_point_id in waiting or len(waiting) < MOST_PENDING or (known is not None and known.key_hash)
        return "" if has_room else f"is unknown, and {len(waiting)} charge points wait for approval already"
    if admission_of(site, charge_point_id) not in (Admission.PENDING, None):
        return ""
    here = sum(not is_stranger(site, one) for one in site.charge_points)
    has_room = here < site.policy.admission.max_charge_points
    return "" if has_room else f"is unknown, and {here} are known: EVQUOTA_MAX_CHARGE_POINTS allows no more"


def _network_line(handshake: Handshake) -> str:
    """What to add to the settings; one more, as the setting replaces the default."""
    network = home_network(handshake.address)
    return f"if it belongs to the site, add {network} to EVQUOTA_CHARGER_NETWORKS in .env, or use a key over TLS"


def home_network(address: str) -> str:
    """The /24 or /64 around an IP address; blank where there is none."""
    if not address:
        return ""
    return str(ip_network(f"{address.partition('%')[0]}/{64 if ':' in address else 24}", strict=False))


def is_stranger(site: Site, charge_point_id: str) -> bool:
    """It came by itself, and no person has done anything about it: neither approved it nor given it a key."""
    known = site.charge_points.get(charge_point_id)
    return known is not None and admission_of(site, charge_point_id) is Admission.PENDING and not known.key_hash


def _is_waiting(site: Site, known: ChargePoint, at: datetime) -> bool:
    last = site.last_seen.get(known.charge_point_id, known.first_seen)
    is_here = known.connected_since is not None or at - last < PENDING_FOR
    return is_here and is_stranger(site, known.charge_point_id)


def connect(site: Site, command: cmd.Connect) -> Decision:
    """A socket opened: remember the gap before it, the time in which the charge point may have queued messages.

    Refused where others took the last room since the handshake was judged.
    """
    before = admission_of(site, command.charge_point_id)
    admission = command.admission if before in (Admission.PENDING, None) else before
    full = _full(site, command.charge_point_id, admission, command.at)
    if full:
        return Decision(cmd.Refused(f"{command.charge_point_id} {full}"))
    draft = Draft(site, command.at)
    known = site.charge_points.get(command.charge_point_id)
    if known is None:
        gaps = (Gap(None, command.at),)
        known = ChargePoint(command.charge_point_id, first_seen=command.at, admission=command.admission, gaps=gaps)
    else:
        last = site.last_seen.get(command.charge_point_id, known.first_seen)
        if command.at - last >= SHORTEST_GAP:  # also after a kill, when nobody saw the socket close
            known = replace(known, gaps=(*known.gaps, Gap(last, command.at))[-_MOST_GAPS:])
    _watch_address(draft, known, command)
    is_let_in_now = known.admission is Admission.PENDING and command.admission is Admission.APPROVED
    connected = replace(
        known,
        admission=Admission.APPROVED if is_let_in_now else known.admission,
        connected_since=command.at,
        address=command.address,
        home_address=known.home_address or (command.address if command.security_profile == 0 else ""),
        security_profile=command.security_profile,
        min_security_profile=max(known.min_security_profile, command.security_profile),
    )
    draft.put(ch.PutChargePoint(connected))
    draft.put(ch.PutSeen(command.charge_point_id, command.at, None))
    return draft.decide(cmd.Done())


def _watch_address(draft: Draft, known: ChargePoint, command: cmd.Connect) -> None:
    """Without a proof, the network it always came from is all there is to recognise it by (T2)."""
    alert_id = alert_id_of(command.charge_point_id, MOVED)
    if command.security_profile:
        draft.resolve(alert_id)
        return
    if not command.address or not known.home_address or is_stranger(draft.site, command.charge_point_id):
        return
    if home_network(command.address) == home_network(known.home_address):
        draft.resolve(alert_id)
        return
    if alert_id in draft.site.alerts:
        return
    text = f"{command.charge_point_id} has no key and connects from {command.address}, not from {known.home_address}"
    raise_alert(draft, command.charge_point_id, MOVED, text)


def approve(site: Site, command: cmd.ApproveChargePoint) -> Decision:
    """Let a charge point in. It is looked at anew: its alerts are over, its home is where it comes from next."""
    draft = Draft(site, command.at)
    known = draft.charge_point(command.charge_point_id)
    least = known.min_security_profile if command.min_security_profile is None else command.min_security_profile
    approved = replace(known, admission=Admission.APPROVED, min_security_profile=least, home_address="")
    draft.put(ch.PutChargePoint(approved))
    resolve_alerts(draft, command.charge_point_id)
    _note_deed(draft, command.charge_point_id, "approved", command.by)
    return draft.decide(cmd.Done())


def lock(site: Site, command: cmd.LockChargePoint) -> Decision:
    """Shut a charge point out; one that was never here, too."""
    draft = Draft(site, command.at)
    known = draft.charge_point(command.charge_point_id)
    draft.put(ch.PutChargePoint(replace(known, admission=Admission.LOCKED)))
    _note_deed(draft, command.charge_point_id, "locked", command.by)
    return draft.decide(cmd.Done())


def set_key(site: Site, command: cmd.SetChargePointKey) -> Decision:
    """Give a charge point a key, or take it away; with it goes what the key had proved, not what a certificate did."""
    draft = Draft(site, command.at)
    known = draft.charge_point(command.charge_point_id)
    is_kept = bool(command.key_hash) or known.min_security_profile == _CERTIFICATE_PROFILE
    least = known.min_security_profile if is_kept else 0
    draft.put(ch.PutChargePoint(replace(known, key_hash=command.key_hash, min_security_profile=least)))
    _note_deed(draft, command.charge_point_id, "key set" if command.key_hash else "key removed", command.by)
    return draft.decide(cmd.Done())


def forget(site: Site, command: cmd.ForgetChargePoint) -> Decision:
    """Let go of a charge point, unless a session runs on it."""
    draft = Draft(site, command.at)
    if command.charge_point_id not in site.charge_points:
        return draft.decide(cmd.Unknown(f"there is no charge point {command.charge_point_id}"))
    if site.open_on(command.charge_point_id):
        return draft.decide(cmd.Refused(f"a session runs on {command.charge_point_id}: stop it first"))
    draft.put(ch.RemoveChargePoint(command.charge_point_id))
    resolve_alerts(draft, command.charge_point_id)
    _note_deed(draft, command.charge_point_id, "forgotten", command.by)
    return draft.decide(cmd.Done())


def forget_expired(site: Site, command: cmd.ForgetExpired) -> Decision:
    """Let go of what waited too long, and of alerts whose day is over."""
    draft = Draft(site, command.at)
    for known in site.charge_points.values():
        is_over = is_stranger(site, known.charge_point_id) and not _is_waiting(site, known, command.at)
        if is_over and not site.open_on(known.charge_point_id):
            draft.put(ch.RemoveChargePoint(known.charge_point_id))
    resolve_passing(draft)
    return draft.decide(cmd.Done())


def _note_deed(draft: Draft, charge_point_id: str, deed: str, by: str) -> None:
    draft.note(NoteKind.SECURITY, f"charge point {deed}", charge_point_id=charge_point_id, figures={"by": by})
