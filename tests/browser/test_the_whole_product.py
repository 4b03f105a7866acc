"""What staff do, in a real browser against the real server with simulated charge points."""

import json

import pytest
import requests
from dashboard_site import PROXY
from live_site import LiveSite, Staff, choose, eventually
from playwright.sync_api import Page, expect
from websockets.sync.client import ClientConnection, connect

ROW_HEIGHT = 35
"""Of a table on a page, the heading too."""
FIRST_COLUMN = 80
"""Beside the boxes that mark rows to be deleted."""


def test_a_session_appears_and_is_stopped_with_the_button(live: LiveSite, staff: Staff) -> None:
    """The page says that it has ended only once it has: the charge point was told, and the row has gone."""
    charge_point = live.plug("STOPPED")
    page = staff.open("/sessions")
    live.run(charge_point.plug_in_and_swipe(id_tag="STOP01"))
    expect(page.get_by_text("Sibel Stop")).to_be_attached()

    choose(page, "Choose a session", "Sibel Stop", "Stop…")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Sibel Stop")
    dialog.get_by_role("button", name="Stop charging").click()

    expect(dialog).to_contain_text("The session has ended.")
    assert "RemoteStopTransaction" in charge_point.received
    assert "STOP01" not in [each["id_tag"] for each in live.file("active_transactions.json").values()]


def test_a_smaller_quota_in_the_editor_stops_the_running_car(live: LiveSite, staff: Staff) -> None:
    """The edit is in users1.csv, in force at once, and the rest of the file is as it was."""
    charge_point = live.plug("EDITED")
    session = live.run(charge_point.plug_in_and_swipe(id_tag="QUOTA1"))
    page = staff.open("/manage_users")
    table = page.get_by_test_id("stDataFrame").first
    table.wait_for()
    tags = [line.split(",")[0] for line in (live.folder / "users1.csv").read_text().splitlines()[1:]]

    _type_into(page, row=sorted(tags).index("QUOTA1"), column=3, text="0")
    page.get_by_role("button", name="Save 1 change").click()

    expect(page.get_by_text("1 change is in force.")).to_be_visible()
    assert "QUOTA1,Quentin,Quota,0,FALSE" in (live.folder / "users1.csv").read_text()
    eventually(lambda: session.is_stopped, "the car is stopped")
    assert "RemoteStopTransaction" in charge_point.received


