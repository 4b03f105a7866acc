"""May this tag charge here and now (rules 13 to 17)."""

from collections.abc import Collection
from datetime import datetime, timedelta

from ocpp_server.core.admission import admission_of, is_stranger
from ocpp_server.core.commands import Authorize, Authorized, IdTagInfo
from ocpp_server.core.draft import Decision, Draft
from ocpp_server.core.frozen import dataclass
from ocpp_server.core.quota import allowance, find_user, is_expired, sessions_of
from ocpp_server.core.records import Admission, AuthorizationStatus, ChargePoint, NoteKind
from ocpp_server.core.site import Site
from ocpp_server.core.users import Access, User

_CACHE_LIFE = timedelta(minutes=15)
_LONGEST_ID_TAG = 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """An authorization status with its reason and the figures it was decided by."""

    status: AuthorizationStatus
    reason: str
    user: User | None = None
    figures: tuple[tuple[str, object], ...] = ()


def authorize(site: Site, command: Authorize) -> Decision:
    """Answer Authorize (OCPP 1.6 §4.1). Never ConcurrentTx: that is for StartTransaction (§7.2)."""
    draft = Draft(site, command.at)
    charge_point = draft.charge_point(command.charge_point_id)
    verdict = judge(site, charge_point, command.id_tag, command.at)
    if verdict.status is not AuthorizationStatus.ACCEPTED:
        note_refusal(draft, command.charge_point_id, command.id_tag, verdict)
    return draft.decide(Authorized(id_tag_info(charge_point, verdict.user, verdict.status, command.at)))


def judge(
    site: Site,
    charge_point: ChargePoint,
    id_tag: str,
    at: datetime,
    *,
    is_start: bool = False,
    ending: Collection[int] = (),
) -> Verdict:
    """The verdict on a tag at a charge point. `is_start`: also count the account's open sessions.

    `ending` are the transactions that this start closes: they neither reserve energy nor count as open.
    """
    if admission_of(site, charge_point.charge_point_id) not in (Admission.APPROVED, None):
        return Verdict(AuthorizationStatus.INVALID, "charge point is not approved yet")
    if charge_point.booted_at is None:
        return Verdict(AuthorizationStatus.INVALID, "charge point has never booted here")
    access = access_of(site, charge_point.charge_point_id)
    user = find_user(site, id_tag)
    if access is Access.FREE:
        return Verdict(AuthorizationStatus.ACCEPTED, "charge point is free", user)
    if access is Access.CLOSED:
        return Verdict(AuthorizationStatus.BLOCKED, "charge point is closed", user)
    if user is None:
        return Verdict(AuthorizationStatus.INVALID, "unknown tag")
    verdict = _judge_user(site, user, at, ending)
    if is_start and verdict.status is AuthorizationStatus.ACCEPTED:
        return _judge_sessions(site, user, ending) or verdict
    return verdict


def _judge_user(site: Site, user: User, at: datetime, ending: Collection[int]) -> Verdict:
    if user.blocked:
        return Verdict(AuthorizationStatus.BLOCKED, "user is blocked", user)
    if is_expired(user, at.astimezone(site.policy.zone).date()):
        figures = (("expiry_date", user.expiry_date),)
        return Verdict(AuthorizationStatus.EXPIRED, "card has expired", user, figures)
    left = allowance(site, user, at, ending)
    figures_wh = (("quota_wh", left.quota), ("used_wh", left.used), ("unreported_wh", left.unreported))
    if left.is_used_up:
        return Verdict(AuthorizationStatus.BLOCKED, "quota is used up", user, figures_wh)
    return Verdict(AuthorizationStatus.ACCEPTED, "allowed", user, figures_wh)


def _judge_sessions(site: Site, user: User, ending: Collection[int]) -> Verdict | None:
    """ConcurrentTx, or None. A ghost must not lock its driver out: refused, stale and ending sessions do not count."""
    most = site.policy.max_sessions_per_account
    charging = [
        session
        for session in sessions_of(site, user.account)
        if session.status is AuthorizationStatus.ACCEPTED
        and not session.is_stale
        and session.transaction_id not in ending
    ]
    if not most or len(charging) < most:
        return None
    figures = (("sessions", len(charging)), ("most", most))
    return Verdict(AuthorizationStatus.CONCURRENT_TX, "account is charging already", user, figures)


def access_of(site: Site, charge_point_id: str) -> Access:
    """Who may charge at this charge point (rule 17)."""
    row = site.chargers.get(charge_point_id)
    return row.access if row is not None else Access.QUOTA


def note_refusal(draft: Draft, charge_point_id: str, id_tag: str, verdict: Verdict) -> None:
    """Keep a refusal with its reason and figures, so that it can be explained (rule 14)."""
    figures = {"status": verdict.status.value, **dict(verdict.figures)}
    draft.note(
        NoteKind.REFUSAL, verdict.reason, charge_point_id=charge_point_id, id_tag=id_tag.strip(), figures=figures
    )
    if not is_stranger(draft.site, charge_point_id):  # it could push out the cards that people look for there
        draft.refuse(id_tag.strip(), charge_point_id, verdict.reason)


def id_tag_info(charge_point: ChargePoint, user: User | None, status: AuthorizationStatus, at: datetime) -> IdTagInfo:
    """IdTagInfo (OCPP 1.6 §7.27): a short life in the charge point's cache for who has a quota (rule 15)."""
    if user is None:
        return IdTagInfo(status)
    is_short = user.quota is not None and status is AuthorizationStatus.ACCEPTED and charge_point.has_right_clock
    return IdTagInfo(status, at + _CACHE_LIFE if is_short else None, _parent_id_tag(user))


def _parent_id_tag(user: User) -> str | None:
    account = str(user.account)
    if account == str(user.id_tag) or not account or len(account) > _LONGEST_ID_TAG:
        return None
    return account if account.isascii() and account.isprintable() else None
