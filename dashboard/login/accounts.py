"""The two accounts of the dashboard, in `dashboard_accounts.json` in the data folder (docs/files.md)."""

import secrets
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from dashboard.login.passwords import check_strength, hash_password, make_password
from dashboard.login.private_file import Json, PrivateFile

FILE: Final = "dashboard_accounts.json"
_GENERATION_BYTES: Final = 8


class Role(StrEnum):
    """What somebody may do, and the name of the account that may."""

    VIEWER = "viewer"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Account:
    """`generation` changes with the password: what was signed for another one is over."""

    role: Role
    password_hash: str
    generation: str

    @property
    def name(self) -> str:
        """What is typed to log in."""
        return self.role.value


class Accounts:
    """The accounts of one data folder, as the file says at this moment."""

    def __init__(self, folder: Path) -> None:
        self._file = PrivateFile(folder / FILE)

    def get(self, name: str) -> Account | None:
        """The account of this name; None if there is none, or its file cannot be read: nobody is let in by mistake."""
        try:
            known = self._file.read()
        except (OSError, ValueError):
            return None
        return _account(name, known)

    @property
    def are_there(self) -> bool:
        """Whether anybody can log in."""
        return any(self.get(role.value) is not None for role in Role)

    def make_missing(self) -> dict[str, str]:
        """Make what is missing; gives the passwords, which are nowhere else. Raises OSError, ValueError."""
        known = self._file.read()
        made = {role.value: make_password() for role in Role if _account(role.value, known) is None}
        if made:
            self._write(known, made)
        return made

    def set_password(self, name: str, password: str) -> None:
        """Replace a password, which ends the sessions of the old one. Raises ValueError, OSError."""
        check_strength(password)
        self._write(self._file.read(), {Role(name).value: password})

    def _write(self, known: Json, passwords: dict[str, str]) -> None:
        kept = known.get("accounts")
        changed = {
            name: {"password_hash": hash_password(password), "generation": secrets.token_hex(_GENERATION_BYTES)}
            for name, password in passwords.items()
        }
        self._file.write({"schema": 1, "accounts": (kept if isinstance(kept, dict) else {}) | changed})


def _account(name: str, known: Json) -> Account | None:
    accounts = known.get("accounts")
    row = accounts.get(name) if isinstance(accounts, dict) else None
    if name not in {role.value for role in Role} or not isinstance(row, dict):
        return None
    password_hash, generation = row.get("password_hash"), row.get("generation")
    if not isinstance(password_hash, str) or not isinstance(generation, str):
        return None
    return Account(Role(name), password_hash, generation)
