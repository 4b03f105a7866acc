"""Who a tag is, what its account may still use, and when it will be used up (rules 12, 13, 25)."""

from collections.abc import Collection
from datetime import date, datetime, timedelta

from ocpp_server.core.energy import Wh
from ocpp_server.core.frozen import dataclass
from ocpp_server.core.period import Month, month_of, month_start, next_month
from ocpp_server.core.records import Transaction
from ocpp_server.core.site import Site
from ocpp_server.core.users import Account, IdTag, User

_LEAST_WORTH_STARTING = Wh(100)
_LEAST_TO_FORECAST_FROM = timedelta(days=7)
_FORECAST = "quota will be used up before the month ends"
_MUCH = "80 % of the quota is used"
_NEARLY_ALL = "95 % of the quota is used"
WARNINGS = (_FORECAST, _MUCH, _NEARLY_ALL)
"""From mild to grave; also the kinds of their alerts."""
COARSE_STEP = Wh(100)
"""From this resolution on the books lag behind the energy by up to a step."""
DEFAULT_STOP_DELAY_S = 2.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an account may still use in the open month, in Wh. `quota` None: unlimited."""

    quota: Wh | None
    used: Wh
    unreported: Wh

    @property
    def remaining(self) -> Wh | None:
        """Quota - booked - delivered but not yet reported; None without a limit."""
        return None if self.quota is None else Wh(self.quota - self.used - self.unreported)

    @property
    def is_used_up(self) -> bool:
        """Too little is left to start a session: less than the smaller of 0.1 kWh and 1 % (rule 12)."""
        remaining = self.remaining
        if self.quota is None or remaining is None:
            return False
        return remaining <= 0 or remaining < min(_LEAST_WORTH_STARTING, self.quota // 100)


def find_user(site: Site, id_tag: str) -> User | None:
    """The row of a tag: the exact spelling, else the only one that differs by case, else the same without a suffix.

    KEBA appends a serial number after "_" (rule 13).
    """
    spelling = id_tag.strip()
    user = _find_spelling(site, spelling)
    separator = site.policy.tag_suffix_separator
    while user is None and separator and separator in spelling:
        spelling = spelling.rpartition(separator)[0]
        user = _find_spelling(site, spelling)
    return user


def account_of(site: Site, id_tag: str) -> tuple[IdTag, Account]:
    """The spelling a tag is booked under, and the account that shares its quota."""
    user = find_user(site, id_tag)
    if user is not None:
        return user.id_tag, user.account
    stripped = IdTag(id_tag.strip())
    return stripped, Account(stripped)


def tags_of(site: Site, account: Account) -> list[IdTag]:
    """All tags of an account."""
    return site.tags_by_account.get(account) or [IdTag(account)]


def open_month(site: Site, now: datetime) -> Month:
    """The month that quotas count in: the one that was opened, whatever the clock says (rule 11)."""
    return site.open_month or month_of(now, site.policy.zone)


def allowance(site: Site, user: User, now: datetime, ending: Collection[int] = ()) -> Allowance:
    """What the user's account may still use. `ending`: transactions that are just being closed."""
    used = site.used(open_month(site, now), tags_of(site, user.account))
    sessions = (s for s in sessions_of(site, user.account) if s.transaction_id not in ending)
    unreported = sum(unreported_wh(site, session, now) for session in sessions)
    return Allowance(user.quota, used, Wh(round(unreported)))


def sessions_of(site: Site, account: Account) -> list[Transaction]:
    """Open sessions that count on an account's quota."""
    return [
        session
        for tag in tags_of(site, account)
        for session in site.open_by_tag.get(tag, {}).values()
        if session.is_on_quota
    ]


def warning_id(account: Account) -> str:
    """The alert that says an account nears its quota."""
    return f"quota-{account}"


def warning_of(site: Site, user: User, used: Wh, now: datetime) -> str | None:
    """The gravest warning that is due for this use of a quota (rule 28)."""
    assert user.quota is not None
    if used * 100 >= user.quota * 95:
        return _NEARLY_ALL
    if used * 100 >= user.quota * 80:
        return _MUCH
    if used * 2 < user.quota:
        return None
    month = open_month(site, now)
    begin, end = (month_start(m, site.policy.zone) for m in (month, next_month(month)))
    expected = used * ((end - begin) / max(now - begin, _LEAST_TO_FORECAST_FROM))
    return _FORECAST if expected >= user.quota else None