def _type_into(page: Page, row: int, column: int, text: str) -> None:
    """Write into a cell of the first table as with a keyboard. To the browser the table is one picture."""
    table = page.get_by_test_id("stDataFrame").first
    box = table.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + FIRST_COLUMN, box["y"] + ROW_HEIGHT * (row + 1.5))
    for _ in range(column):
        page.keyboard.press("ArrowRight")
    expect(table.get_by_test_id(f"glide-cell-{column + 1}-{row}")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    editor = page.locator("#portal input")  # laid over the picture
    editor.fill(text)
    editor.press("Enter")


def test_a_refused_card_becomes_a_user_who_may_charge(live: LiveSite, staff: Staff) -> None:
    """This is how the number of a new card is learnt."""
    charge_point = live.plug("NEWCARD")
    with pytest.raises(Exception, match="Invalid"):
        live.run(charge_point.plug_in_and_swipe(id_tag="04A1B2C3"))
    page = staff.open("/manage_users")
    eventually(lambda: "04A1B2C3" in str(live.file("users_report.json")["refused"]), "the card is listed")
    page.reload()

    page.get_by_role("tab", name="Refused cards").click()
    choose(page, "Choose a card", "04A1B2C3", "Make a user…")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Card")).to_have_value("04A1B2C3")
    dialog.get_by_label("Name", exact=True).fill("<img src=x onerror=alert(1)>")
    dialog.get_by_label("Quota kWh").fill("50")
    dialog.get_by_role("button", name="New user").click()

    expect(dialog.get_by_text("may charge now.")).to_be_visible()
    live.run(charge_point.plug_in_and_swipe(id_tag="04A1B2C3"))
    expect(staff.open("/").get_by_text("<img src=x onerror=alert(1)>")).to_be_visible()


def test_a_list_is_imported_once_somebody_has_seen_what_it_changes(live: LiveSite, staff: Staff) -> None:
    """With semicolons and decimal commas, as a spreadsheet writes it; a bad row is named and left out."""
    before = (live.folder / "users1.csv").read_text()
    page = staff.open("/manage_users")
    page.get_by_role("tab", name="Import").click()
    content = b"id_tag;name;quota_kwh\r\nIMPORT1;Ida;12,5\r\nRFID003;Ulla;7\r\nBAD1;;much\r\n"
    page.locator("input[type=file]").set_input_files({"name": "new.csv", "mimeType": "text/csv", "buffer": content})
    panel = page.get_by_role("tabpanel")

    expect(panel.get_by_text("IMPORT1 is added: Name Ida, Quota kWh 12.5")).to_be_visible()
    expect(panel.get_by_text("RFID003 is changed: Name Ursula → Ulla")).to_be_visible()
    expect(panel.get_by_text('line 4, quota_kwh: "much" is not a number')).to_be_visible()
    assert (live.folder / "users1.csv").read_text() == before
    panel.get_by_role("button", name="Carry out").click()

    expect(page.get_by_text("2 changes are in force.")).to_be_visible()
    rows = (live.folder / "users1.csv").read_text()
    assert "IMPORT1,Ida,,12.5," in rows
    assert "RFID003,Ulla,Unlimited,,TRUE" in rows
    assert "BAD1" not in rows


def test_a_top_up_beyond_what_was_used_is_refused_in_words(live: LiveSite, staff: Staff) -> None:
    """Usage is never below zero; the books stay as they were."""
    page = staff.open("/manage_users")
    page.get_by_role("tab", name="Top up").click()
    panel = page.get_by_role("tabpanel")
    panel.get_by_role("combobox", name="Who").fill("RFID003")
    page.get_by_role("option", name="RFID003").click()
    panel.get_by_role("spinbutton", name="kWh").fill("20")
    panel.get_by_label("Reason").fill("guest lecture")
    panel.get_by_role("button", name="Book").click()

    expect(panel.get_by_text("Only what was used this month can be given back")).to_be_visible()
    assert "RFID003" not in live.file("energy_usage.json")


def test_a_charger_that_waits_is_approved_and_then_let_in(live: LiveSite, staff: Staff) -> None:
    """It comes through a proxy from an address that nobody knows; until then its boots are answered Pending."""
    headers = {"X-Forwarded-For": "192.168.7.7"}
    address = f"{live.server.url}/WAITING"
    with connect(
        address, subprotocols=["ocpp1.6"], additional_headers=headers, source_address=(PROXY, 0), proxy=None
    ) as line:
        assert _boot(line) == "Pending"
        page = staff.open("/manage_chargers")
        waiting = page.get_by_test_id("stVerticalBlock").filter(has_text="WAITING")
        waiting.get_by_role("button", name="Approve…").last.click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("192.168.7.7")
        dialog.get_by_role("button", name="Approve", exact=True).click()

        expect(page.get_by_text("WAITING is approved.")).to_be_visible()
        assert _boot(line) == "Accepted"


def _boot(line: ClientConnection) -> str:
    """The status of the answer to a BootNotification; what the server asks meanwhile is left without one."""
    payload = {"chargePointVendor": "Generic", "chargePointModel": "M"}
    line.send(json.dumps([2, "boot", "BootNotification", payload]))
    while True:
        kind, unique_id, *rest = json.loads(line.recv(timeout=60))
        if kind == 3 and unique_id == "boot":
            return str(rest[0]["status"])


def test_a_viewer_reaches_neither_manage_nor_its_calls(live: LiveSite, staff: Staff) -> None:
    """The navigation has none of it, its address leads nowhere, and the API refuses the viewer's token."""
    page = staff.open("/manage_users", name="viewer")

    expect(page.get_by_text("Page not found").or_(page.get_by_text("Power now")).first).to_be_visible()
    expect(page.get_by_text("Manage")).to_have_count(0)
    token = {"Authorization": f"Bearer {live.token('api_viewer_token')}"}
    address = f"http://127.0.0.1:{live.server.api_port}/api/v1"
    assert requests.get(f"{address}/transactions", headers=token, timeout=30).status_code == 200
    assert requests.post(f"{address}/transactions/1/stop", headers=token, timeout=30).status_code == 403
    assert requests.delete(f"{address}/users/STOP01", headers=token, timeout=30).status_code == 403
