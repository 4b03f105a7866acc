"""Carries edits of users1.csv out: one request after the other, each on the version that the last one left."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.asking import problem_words
from dashboard.control_api import NO_ANSWER, ApiProblem, ControlApi
from dashboard.texts import Words
from dashboard.user_edits import Row, Step, row_of
from dashboard.wording import escaped

PAGE = 500
MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Users:
    """All users in force, by card, and the version of users1.csv that they were read with."""

    rows: tuple[Row, ...]
    etag: str
    documents: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far it came: `done` steps are in force; `problem` stopped at the one after them."""

    done: int
    remarks: tuple[tuple[str, str], ...] = ()
    """Card and sentence."""
    problem: ApiProblem | None = None


def load_users(api: ControlApi) -> Users:
    """Ask for all users; raises ApiProblem. The version is that of the first page: a later edit is then refused."""
    documents: list[dict[str, Any]] = []
    etag, after = "", ""
    while True:
        answered = api.ask("GET", "/users", query={"limit": PAGE, "after": after})
        etag = etag or answered.etag
        documents += answered.body["users"]
        after = answered.body["next"]
        if after is None:
            return Users(tuple(map(row_of, documents)), etag, tuple(documents))


def carry_out(api: ControlApi, steps: Sequence[Step], etag: str, tell: Callable[[int], None]) -> Outcome:
    """Ask for each step in turn and stop at the first that is refused: somebody else may have edited meanwhile.

    `tell` hears how many are done.
    """
    remarks: list[tuple[str, str]] = []
    for done, step in enumerate(steps):
        try:
            answered = api.ask(step.method, step.path, body=step.body, etag=etag)
        except ApiProblem as problem:
            return Outcome(done, tuple(remarks), problem)
        remarks += [(step.id_tag, str(remark)) for remark in answered.body.get("remarks", ())]
        etag = answered.etag
        tell(done + 1)
    return Outcome(len(steps), tuple(remarks))


def stopped_words(problem: ApiProblem, left: Sequence[Step], words: Words) -> str:
    """Say where a save stopped, and what was not done: of a step without an answer nobody knows."""
    stopped = words("manage_users.stopped", who=escaped(left[0].id_tag), problem=problem_words(problem, words))
    undone = [escaped(step.id_tag) for step in (left[1:] if problem.status == NO_ANSWER else left)]
    if not undone:
        return stopped
    named = ", ".join(undone[:MOST_NAMED])
    if len(undone) > MOST_NAMED:
        named += f", {words('manage_users.more', number=len(undone) - MOST_NAMED)}"
    return f"{stopped} {words('manage_users.not_done', who=named)}"
