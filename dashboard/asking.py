"""What became of something that was asked of the control API, in words for whoever asked."""

from dashboard.control_api import ApiProblem
from dashboard.texts import Words
from dashboard.wording import LONGEST_SENTENCE, escaped

_OF_STATUS = {0: "unreachable", 401: "not_allowed", 403: "not_allowed", 404: "gone", 409: "conflict", 412: "conflict",
              504: "unclear"}  # fmt: skip


def problem_words(problem: ApiProblem, words: Words, *, is_edit: bool = True) -> str:
    """Give Markdown: what the status means, and what the server said.

    A 409 tells of another's edit, but where nothing was edited (`is_edit`), of what stands in the way.
    """
    kind = _OF_STATUS.get(problem.status, "refused")
    if kind == "conflict" and not is_edit:
        kind = "refused"
    said = f" ({escaped(problem.detail, LONGEST_SENTENCE)})" if problem.detail and problem.status != 0 else ""
    return words(f"asking.{kind}") + said
