"""The charge points as cards: their order, what a card says, the choice by state and the line of those in trouble."""

from datetime import UTC, datetime, timedelta

import pytest

from dashboard.cards import Card, Choice, Urgency, attention_line, card_markdown, cards, chosen
from dashboard.quotas import QuotaState, UserLine
from dashboard.records import ChargePoint, Session, Site, Wh
from dashboard.texts import words_of
from dashboard.view import ServerState

ENGLISH = words_of("en")
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def charge_point(charge_point_id: str, status: str = "Charging", **more: object) -> ChargePoint:
    return ChargePoint(**({"charge_point_id": charge_point_id, "name": charge_point_id, "status": status} | more))  # type: ignore[arg-type]


def session(charge_point_id: str, **more: object) -> Session:
    fields = {"transaction_id": "1", "id_tag": "RFID001", "person": "John", "charge_point_id": charge_point_id}
    return Session(**(fields | more))  # type: ignore[arg-type]


def only_card(site: Site, state: ServerState = ServerState.RUNNING, users: tuple[UserLine, ...] = ()) -> Card:
    (card,) = cards(site, state, ENGLISH, NOW, users)
    return card


def test_cards_stand_in_order_of_urgency_then_name() -> None:
    """dashboard spec §5: trouble, charging, paused, plugged, free."""
    statuses = ["Available", "Finishing", "SuspendedEV", "Charging", "Offline", "Faulted", "Unavailable"]
    site = Site(charge_points=tuple(charge_point(f"{status}", status) for status in statuses))

    assert [card.name for card in cards(site, ServerState.RUNNING, ENGLISH, NOW)] == [
        "Faulted",
        "Offline",
        "Charging",
        "SuspendedEV",
        "Finishing",
        "Available",
        "Unavailable",
    ]


@pytest.mark.parametrize("state", [ServerState.STOPPED, ServerState.UNKNOWN])
def test_an_offline_charger_is_no_alarm_while_the_server_is_not_known_to_run(state: ServerState) -> None:
    """One line says it for all."""
    card = only_card(Site(charge_points=(charge_point("A", "Offline"),)), state)

    assert (card.state, card.color, card.urgency) == ("offline", "gray", Urgency.OTHER)


def test_contradictions_are_named() -> None:
    """E.g. offline with an open session: OCPP.Core's diagnostics page."""
    offline = Site(charge_points=(charge_point("A", "Charging", is_connected=False),), sessions=(session("A"),))
    fault = Site(charge_points=(charge_point("A", "Faulted", error_code="GroundFailure"),))

    assert only_card(offline).note == "offline, with a session still open"
    assert only_card(offline).is_in_use
    assert only_card(fault).note == "GroundFailure"


def test_a_charger_waiting_for_approval_is_not_free() -> None:
    """It refuses everybody until an administrator admits it."""
    card = only_card(Site(charge_points=(charge_point("A", "Available", is_waiting_for_approval=True),)))

    assert (card.state, card.is_free) == ("waiting for approval", False)


def test_a_card_shows_everybody_who_charges_there() -> None:
    """A charge point may have two connectors."""
    sessions = (session("A", energy=Wh(1500), power_w=7000.0), session("A", person="", energy=Wh(500)))
    card = only_card(Site(charge_points=(charge_point("A"),), sessions=sessions))

    assert (
        card_markdown(card, NOW, ENGLISH) == "**A**  \n:blue-badge[charging]  \nJohn, RFID001  \n**7.0 kW** · 2.0 kWh"
    )


def test_a_card_without_any_name_is_still_a_card() -> None:
    """A name of blanks would else become a horizontal line (****)."""
    card = only_card(Site(charge_points=(charge_point(" ", "Available"),)))

    assert card_markdown(card, NOW, ENGLISH).startswith(r"**\(no name\)**")


@pytest.mark.parametrize(
    ("used", "share"),
    [(79_000, "79 % of quota"), (80_000, ":orange[80 % of quota]"), (99_700, ":orange[99 % of quota]"),
     (100_000, ":red[100 % of quota]"), (102_000, ":red[102 % of quota]")],
)  # fmt: skip
def test_a_card_shows_how_long_and_how_much_of_the_quota(used: int, share: str) -> None:
    """Amber from 80 %, red from 100 %; 99.7 % is 99 %."""
    user = UserLine("RFID001", "John", "RFID001", Wh(used), Wh(100_000), QuotaState.NEAR)
    running = session("A", since=NOW - timedelta(minutes=42))
    card = only_card(Site(charge_points=(charge_point("A"),), sessions=(running,)), users=(user,))

    assert card_markdown(card, NOW, ENGLISH).split("  \n")[-1] == f"42 min · {share}"


def test_the_choices_are_by_what_a_charger_does() -> None:
    """A charger that waits for approval needs a person and is not free."""
    site = Site(
        charge_points=(
            charge_point("busy"),
            charge_point("free", "Available"),
            charge_point("fault", "Faulted"),
            charge_point("new", "Available", is_waiting_for_approval=True),
        )
    )
    found = cards(site, ServerState.RUNNING, ENGLISH, NOW)

    shown = {choice: [card.name for card in chosen(found, choice)] for choice in Choice}

    assert shown == {
        Choice.ALL: ["fault", "busy", "free", "new"],
        Choice.CHARGING: ["busy"],
        Choice.FREE: ["free"],
        Choice.ATTENTION: ["fault", "new"],
    }


def test_the_attention_line_names_five_and_counts_the_rest() -> None:
    """With state and age: offline since it was last heard of, a fault since its status."""
    troubled = [charge_point(f"A{number}", "Offline", last_seen=NOW - timedelta(hours=2)) for number in range(6)] + [
        charge_point("Z_", "Faulted", since=NOW - timedelta(minutes=5))
    ]
    found = cards(Site(charge_points=tuple(troubled)), ServerState.RUNNING, ENGLISH, NOW)

    line = attention_line(found, NOW, ENGLISH)

    assert line.startswith("**A0** offline (2 h) · ")
    assert line.endswith(" · and 2 more")
    assert attention_line(found[-1:], NOW, ENGLISH) == "**Z\\_** fault (5 min)"
    assert attention_line([], NOW, ENGLISH) == ""


def test_with_the_server_stopped_no_charger_is_named() -> None:
    """The red bar says it once."""
    found = cards(Site(charge_points=(charge_point("A", "Offline"),)), ServerState.STOPPED, ENGLISH, NOW)

    assert attention_line(found, NOW, ENGLISH) == ""
