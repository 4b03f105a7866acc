"""Each of the 26 calls through the HTTP door, to a charge point that is strict about schemas: whatever it does with the
call, HTTP status, answer, audit and message log say the same, and the truth (issue 4).
"""

from collections.abc import Sequence
from typing import Any

import pytest
from operators_desk import NAME, OFFLINE, Json, answered, open_desk, problem, refused, unanswered
from running_site import SiteFactory
from schema_examples import answers, request
from schema_violations import violations
from strict_charge_point import HANG_UP, error, result, silence

from ocpp_server.ocpp16 import commands
from ocpp_server.ocpp16.requests import REQUESTS

ERROR_CODES = (
    "NotSupported",
    "NotImplemented",
    "InternalError",
    "ProtocolError",
    "SecurityError",
    "FormationViolation",
    "FormatViolation",
    "PropertyConstraintViolation",
    "OccurenceConstraintViolation",
    "OccurrenceConstraintViolation",
    "TypeConstraintViolation",
    "GenericError",
    "VendorIsOutOfOffice",
)
"""OCPP-J §4.2.3, in the spellings of its text and of its errata; and one that nobody knows."""
WITHOUT_STATUS = {action for action in REQUESTS if not any("status" in payload for payload in answers(action))}
NEEDED = {"GetLocalListVersion": "listVersion"} | {one: "status" for one in REQUESTS if one not in WITHOUT_STATUS}
"""What an answer has to hold."""


def test_the_answers_without_a_status_are_those_of_the_schemas() -> None:
    """Elsewhere an answer in which none can be read is no answer."""
    assert WITHOUT_STATUS == commands.WITHOUT_STATUS


async def test_every_answer_that_a_schema_knows_is_passed_on(site: SiteFactory) -> None:
    """200 with each status of each .conf and all else there is in it, to the letter; a no is as good an answer."""
    desk = await open_desk(site)
    for action in REQUESTS:
        for number, payload in enumerate(answers(action)):
            status = payload.get("status", "answered")
            told = await desk.command(action, result(payload), status, is_full=number % 2 == 0)
            assert told == answered(action, payload)

    await desk.close_books()


def some(every: Sequence[Any], number: int, count: int) -> list[Any]:
    """So many of them, others for each number; all of them come in turn."""
    return [every[(number * count + place) % len(every)] for place in range(min(count, len(every)))]


HOW_MANY = pytest.mark.parametrize("count", [5, pytest.param(99, marks=pytest.mark.prove)], ids=["some", "all"])


@HOW_MANY
async def test_every_refusal_is_passed_on_as_such(site: SiteFactory, count: int) -> None:
    """200 with CALLERROR, its code and its words, also with a code that no specification knows (OCPP-J §4.2.3)."""
    desk = await open_desk(site)
    for number, action in enumerate(REQUESTS):
        for code in some(ERROR_CODES, number, count):
            told = await desk.command(action, error(code, f"no {action} here", {}), f"error: {code}")
            assert told == refused(action, code, f"no {action} here")

    await desk.close_books()


SHAPES: tuple[tuple[tuple[Any, ...], str, str], ...] = (
    ((), "GenericError", ""),
    (("",), "GenericError", ""),
    ((None, None, None), "GenericError", ""),
    (("InternalError",), "InternalError", ""),
    (("", "of a kind", {}), "GenericError", "of a kind"),
    (("no answer", "", {}), "no answer", ""),
    (("malformed answer", "", {}), "malformed answer", ""),
    (("too many calls are waiting", "", {}), "too many calls are waiting", ""),
    (("NotSupported", "no", None, "more", 7), "NotSupported", "no"),
)
"""What comes after the message id of a CALLERROR, and the code and the words that are told."""


@HOW_MANY
async def test_a_refusal_of_another_shape_is_a_refusal(site: SiteFactory, count: int) -> None:
    """Without code, words or details, or with our own words for a code: no yes and no silence."""
    desk = await open_desk(site)
    for number, action in enumerate(REQUESTS):
        for rest, code, description in some(SHAPES, number, count):
            told = await desk.command(action, error(*rest), f"error: {code}")
            assert told == refused(action, code, description)

    await desk.close_books()


async def test_silence_is_504_and_a_late_answer_changes_nothing(site: SiteFactory) -> None:
    """Nobody knows whether it obeyed; what comes after the patience is nobody's answer (OCPP-J §4.1.1)."""
    desk = await open_desk(site)
    for action in REQUESTS:
        assert await desk.command(action, silence, "no answer") == unanswered(action)
        await desk.say_late(action, {"status": "Accepted", "listVersion": 99})
        own = next(iter(answers(action)))
        assert await desk.command(action, result(own), own.get("status", "answered")) == answered(action, own)

    await desk.close_books()


async def test_a_line_that_is_cut_is_504_and_nobody_there_is_409(site: SiteFactory) -> None:
    """What was sent may have been obeyed; what was not sent was not."""
    desk = await open_desk(site)
    for action in REQUESTS:
        assert await desk.command(action, HANG_UP, "no answer") == unanswered(action)
        await desk.unplug()
        assert await desk.in_vain(f"commands/{action}", request(action, is_full=False), action) == OFFLINE
        await desk.plug()

    await desk.close_books()


async def test_an_answer_with_another_message_id_is_nobodys(site: SiteFactory) -> None:
    """Neither a result nor an error of somebody else's call counts, nor the end of a call; its own does."""
    desk = await open_desk(site)
    foreign = ([3, "another", {"status": "Accepted"}], [4, "another", "InternalError", "", {}])
    for action in REQUESTS:
        assert await desk.command(action, lambda _id: foreign, "no answer") == unanswered(action)
        own = list(answers(action))[-1]
        told = await desk.command(
            action, lambda message_id, own=own: [*foreign, [3, message_id, own]], own.get("status", "answered")
        )
        assert told == answered(action, own)

    await desk.close_books()


