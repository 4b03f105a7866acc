"""evquota: monthly kWh quotas per RFID user, enforced over OCPP 1.6J."""

__version__ = "0.1.0"
