"""Who looks at a page: the role and the name in the signed cookie of the request."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What somebody may do."""

    VIEWER = "viewer"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks. Without a name nobody signed in, and nothing but the files is shown."""

    role: Role = Role.VIEWER
    name: str = ""


def current() -> Visitor:
    """Give whoever looks at the page of this run."""
    return Visitor()
