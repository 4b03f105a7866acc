"""A live site with something of everything to see: sessions, alerts, refused cards, a charge point that waits."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from dashboard_site import running_dashboard, write_accounts
from live_site import PASSWORDS, LiveSite, eventually
from server_process import ServerProcess, make_site
from websockets.sync.client import ClientConnection, connect

USERS = """id_tag,name,surname,quota_kwh,unlimited,account,blocked
OVER01,Ömer,Over,5,FALSE,,FALSE
NEAR01,Łucja,Near,24,FALSE,,FALSE
CALM01,Jürgen,Calm,500,FALSE,home,FALSE
CALM02,Ayşe,Calm,500,FALSE,home,FALSE
FREE01,Ursula,Unlimited,,TRUE,,FALSE
STOP01,Kwame,Blocked,70,FALSE,,TRUE
WRONG1,Wanda,Wrong,lots,FALSE,,FALSE
"""
PROXY, BEHIND_IT = "127.0.0.2", "10.1.2.3"
"""What comes from there by the trusted proxy is of the site, but not this machine: it waits for approval."""


class Line:
    """One charge point's line to the server, with what it says. Times are the server's own unless given."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = count(1)

    def say(self, action: str, **payload: Any) -> dict[str, Any]:
        """Send a call and give the payload of its answer. Calls of the server are not answered."""
        message_id = f"m{next(self._ids)}"
        self._socket.send(json.dumps([2, message_id, action, payload]))
        while True:
            told = json.loads(self._socket.recv(timeout=60))
            if told[1] == message_id and told[0] != 2:
                assert told[0] == 3, told
                return dict(told[2])

    def boot(self, model: str = "Model 1") -> None:
        self.say("BootNotification", chargePointVendor="Vendor", chargePointModel=model)
        self.show("Available")

    def show(self, status: str, error_code: str = "NoError") -> None:
        self.say("StatusNotification", connectorId=1, status=status, errorCode=error_code)

    def charge(self, id_tag: str, begin: datetime, *steps_wh: int, ends: bool = True) -> None:
        """A session with a reading every half hour, and its end unless told otherwise."""
        self.show("Preparing")
        started = self.say("StartTransaction", connectorId=1, idTag=id_tag, meterStart=0, timestamp=begin.isoformat())
        self.show("Charging")
        register_wh, moment = 0, begin
        for step_wh in steps_wh:
            register_wh, moment = register_wh + step_wh, moment + timedelta(minutes=30)
            samples = [
                {"value": str(register_wh), "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
                {"value": "7200", "measurand": "Power.Active.Import", "unit": "W"},
                {"value": "50.02", "measurand": "Frequency"},
            ]
            value = {"timestamp": moment.isoformat(), "sampledValue": samples}
            self.say("MeterValues", connectorId=1, transactionId=started["transactionId"], meterValue=[value])
        if ends:
            self.say(
                "StopTransaction", transactionId=started["transactionId"], meterStop=register_wh,
                timestamp=moment.isoformat(), reason="EVDisconnected",
            )  # fmt: skip
            self.show("Available")


@contextmanager
def line_to(server: ServerProcess, charger_id: str, *, by_proxy: bool = False) -> Iterator[Line]:
    headers = {"X-Forwarded-For": BEHIND_IT} if by_proxy else {}
    source = (PROXY if by_proxy else "127.0.0.1", 0)
    with (
        socket.create_connection(("127.0.0.1", server.ocpp_port), 60, source) as pipe,
        connect(f"{server.url}/{charger_id}", sock=pipe, subprotocols=["ocpp1.6"], additional_headers=headers) as line,  # type: ignore[list-item]
    ):
        yield Line(line)


@contextmanager
def busy_site(folder: Path) -> Iterator[LiveSite]:
    """Server, dashboard and charge points while the block runs; all that happens has happened when it begins."""
    make_site(folder, USERS)
    write_accounts(folder, PASSWORDS)
    with ExitStack() as stack:
        server = ServerProcess(
            folder, site_name="Kampüs", timezone="Europe/Istanbul", trusted_proxies=f"{PROXY}/32",
            charger_networks="127.0.0.0/8,10.0.0.0/8",
        ).started()  # fmt: skip
        stack.callback(server.stop)
        site = LiveSite(server, stack.enter_context(running_dashboard(folder, server.api_port)))
        stack.callback(site.close)
        _let_it_all_happen(server, stack)
        eventually(lambda: site.file("alerts.json") and site.file("active_transactions.json"), "all is published")
        eventually(lambda: site.file("users_report.json")["refused"], "the refused card is published")
        yield site


def _let_it_all_happen(server: ServerProcess, stack: ExitStack) -> None:
    now = datetime.now(UTC)
    first = stack.enter_context(line_to(server, "HALL_01"))
    first.boot()
    first.charge("OVER01", now - timedelta(hours=9), 2000, 3200)
    first.charge("NEAR01", now - timedelta(hours=7), 5000, 5000, 5000, 5000)
    first.charge("CALM01", now - timedelta(hours=1), 3600, ends=False)
    second = stack.enter_context(line_to(server, "HALL_02"))
    second.boot()
    second.charge("FREE01", now - timedelta(hours=1), 2500, ends=False)
    second.show("SuspendedEV")
    broken = stack.enter_context(line_to(server, "YARD_01"))
    broken.boot()
    broken.say("Authorize", idTag="04A1B2C3")
    broken.say("StopTransaction", transactionId=987654, meterStop=4200, timestamp=now.isoformat(), idTag="CALM02")
    broken.show("Faulted", "GroundFailure")
    idle = stack.enter_context(line_to(server, "YARD_02"))
    idle.boot()
    waiting = stack.enter_context(line_to(server, "NEW_01", by_proxy=True))
    waiting.boot("Model 2")