async def test_only_the_first_answer_counts(site: SiteFactory) -> None:
    """A charge point that says no and then yes has said no."""
    desk = await open_desk(site)
    for action in REQUESTS:
        first, last = [list(answers(action))[place] for place in (-1, 0)]
        told = await desk.command(
            action,
            lambda message_id, both=(first, last): [[3, message_id, one] for one in both],
            first.get("status", "answered"),
        )
        assert told == answered(action, first)
        await desk.all_is_read()

    await desk.close_books()


async def test_what_is_no_answer_is_502_with_what_is_wrong(site: SiteFactory) -> None:
    """The status, or the version, is missing or none: nobody may take it for a yes."""
    desk = await open_desk(site)
    for action, name in NEEDED.items():
        blank = [{"status": ""}, {"status": " "}] if name == "status" else []
        others = [{name: value} for value in (None, 7.5, ["Accepted"], {})]
        for payload in ({}, {"Status": "Accepted"}, *others, *blank):
            assert violations(3, action, payload)
            status, told = await desk.command(action, result(payload), "error: malformed answer")
            assert (status, told["title"], told["status"]) == (502, "Bad Gateway", 502), (action, payload)
            start = f"{NAME} gave an answer to {action} that makes no sense: "
            assert told["detail"].startswith((f"{start}{name} is ", f"{start}Status is ")), (action, payload)

    await desk.close_books()


async def test_an_answer_that_is_no_object_is_502(site: SiteFactory) -> None:
    """Nobody can read in it what became of the call, also where an answer need not hold anything."""
    desk = await open_desk(site)
    for action in REQUESTS:
        for payload in ("Rejected", ["Accepted"], 7, False):
            told = await desk.command(action, result(payload), "error: malformed answer")
            detail = f"gave an answer to {action} that makes no sense: the payload is no object"
            assert told == problem(502, detail)

    await desk.close_books()


async def test_the_details_of_a_refusal_are_passed_on(site: SiteFactory) -> None:
    """What the charge point says beside code and description (OCPP-J §4.2.3)."""
    desk = await open_desk(site)
    details = {"reason": "busy", "sessions": [1, 2]}
    for action in REQUESTS:
        told = await desk.command(action, error("InternalError", "no", details), "error: InternalError")
        assert told == refused(action, "InternalError", "no", details)

    await desk.close_books()


async def test_no_charge_point_speaks_in_our_words(site: SiteFactory) -> None:
    """Whoever reads that it was offline, or refused with a CALLERROR, has it from the server."""
    desk = await open_desk(site)
    for action in REQUESTS:
        for word in ("offline", "no answer", "answered", "CALLERROR", "error: NotSupported"):
            payload = {"status": word, "listVersion": 1}
            status, told = await desk.command(action, result(payload), "error: malformed answer")
            detail = f"{NAME} gave an answer to {action} that makes no sense: status is no status of a charge point"
            assert (status, told.get("detail")) == (502, detail)

    await desk.close_books()


HALF = "\ud800"
"""Half a character: JSON can hold it escaped, UTF-8 cannot."""


async def test_an_answer_with_half_a_character_is_passed_on(site: SiteFactory) -> None:
    """The charge point has done it: no 500. Shown escaped, and said to be so."""
    desk = await open_desk(site)
    for action in REQUESTS:
        own = list(answers(action))[-1]
        status = own.get("status", "answered")
        for odd, shown in (({"note": [HALF]}, {"note": ["\\ud800"]}), ({HALF: {HALF: 1}}, {"\\ud800": {"\\ud800": 1}})):
            told = await desk.command(action, result(own | odd), status)
            assert told == answered(action, own | shown, fault=told[1].get("fault", "?")), action
            assert told[1]["fault"], action
    told = await desk.command("DataTransfer", result({"status": "Accepted", "data": HALF}), "Accepted")
    payload = {"status": "Accepted", "data": "\\ud800"}
    assert told == answered("DataTransfer", payload, fault="the payload holds half a character (a lone surrogate)")
    keys = [{"key": HALF, "readonly": True, "value": HALF}, {"key": "WifiPassword", "readonly": True, "value": HALF}]
    _, told = await desk.command("GetConfiguration", result({"configurationKey": keys}), "answered")
    assert [one["value"] for one in told["payload"]["configurationKey"]] == ["\\ud800", "(hidden)"]

    await desk.close_books()


def odd_answers(action: str) -> list[tuple[Json, str]]:
    """Answers that say what they have to and do not fit their schema; the field that does not fit."""
    base = list(answers(action))[-1]
    odd = [(base | {"vendorExtra": {"deep": [1, None]}}, "vendorExtra")]
    if action not in WITHOUT_STATUS:
        odd += [(base | {"status": word}, "status") for word in ("Fine", "accepted", "ACCEPTED")]
    else:
        odd += [(base | {"status": "Rejected"}, "status")]
    odd += [(base | {name: 0.5}, name) for name in base if name not in ("status", "listVersion")]
    return odd


async def test_an_answer_with_a_fault_is_passed_on_with_it(site: SiteFactory) -> None:
    """Fields and words of its own: 200, to the letter, and what does not fit the schema is said."""
    desk = await open_desk(site)
    for action in REQUESTS:
        for payload, field in odd_answers(action):
            assert violations(3, action, payload)
            status, told = await desk.command(action, result(payload), payload.get("status", "answered"))
            assert told["fault"].startswith(field), (action, payload, told)
            assert (status, told) == answered(action, payload, fault=told["fault"])

    await desk.close_books()
