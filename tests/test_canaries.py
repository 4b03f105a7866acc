"""The watch over the log of the whole run: it finds what it is to find (T16)."""

import logging
from base64 import b64encode
from typing import Any

import pytest
from canaries import CANARY_KEY, CANARY_SECRET, trace_in


@pytest.mark.parametrize(
    "line",
    [
        f"[CONNECT] path=/CP1?password={CANARY_SECRET}",
        f"header {b64encode(f'CP1:{CANARY_SECRET}'.encode()).decode()}",
        f"header {b64encode(b'CP12:' + bytes.fromhex(CANARY_KEY)).decode()}",
        f"key {CANARY_KEY.upper()}",
        f"key {bytes.fromhex(CANARY_KEY)!r}",
    ],
)
def test_a_planted_secret_is_found_in_each_of_its_forms(line: str) -> None:
    """As text, in a Basic header, as hex digits and as bytes."""
    assert trace_in(line) is not None
    assert trace_in(line.replace(line.rsplit(maxsplit=1)[-1], "…")) is None


@pytest.mark.parametrize("logger", ["evquota", "ocpp_server.ocpp16.gateway"])
def test_the_log_of_the_server_is_watched(canary_watch: Any, logger: str) -> None:
    """From INFO on, and in the text of an exception."""
    logging.getLogger(logger).info("[CONNECT] key=%s", CANARY_KEY)
    try:
        raise ValueError(CANARY_SECRET)
    except ValueError:
        logging.getLogger(logger).exception("[CONNECT] dropped")

    assert len(canary_watch.leaks) == 2
    canary_watch.leaks.clear()
