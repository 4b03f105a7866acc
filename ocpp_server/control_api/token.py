"""The bearer tokens of the control API: made at the first start, in files that only the server's user reads."""

import errno
import os
import secrets
from pathlib import Path

from ocpp_server.storage.atomic_file import replace_file

TOKEN_FILE = "api_token"  # noqa: S105 - the name of a file
"""The administrator's, for everything."""
VIEWER_TOKEN_FILE = "api_viewer_token"  # noqa: S105
"""For the routes that say so: to look at what is no secret and concerns nobody's line."""
_MODE = 0o600
_LONGEST = 1000


def make_token(data_dir: Path, name: str = TOKEN_FILE) -> str:
    """The token of this data folder, made if there is none. Raises OSError."""
    path = data_dir / name
    try:
        token = read_token(data_dir, name)
    except FileNotFoundError:
        token = ""
    if not token:  # also after a power cut in the middle of the first start
        token = secrets.token_urlsafe(32)
        replace_file(path, f"{token}\n".encode(), is_synced=True, mode=_MODE)
    path.chmod(_MODE)  # a copied folder may have opened it to others
    return token


def read_token(data_dir: Path, name: str = TOKEN_FILE) -> str:
    """The token, for a client on this machine; blank if the file is empty. Raises OSError, also for a symbolic link."""
    path = data_dir / name
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(_LONGEST)
    token = content.strip()
    if not token.isascii():
        raise OSError(errno.EINVAL, "expected a token of ASCII characters", str(path))
    return token.decode("ascii")
