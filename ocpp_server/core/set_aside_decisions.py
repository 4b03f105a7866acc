"""What a person makes of energy that was set aside: it is accepted and booked once, or dropped (rules 5, 10, 22)."""

from ocpp_server.core import changes as ch
from ocpp_server.core.commands import AcceptSetAside, Done, DropSetAside, Refused, Unknown
from ocpp_server.core.draft import Decision, Draft
from ocpp_server.core.energy import Wh
from ocpp_server.core.frozen import replace
from ocpp_server.core.meter_values import warn
from ocpp_server.core.period import month_of, split_by_hour
from ocpp_server.core.quota import account_of, find_user, tags_of
from ocpp_server.core.records import BookingKind, NoteKind, Transaction
from ocpp_server.core.set_aside import SetAside, SetAsideKind, SetAsideState
from ocpp_server.core.set_aside_rules import trusting_jump, with_step, withdraw_answered
from ocpp_server.core.site import Site
from ocpp_server.core.succession import attributed, within_session

_FLAG = "raised by hand"
_FORGOTTEN = "; its session is too old to be changed"


def decide_set_aside(site: Site, command: AcceptSetAside | DropSetAside) -> Decision:
    """Book it in the hours and months in which it flowed, also where those are closed (rule 10), or book nothing.

    Of what is dropped the session's register stays as it is, so that the same reading again does not ask again.
    """
    draft = Draft(site, command.at)
    found = site.open_set_aside.get(command.number)
    if found is None:
        return draft.decide(_no_more(site, command.number))
    if isinstance(command, DropSetAside):
        _decide(draft, command, found, Wh(0), SetAsideState.DROPPED)
        return draft.decide(Done())
    refusal = _accept_orphan(draft, command, found) if _is_orphan(found) else _accept_reading(draft, command, found)
    return draft.decide(refusal or Done())


def told(one: SetAside) -> str:
    """What became of it, by whom and when, in a sentence."""
    who = f" by {one.decided_by}" if one.decided_by else ""
    when = "" if one.decided_at is None else f" at {one.decided_at.replace(microsecond=0).isoformat()}"
    return f"number {one.number} was {one.state.value}{who}{when}: {one.decision_reason}"


def _no_more(site: Site, number: int) -> Refused | Unknown:
    decided = site.decided_set_aside.get(number)
    if decided is not None:
        return Refused(told(decided))
    return Unknown(f"no energy of number {number} waits for a decision")


def _is_orphan(one: SetAside) -> bool:
    return one.kind is SetAsideKind.ORPHAN


def _accept_orphan(draft: Draft, command: AcceptSetAside, found: SetAside) -> Refused | None:
    """Nothing is known of what flowed: a person says how much, and whose it is."""
    if command.wh is None or command.wh <= 0:
        text = f"its begin is not known: say how many kWh flowed ({found.reason})"
        return Refused(text, "kwh")
    stated = (command.id_tag or found.id_tag).strip()
    if not stated:
        return Refused(f"it has no tag: say on whom it is booked ({found.reason})", "id_tag")
    id_tag, _ = account_of(draft.site, stated)
    _book_alone(draft, command, found, id_tag, command.wh)
    _decide(draft, command, found, command.wh, SetAsideState.ACCEPTED)
    return None


def _accept_reading(draft: Draft, command: AcceptSetAside, found: SetAside) -> Refused | None:
    if command.id_tag is not None and account_of(draft.site, command.id_tag)[0] != found.id_tag:
        return Refused(f"it belongs to a session of {found.id_tag}: drop it and use adjust to book another", "id_tag")
    session = draft.site.transactions.get(found.transaction_id or 0)
    wh = found.wh if session is None else _what_is_left(draft, session, found)
    assert wh is not None
    if wh <= 0:
        return Refused("nothing of it is missing from the books any more: drop it")
    if command.wh not in (None, wh):
        return Refused(f"{wh / 1000:g} kWh of it are left: drop it and use adjust to book another amount", "kwh")
    if session is None:
        _book_alone(draft, command, found, found.id_tag, wh)
    else:
        _book_on(draft, command, found, session, wh)
    _decide(draft, command, found, wh, SetAsideState.ACCEPTED)
    return None


