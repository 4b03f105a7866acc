"""What became of something that was asked of the control API, in words for whoever asked."""

from dashboard.control_api import ApiProblem
from dashboard.texts import Words
from dashboard.wording import LONGEST_SENTENCE, escaped

_OF_STATUS = {0: "unreachable", 401: "not_allowed", 403: "not_allowed", 404: "gone", 409: "conflict", 412: "conflict"}


def problem_words(problem: ApiProblem, words: Words) -> str:
    """Give Markdown: what the status means, and what the server said."""
    kind = _OF_STATUS.get(problem.status, "refused")
    said = f" ({escaped(problem.detail, LONGEST_SENTENCE)})" if problem.detail and problem.status != 0 else ""
    return words(f"asking.{kind}") + said
