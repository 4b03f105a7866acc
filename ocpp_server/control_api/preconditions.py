"""If-Match (RFC 9110 §13.1.1): who edits a file that people edit too may say which content of it was seen."""

from ocpp_server.control_api.problems import Problem
from ocpp_server.storage.users_edit import etag_of


def check_match(if_match: str, content: bytes, file: str) -> None:
    """Raises Problem 412 if the file is another one by now; a blank `if_match` asks for nothing."""
    wanted = {one.strip().removeprefix("W/") for one in if_match.split(",") if one.strip()}
    if wanted and "*" not in wanted and etag_of(content) not in wanted:
        raise Problem(412, f"{file} was changed since you looked: look again, then decide")
