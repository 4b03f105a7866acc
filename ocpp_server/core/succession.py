"""One session after another on a connector (rule 22): where the earlier one ends, and whose the energy between them is.

Only a lifetime meterStart tells it: where the register begins anew with each session, the next one says nothing of the
last one.
"""

from ocpp_server.core import changes as ch
from ocpp_server.core.draft import Draft
from ocpp_server.core.energy import RegisterKind, Wh
from ocpp_server.core.evidence import max_power_w
from ocpp_server.core.frozen import replace
from ocpp_server.core.period import Moment
from ocpp_server.core.records import ChargePoint, EndKind, NoteKind, Transaction
from ocpp_server.core.register import Register, deliverable
from ocpp_server.core.settlement import capped
from ocpp_server.core.site import Site


def supersede(
    draft: Draft, charge_point: ChargePoint, ending: list[Transaction], new: Transaction, moment: Moment
) -> ChargePoint:
    """Close what never ended on this connector at its last trusted register, and bound what it may still add.

    An older start that arrives late from a queue takes nothing over: what is younger is not among `ending`. The last
    session, if the server closed it as stale without its stop, is bounded too.
    """
    for old in [*ending, *_closed_as_stale(draft.site, new)]:
        gap = _gap(draft.site, charge_point, old, new, moment)
        bounded = replace(old, highest_register=new.register.start) if gap is not None else old
        if bounded.is_open:
            figures = {"energy_wh": old.energy, "next_transaction": new.transaction_id, "gap_wh": gap}
            bounded = draft.close(bounded, EndKind.SUPERSEDED, "another session began on its connector", figures)
        if bounded is not old:
            draft.put(ch.PutTransaction(bounded))
        if gap:
            charge_point = replace(charge_point, unattributed=Wh(charge_point.unattributed + gap))
            draft.note(NoteKind.UNATTRIBUTED, "energy between two sessions", bounded, figures={"wh": gap})
    return charge_point


def within_session(site: Site, charge_point: ChargePoint, transaction: Transaction, register: Register) -> Register:
    """The register, cut where the next session on this connector began: the rest is not this session's."""
    highest = transaction.highest_register
    if highest is None and not transaction.is_open and register.last is not None:
        settled = transaction.register.last or 0
        later = (t for t in site.transactions.values() if _is_next(transaction, t))
        starts = (start for t in later if (start := _lifetime_start(site, charge_point, t)) is not None)
        highest = min((start for start in starts if start >= settled), default=None)
    return register if highest is None else capped(register, highest)


def attributed(charge_point: ChargePoint, before: Transaction, after: Transaction) -> ChargePoint:
    """The charge point without what the session added after it was bounded: that was counted as nobody's until now."""
    added = after.energy - before.energy
    taken = min(charge_point.unattributed, added)
    if before.highest_register is None or taken <= 0:
        return charge_point
    return replace(charge_point, unattributed=Wh(charge_point.unattributed - taken))


def _closed_as_stale(site: Site, new: Transaction) -> list[Transaction]:
    """The last session of this connector, if the server closed it without its stop."""
    earlier = [
        old
        for old in site.transactions.values()
        if (old.charge_point_id, old.connector_id) == (new.charge_point_id, new.connector_id)
        and old.started_at <= new.started_at
    ]
    last = max(earlier, key=lambda old: (old.started_at, old.transaction_id), default=None)
    return [last] if last is not None and last.end_kind is EndKind.STALE else []


def _gap(site: Site, charge_point: ChargePoint, old: Transaction, new: Transaction, moment: Moment) -> Wh | None:
    """Wh between the old session's last register and the new meterStart; None where the register starts anew."""
    start = _lifetime_start(site, charge_point, new)
    if old.register.last is None or start is None or start < old.register.last:
        return None
    gap = Wh(start - old.register.last)
    most = deliverable(old.register, moment, max_power_w(site, charge_point, old, None)) + old.register.slack_left
    return gap if gap <= most else None


def _lifetime_start(site: Site, charge_point: ChargePoint, transaction: Transaction) -> Wh | None:
    """meterStart as the register of the connector for ever, or None (rule 4).

    None where the brand's register begins anew with each session, and for 0: a LIVOLTEK that no profile recognises.
    """
    if site.profile_of(charge_point).register_kind is RegisterKind.SESSION:
        return None
    return transaction.register.start or None


def _is_next(transaction: Transaction, other: Transaction) -> bool:
    place = (transaction.charge_point_id, transaction.connector_id)
    return (other.charge_point_id, other.connector_id) == place and other.started_at > transaction.started_at
