"""Secrets that tests plant. None of them may ever be in a log; `conftest.py` looks at every line of the whole run."""

from base64 import b64encode
from typing import Final

CANARY_SECRET: Final = "CaNaRy-5eCrEt-K3y-1938"
"""A password, a token, whatever a charge point or a person sends that nobody else may read."""
CANARY_KEY: Final = "cafe0b5c0de5ec4e7badc0ffee1dea5eedface42"
"""An AuthorizationKey as 40 hex digits."""


def traces_of(secret: str) -> tuple[str, ...]:
    """What of a secret must not be found: itself in any case, and as it stands in a Basic header or in `repr`."""
    raw = [secret.encode()]
    if secret == CANARY_KEY:
        raw.append(bytes.fromhex(secret))
    encoded = [b64encode(b"x" * shift + one)[4:-4].decode() for one in raw for shift in range(3)]
    return (secret.casefold(), *(text.casefold() for text in encoded), *(repr(one)[2:-1].casefold() for one in raw))


TRACES: Final = (*traces_of(CANARY_SECRET), *traces_of(CANARY_KEY))
"""In lower case."""


def trace_in(text: str) -> str | None:
    """The first trace of a planted secret in this text, or None."""
    folded = text.casefold()
    return next((trace for trace in TRACES if trace in folded), None)