def is_expired(user: User, today: date) -> bool:
    """The last day the card works is over; `today` in the site's zone."""
    return user.expiry_date is not None and today > user.expiry_date


def interval_of(site: Site, transaction: Transaction) -> float:
    """Seconds between this session's readings, as seen, else as configured."""
    return transaction.sample_interval_s or site.policy.sample_interval_s


def unreported_wh(site: Site, transaction: Transaction, now: datetime) -> float:
    """Energy since the last reading by the present power, for at most two sample intervals (rule 12)."""
    if not transaction.flow_w:
        return 0.0
    seconds = (now - _flows_since(transaction)).total_seconds()
    most = _already_flowed_s(transaction) + 2 * interval_of(site, transaction)
    return transaction.flow_w * max(0.0, min(seconds, most)) / 3600


def crossing(site: Site, user: User, now: datetime) -> datetime | None:
    """When the account's energy reaches its quota if all its sessions go on as now; now if it has, None if never."""
    if user.quota is None:
        return None
    sessions = sessions_of(site, user.account)
    left = float(user.quota - site.used(open_month(site, now), tags_of(site, user.account)))
    if left <= 0:
        return now
    left -= sum(unreported_wh(site, session, now) for session in sessions)
    flow = sum(session.flow_w or 0 for session in sessions if _is_still_extrapolated(site, session, now))
    if left <= 0:
        return now
    seconds = left * 3600 / flow if flow else None
    return now + timedelta(seconds=seconds) if seconds is not None and seconds < 40 * 86400 else None


def stop_time(site: Site, transaction: Transaction, user: User, now: datetime) -> datetime | None:
    """When a stop must be sent so that it lands on the quota (rule 25); in the past: now; None: not in sight.

    A fine register is stopped ahead by the charge point's measured delay. One of coarse steps is stopped after the
    step that reaches the quota, never before it, or the books would stay a step short: where one reading brings
    several steps, half a sample interval past the step; else at the reading that shows it, which is as late on
    average. The forecast then only stands in for a reading that does not come.
    """
    if user.quota is None:
        return None
    used = site.used(open_month(site, now), tags_of(site, user.account))
    if used >= user.quota:
        return now
    crossed = crossing(site, user, now)
    if crossed is None:
        return None
    charge_point = site.charge_points.get(transaction.charge_point_id)
    delay = charge_point.stop_delay_s if charge_point is not None else None
    if transaction.register.step < COARSE_STEP or not transaction.flow_w:
        return crossed - timedelta(seconds=DEFAULT_STOP_DELAY_S if delay is None else delay)
    step, flow = transaction.register.step, transaction.flow_w
    since = transaction.register.increased_moment.at
    # Crossed already by the forecast: the step to wait for is the one that the books still lack.
    lacking = flow * (crossed - since).total_seconds() / 3600 if crossed > now else float(user.quota - used)
    steps = max(1, -int(-lacking // step))
    interval, seconds_per_step = interval_of(site, transaction), step * 3600 / flow
    patience = 0.5 if seconds_per_step < interval else 1.5
    return since + timedelta(seconds=steps * seconds_per_step + patience * interval)


def _find_spelling(site: Site, id_tag: str) -> User | None:
    exact = site.users.users.get(IdTag(id_tag))
    if exact is not None:
        return exact
    alike = site.users_by_fold.get(id_tag.casefold(), [])
    return alike[0] if len(alike) == 1 else None


def _flows_since(transaction: Transaction) -> datetime:
    """From when on energy is missing in the books: the last reading; of a coarse register its last increase."""
    if transaction.register.step >= COARSE_STEP:
        return transaction.register.increased_moment.at
    return transaction.booked_at or transaction.started_at


def _already_flowed_s(transaction: Transaction) -> float:
    last = transaction.booked_at or transaction.started_at
    return max(0.0, (last - _flows_since(transaction)).total_seconds())


def _is_still_extrapolated(site: Site, transaction: Transaction, now: datetime) -> bool:
    last = transaction.booked_at or transaction.started_at
    return (now - last).total_seconds() < 2 * interval_of(site, transaction)
