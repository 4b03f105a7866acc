"""The bearer token of the control API: made at the first start, kept in a file that only the server's user reads."""

import os
import secrets
from pathlib import Path

TOKEN_FILE = "api_token"  # noqa: S105 - the name of a file


def make_token(data_dir: Path) -> str:
    """The token of this data folder, made if there is none. Raises OSError."""
    try:
        return read_token(data_dir)
    except FileNotFoundError:
        token = secrets.token_urlsafe(32)
        descriptor = os.open(data_dir / TOKEN_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(token + "\n")
        return token


def read_token(data_dir: Path) -> str:
    """The token, for a client on this machine. Raises OSError."""
    return (data_dir / TOKEN_FILE).read_text(encoding="ascii").strip()
