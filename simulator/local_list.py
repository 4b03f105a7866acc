"""The local authorisation list of a simulated charge point (OCPP 1.6 §3.5.2, §5.10, §5.15)."""

from collections.abc import Mapping, Sequence
from typing import Any

LONGEST_LIST = 500
LONGEST_UPDATE = 100


class LocalList:
    """Tags that the central system vouches for, and the version that it gave the list."""

    def __init__(self) -> None:
        self.version = 0
        """0: there is no list yet."""
        self._status_of: dict[str, str] = {}

    def update(self, update_type: str, version: int, entries: Sequence[Mapping[str, Any]]) -> str:
        """Take over a list, or what has changed in it, as a whole or not at all; the status of SendLocalList.conf."""
        infos = {str(entry["id_tag"]): entry.get("id_tag_info") for entry in entries}
        if update_type == "Differential" and version <= self.version:
            return "VersionMismatch"
        is_full = update_type == "Full"
        is_bad = version <= 0 or len(infos) < len(entries) or (is_full and None in infos.values())
        if is_bad or len(entries) > LONGEST_UPDATE:
            return "Failed"
        listed = {} if is_full else dict(self._status_of)
        for id_tag, info in infos.items():
            if info is None:
                listed.pop(id_tag, None)
            else:
                listed[id_tag] = str(info["status"])
        if len(listed) > LONGEST_LIST:
            return "Failed"
        self.version, self._status_of = version, listed
        return "Accepted"

    def status_of(self, id_tag: str) -> str | None:
        """The authorization status of a tag that is on the list."""
        return self._status_of.get(id_tag)

    def __len__(self) -> int:
        return len(self._status_of)
