"""What is said of a request that the control API did not do, or of which nobody knows."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from dashboard import control_api
from dashboard.asking import problem_words
from dashboard.control_api import NO_ANSWER, ApiProblem, ControlApi, part
from dashboard.ocpp_calls import call_problem_words
from dashboard.texts import words_of

ENGLISH = words_of("en")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port that somebody listens at, and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as made:
        yield made


def problem_at(port: int) -> ApiProblem:
    with pytest.raises(ApiProblem) as caught:
        ControlApi(f"http://127.0.0.1:{port}", "token").post("/transactions/1/stop")
    return caught.value


def test_what_was_never_sent_was_not_done(listener: socket.socket) -> None:
    """Nobody listens at the port any more."""
    port = listener.getsockname()[1]
    listener.close()

    problem = problem_at(port)

    assert problem.status == 0
    assert problem_words(problem, ENGLISH) == ENGLISH("asking.unreachable")
    assert call_problem_words(problem, ENGLISH) == ENGLISH("asking.unreachable")


def test_no_proxy_of_the_environment_sees_the_token(monkeypatch: pytest.MonkeyPatch, listener: socket.socket) -> None:
    """An administrator who set one for downloads means no other program of the site."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{listener.getsockname()[1]}")
    monkeypatch.setenv("NO_PROXY", "")
    with closing(socket.create_server(("127.0.0.1", 0))) as gone:
        port = gone.getsockname()[1]

    assert problem_at(port).status == 0
    listener.settimeout(0)
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_what_was_sent_and_not_answered_may_have_been_done(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection stands, and no answer comes: "nothing was done" would be a lie."""
    monkeypatch.setattr(control_api, "ANSWER_TIMEOUT_S", 0.1)

    problem = problem_at(listener.getsockname()[1])

    assert problem.status == NO_ANSWER
    assert problem_words(problem, ENGLISH) == ENGLISH("asking.unclear")
    assert call_problem_words(problem, ENGLISH) == ENGLISH("asking.unclear")


def test_what_was_cut_off_may_have_been_done(listener: socket.socket) -> None:
    """The server ended after it had read the request."""

    def read_and_hang_up() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)

    thread = threading.Thread(target=read_and_hang_up)
    thread.start()
    problem = problem_at(listener.getsockname()[1])
    thread.join()

    assert problem.status == NO_ANSWER


@pytest.mark.parametrize(
    ("status", "is_edit", "key"),
    [(409, True, "conflict"), (409, False, "refused"), (412, True, "conflict"), (504, False, "unclear"),
     (500, True, "refused")],
)  # fmt: skip
def test_a_status_is_told_by_what_was_asked(status: int, is_edit: bool, key: str) -> None:
    """A 409 speaks of somebody else's edit only where something was edited."""
    problem = ApiProblem(status, "*why*", {})

    assert problem_words(problem, ENGLISH, is_edit=is_edit) == f"{ENGLISH(f'asking.{key}')} (\\*why\\*)"


def test_any_text_can_be_a_part_of_a_path() -> None:
    """Also one that no charge point could send."""
    assert part("A/B #\ud800") == "A%2FB%20%23%3F"
