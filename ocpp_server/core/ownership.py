"""Whose a reading is: the open transaction that a MeterValues belongs to (rule 21)."""

from ocpp_server.core.commands import MeterValues
from ocpp_server.core.evidence import max_power_w
from ocpp_server.core.meter import MeterSample
from ocpp_server.core.period import Moment
from ocpp_server.core.records import ChargePoint, Transaction
from ocpp_server.core.register import continues
from ocpp_server.core.site import Site


def owner_of(
    site: Site, charge_point: ChargePoint, command: MeterValues, samples: list[tuple[Moment, MeterSample]]
) -> Transaction | None:
    """The open transaction that is named, else the one of the connector that the samples go on from, or None."""
    named = site.open_transactions.get(command.transaction_id or 0)
    if named is not None and named.charge_point_id == command.charge_point_id:
        return named
    if command.connector_id <= 0:
        return None
    for transaction in reversed(site.open_on(command.charge_point_id, command.connector_id)):
        if all(_is_plausible_here(site, charge_point, transaction, *pair) for pair in samples):
            return transaction
    return None


def _is_plausible_here(
    site: Site, charge_point: ChargePoint, transaction: Transaction, moment: Moment, sample: MeterSample
) -> bool:
    if moment.at < transaction.started_at:
        return False
    most = max_power_w(site, charge_point, transaction, None)
    return not sample.registers or any(
        continues(transaction.register, value, moment, most) for value in sample.registers
    )