def _what_is_left(draft: Draft, session: Transaction, found: SetAside) -> Wh:
    return Wh(_raised(draft, session, found).register.energy - session.register.energy)


def _raised(draft: Draft, session: Transaction, found: SetAside) -> Transaction:
    """The session whose register trusts what was set aside, not beyond where the next one began (rule 22)."""
    if not found.is_candidate:
        assert found.wh is not None
        return replace(session, register=with_step(session.register, found.wh))
    charge_point = draft.charge_point(session.charge_point_id)
    trusted = trusting_jump(session.register)
    return replace(session, register=within_session(draft.site, charge_point, session, trusted))


def _book_on(draft: Draft, command: AcceptSetAside, found: SetAside, session: Transaction, wh: Wh) -> None:
    """On its session, open or ended, as energy that flowed between the trusted reading before it and its own time."""
    since = found.since or found.at
    raised = _raised(draft, session, found)
    raised = replace(
        raised,
        booked=draft.book_between(session, wh, since, found.at, _reason(command, found)),
        flags=tuple(dict.fromkeys((*session.flags, _FLAG))),
    )
    raised = _with_overshoot(draft, raised, wh)
    draft.put(ch.PutTransaction(raised))
    withdraw_answered(draft, session, raised.register, found.number)
    if found.is_candidate:
        charge_point = draft.charge_point(session.charge_point_id)
        bounded = attributed(charge_point, session, raised)
        if bounded is not charge_point:
            draft.put(ch.PutChargePoint(bounded))
    warn(draft, raised)


def _with_overshoot(draft: Draft, session: Transaction, wh: Wh) -> Transaction:
    """An ended session was so much further over its quota, and no more than its account is now (rule 25)."""
    user = find_user(draft.site, session.id_tag)
    if session.ended_at is None or user is None or user.quota is None or not session.is_on_quota:
        return session
    month = month_of(session.ended_at, draft.site.policy.zone)
    over = max(0, draft.used(month, tags_of(draft.site, user.account)) - user.quota)
    return replace(session, overshoot=Wh(min(over, (session.overshoot or 0) + wh)))


def _book_alone(draft: Draft, command: AcceptSetAside, found: SetAside, id_tag: str, wh: Wh) -> None:
    """On the tag and the charge point, where there is no session that could carry it."""
    since = found.since or found.at
    reason = _reason(command, found) + ("" if _is_orphan(found) else _FORGOTTEN)
    for part in split_by_hour(min(since, found.at), found.at, wh, draft.site.policy.zone):
        draft.adjust(
            id_tag,
            part.wh,
            part,
            BookingKind.CORRECTION,
            reason,
            charge_point_id=found.charge_point_id,
            is_on_quota=found.is_on_quota,
        )


def _reason(command: AcceptSetAside, found: SetAside) -> str:
    """`verify` counts by its begin what was booked for each number."""
    return f"set aside {found.number}: {command.reason} ({command.by})"


def _decide(
    draft: Draft, command: AcceptSetAside | DropSetAside, found: SetAside, wh: Wh, state: SetAsideState
) -> None:
    decided = replace(
        found,
        state=state,
        is_candidate=False,
        booked=wh if state is SetAsideState.ACCEPTED else None,
        decided_at=command.at,
        decided_by=command.by,
        decision_reason=command.reason,
    )
    draft.put_set_aside(decided)
    draft.note(
        NoteKind.DECIDED,
        f"{state.value}: {command.reason}",
        draft.site.transactions.get(found.transaction_id or 0) if not _is_orphan(found) else None,
        charge_point_id=found.charge_point_id,
        id_tag=found.id_tag,
        figures={"by": command.by, "number": found.number, "wh": wh},
    )
