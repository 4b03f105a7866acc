"""The account of a session or a card in sentences for people. Times in the site's zone, energy in kWh."""

from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from ocpp_server.control_api.explanation_documents import Forecast, SessionExplanation, TagExplanation
from ocpp_server.control_api.ledger_documents import NoteDocument, StopDocument, TransactionDocument
from ocpp_server.core.records import NoteKind
from ocpp_server.core.set_aside import SetAsideState


def session_sentences(told: SessionExplanation, zone: ZoneInfo) -> list[str]:
    """One fact to a sentence, in the order in which things happened."""
    session = told.transaction
    return [
        _begin(session, zone),
        *_readings(told, zone),
        *_decisions(told, zone),
        *_end(told, zone),
        *_set_aside(told, zone),
    ]


def tag_sentences(told: TagExplanation, zone: ZoneInfo) -> list[str]:
    """How the card stands, then its last sessions and refusal."""
    return [_standing(told), *_usage(told), *_latest(told, zone)]


def kwh(wh: int) -> str:
    """`4.98 kWh`."""
    return f"{wh / 1000:.3f}".rstrip("0").rstrip(".") + " kWh"


def clock_time(when: datetime, zone: ZoneInfo) -> str:
    """`2025-01-15 13:30:02`, in this zone."""
    return when.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def _begin(session: TransactionDocument, zone: ZoneInfo) -> str:
    who = session.id_tag if session.full_name in ("", session.id_tag) else f"{session.id_tag} ({session.full_name})"
    meter = "an unknown register" if session.meter_start_wh is None else f"register {kwh(session.meter_start_wh)}"
    doubt = ", by a clock that is in doubt" if session.is_start_clock_doubtful else ""
    answered = "" if session.status == "Accepted" else f" The answer was {session.status}: it should not have charged."
    return (
        f"Session {session.transaction_id} of {who} began at {session.charge_point_id}, connector "
        f"{session.connector_id}, {clock_time(session.started_at, zone)} ({zone}){doubt}, at {meter}.{answered}"
    )


def _readings(told: SessionExplanation, zone: ZoneInfo) -> Iterator[str]:
    if not told.readings:
        yield "No reading of it is kept."
        return
    first, last = told.readings[0], told.readings[-1]
    power = max(reading.power_w for reading in told.readings) / 1000
    yield (
        f"{len(told.readings)} readings are kept, from {clock_time(first.at, zone)} (register "
        f"{kwh(first.register_wh)}) to {clock_time(last.at, zone)} (register "
        f"{kwh(last.register_wh)}), with at most {power:g} kW."
    )


def _decisions(told: SessionExplanation, zone: ZoneInfo) -> list[str]:
    """What was decided and noted while it ran, by time."""
    stop = told.transaction.stop
    timed = [
        *((note.at, _oddity(note, zone)) for note in told.notes if not _has_own_sentence(note)),
        *((forecast.at, _forecast(forecast, zone)) for forecast in told.forecasts),
        *(() if stop is None else [(stop.attempted_at or stop.ordered_at, _stop(stop, zone))]),
    ]
    return [sentence for _, sentence in sorted(timed, key=lambda pair: pair[0])]


def _has_own_sentence(note: NoteDocument) -> bool:
    is_order_or_attempt = note.kind is NoteKind.STOP and bool({"used_wh", "result"} & note.figures.keys())
    return is_order_or_attempt or note.kind is NoteKind.OVERSHOOT


def _forecast(forecast: Forecast, zone: ZoneInfo) -> str:
    begin = f"{clock_time(forecast.at, zone)}: the server ordered it to stop: {forecast.cause}."
    if forecast.quota_wh is None or forecast.remaining_wh is None:
        return f"{begin} {kwh(forecast.used_wh)} were used this month, without a limit."
    left = (
        f" Of the quota of {kwh(forecast.quota_wh)}, {kwh(forecast.used_wh)} were booked and "
        f"{kwh(forecast.unreported_wh)} flowed since the last reading: "
    )
    if forecast.remaining_wh <= 0:
        return f"{begin}{left}nothing was left."
    if forecast.quota_reached_at is None or not forecast.power_w:
        return f"{begin}{left}{kwh(forecast.remaining_wh)} were left."
    return (
        f"{begin}{left}{kwh(forecast.remaining_wh)} were left, used up at {forecast.power_w / 1000:g} kW "
        f"by {clock_time(forecast.quota_reached_at, zone)}."
    )


