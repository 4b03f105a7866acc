"""What every route of the control API shares: problems (RFC 9457), who asks, plain text."""

from http import HTTPStatus

from aiohttp import web

LONGEST_NAME = 100
"""Characters of the name of whoever asked."""


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """What was asked for is not done; `status` is the HTTP status, `detail` a sentence for a person."""

    def __init__(self, status: int, detail: str, **members: str) -> None:
        """`members`: what the problem document says beside its own fields."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.members = members


def problem_response(status: int, detail: str, **members: str) -> web.Response:
    """RFC 9457."""
    body = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail, **members}
    return web.json_response(body, status=status, content_type="application/problem+json")


def asker_of(request: web.Request) -> str:
    """Who asks, as it says itself."""
    return plain(request.headers.get("X-Requested-By", "")).strip()[:LONGEST_NAME] or "operator"


def plain(text: str) -> str:
    """Without lone surrogates, which are no text."""
    return text.encode("utf-8", "replace").decode("utf-8")
