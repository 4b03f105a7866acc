"""The administrator's tables as the core sees them: who may charge, and what is known of each charge point.

Parsing and reporting of bad rows is `storage.users_csv` and `storage.chargers_csv`.
"""

from dataclasses import field
from datetime import date
from enum import StrEnum
from typing import NewType

from ocpp_server.core.energy import Wh
from ocpp_server.core.frozen import dataclass

IdTag = NewType("IdTag", str)
"""An id tag in the spelling of users1.csv, or, for a tag that is not there, as the charge point sent it (stripped)."""
Account = NewType("Account", str)
"""Rows with the same account share one quota. Without an `account` column the tag is its own account."""


@dataclass(frozen=True, slots=True)
class User:
    """One row of users1.csv. `quota` is None for an unlimited user; `expiry_date` is the last day the card works."""

    id_tag: IdTag
    account: Account
    name: str
    surname: str
    quota: Wh | None
    blocked: bool = False
    expiry_date: date | None = None

    @property
    def full_name(self) -> str:
        """Name and surname, or the tag where the row has neither."""
        return f"{self.name} {self.surname}".strip() or self.id_tag


class Access(StrEnum):
    """Who may charge at a charge point (chargers.csv `access`)."""

    QUOTA = "quota"
    FREE = "free"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class ChargerRow:
    """One row of chargers.csv. None or blank means: nothing said, the recognised value stays in force."""

    charge_point_id: str
    name: str = ""
    brand: str = ""
    energy_unit: str | None = None
    """"Wh" or "kWh": overrides the brand profile for start, stop and samples."""
    max_power_w: int | None = None
    access: Access = Access.QUOTA
    ping: bool = True
    configure: bool = True
    """False: no ChangeConfiguration is ever sent to it at boot."""
    approved: bool | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class UserTable:
    """The users in force, one entry per tag in the CSV's spelling."""

    users: dict[IdTag, User] = field(default_factory=dict)