def _stop(stop: StopDocument, zone: ZoneInfo) -> str:
    by = f" by {stop.by}" if stop.by else ""
    if stop.attempted_at is None:
        return f"The stop ({stop.cause}{by}, ordered {clock_time(stop.ordered_at, zone)}) was not sent."
    failed = f", {_times(stop.failures)} in vain" if stop.failures else ""
    return (
        f"RemoteStopTransaction ({stop.cause}{by}) was tried {_times(stop.attempts)}{failed}; "
        f"the last time {clock_time(stop.attempted_at, zone)}, answer: {stop.result}."
    )


def _oddity(note: NoteDocument, zone: ZoneInfo) -> str:
    figures = ", ".join(f"{name}={value}" for name, value in note.figures.items())
    return f"{clock_time(note.at, zone)}: {note.kind.value}: {note.text}{f' ({figures})' if figures else ''}."


def _end(told: SessionExplanation, zone: ZoneInfo) -> Iterator[str]:
    session = told.transaction
    booked = f"{len(told.bookings)} bookings, together {kwh(sum(booking.wh for booking in told.bookings))}"
    if session.ended_at is None:
        yield f"It runs at {session.power_w / 1000:g} kW. In the books: {booked}."
        return
    how = "" if session.end_kind in ("", "stopped") else f", {session.end_kind}"
    yield f"It ended {clock_time(session.ended_at, zone)}{how}: {session.reason or 'no reason given'}. Books: {booked}."
    over = told.overshoot
    if over is not None and over.overshoot_wh:
        yield f"Its account was then {over.overshoot_wh} Wh over the quota of {kwh(over.quota_wh)}."
    elif over is not None:
        yield f"Its account had then used {kwh(over.used_wh)} of {kwh(over.quota_wh)}: no overshoot."


def _set_aside(told: SessionExplanation, zone: ZoneInfo) -> Iterator[str]:
    """What became of energy that was set aside, and what still waits."""
    for one in told.set_aside:
        begin = f"{kwh(one.wh or 0)} were set aside {clock_time(one.at, zone)} ({one.reason})"
        if one.state is SetAsideState.OPEN:
            yield f"{begin} and wait for a decision: set-aside show {one.number}."
        elif one.state is not SetAsideState.WITHDRAWN:
            yield f"{begin} and {one.state.value} by {one.decided_by}: {one.decision_reason}."


def _standing(told: TagExplanation) -> str:
    if not told.is_known:
        return f"{told.id_tag} is not in the users file: it is refused wherever quotas count."
    states = [word for word, holds in (("blocked", told.blocked), ("expired", told.is_expired)) if holds]
    shared = f", on account {told.account} with {', '.join(told.shared_with)}" if told.shared_with else ""
    return f"{told.id_tag} is {told.name}{shared}{', ' + ' and '.join(states) if states else ''}."


def _usage(told: TagExplanation) -> Iterator[str]:
    if told.month is None:
        return
    if told.quota_wh is None:
        yield f"In {told.month} it used {kwh(told.used_wh)}{', without a limit' if told.is_known else ''}."
        return
    left = told.quota_wh - told.used_wh
    rest = f"{kwh(left)} are left" if left > 0 else f"nothing is left, {-left} Wh over"
    yield f"In {told.month} its account used {kwh(told.used_wh)} of {kwh(told.quota_wh)}: {rest}."


def _latest(told: TagExplanation, zone: ZoneInfo) -> Iterator[str]:
    if told.sessions:
        last = told.sessions[0]
        state = "runs" if last.ended_at is None else f"ended {clock_time(last.ended_at, zone)} ({last.reason})"
        yield (
            f"Its last session, {last.transaction_id} at {last.charge_point_id}, began "
            f"{clock_time(last.started_at, zone)}, brought {kwh(last.energy_wh)} and {state}."
        )
    refusal = next((note for note in told.notes if note.kind is NoteKind.REFUSAL), None)
    if refusal is not None:
        place = f" at {refusal.charge_point_id}" if refusal.charge_point_id else ""
        yield f"It was last refused {clock_time(refusal.at, zone)}{place}: {refusal.text}."


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
