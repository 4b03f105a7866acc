"""The connection URL (OCPP-J §3.1.1): from the path of a handshake to the charge point's id. Pure."""

import re
from urllib.parse import parse_qsl, unquote

from ocpp_server.core.charge_point_id import EXPECTED, MOST_SEGMENTS, check_id

_ABSOLUTE = re.compile(r"/*(?:wss?|https?):/+[^/?]*", re.IGNORECASE)
_VERSIONS = frozenset({"1.6", "1.6j", "ocpp1.6", "ocpp1.6j"})


class AddressError(Exception):
    """A handshake's path names no charge point. `status` is the HTTP status to refuse it with."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def charge_point_id_of(target: str, prefixes: tuple[str, ...] = ()) -> str:
    """The charge point's id in a request target such as `/ws/ocpp/16/CP1` or `/ocpp?chargePointId=CP1&version=1.6`.

    Percent-encoding is decoded once; doubled and trailing slashes fall away; the longest of `prefixes` is taken off.
    A path without an id may carry it in the query. Raises AddressError: 404 where there is no id, 400 for a bad one.
    """
    path, _, query = target.partition("?")
    path = _ABSOLUTE.sub("", path, count=1)  # the whole URL as path (AcTEC, ZJ Beny), also legal by RFC 9112 §3.2.2
    segments = [segment for segment in _decoded(path).split("/") if segment]
    for prefix in sorted((_segments(prefix) for prefix in prefixes), key=len, reverse=True):
        if segments[: len(prefix)] == prefix:
            segments = segments[len(prefix) :]
            break
    if not segments:
        segments = _id_in_query(query)
    return _checked(segments)


def _segments(prefix: str) -> list[str]:
    return [segment for segment in prefix.split("/") if segment]


def _decoded(path: str) -> str:
    try:
        return unquote(path, errors="strict")
    except UnicodeDecodeError:
        raise AddressError(400, f"charge point id is not UTF-8: {EXPECTED}") from None


def _id_in_query(query: str) -> list[str]:
    fields = {name.casefold(): value for name, value in parse_qsl(query, errors="replace", max_num_fields=None)}
    version = fields.get("version", "1.6")
    if version.casefold() not in _VERSIONS:
        raise AddressError(400, "version is not served here: expected 1.6")
    return [segment for segment in fields.get("chargepointid", "").split("/") if segment]


def _checked(segments: list[str]) -> str:
    if not segments:
        raise AddressError(404, f"no charge point id in the path: {EXPECTED}")
    if len(segments) > MOST_SEGMENTS:
        raise AddressError(400, f"too many parts in the path: {EXPECTED}; EVQUOTA_OCPP_PATH_PREFIXES adds prefixes")
    charge_point_id = "/".join(segments)
    try:
        check_id(charge_point_id)
    except ValueError as error:
        raise AddressError(400, str(error)) from None
    return charge_point_id
