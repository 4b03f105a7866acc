"""Sessions of the two brands of the site, from the card to the files, to the Wh."""

from running_site import SiteFactory

from simulator import EVLINK, LIVOLTEK, Behaviour


async def test_a_livoltek_session_is_shown_while_it_runs(site: SiteFactory) -> None:
    """active_transactions.json: registers in kWh, power a tenth of what is told (docs/files.md; rules 3 and 6)."""
    here = await site()
    livoltek = await here.plug("LIVOLTEK_01", LIVOLTEK)

    session = await livoltek.plug_in_and_swipe(1, "RFID001", 10_800)
    await here.advance(1198)

    row = here.active()[str(session.transaction_id)]
    forecast = row.pop("forecast_stop")
    assert row == {
        "id_tag": "RFID001",
        "start_meter": 0.0,
        "start_time": "2025-01-15T10:30:02Z",
        "last_meter": 3.0,
        "full_name": "John Doe",
        "charger_id": "LIVOLTEK_01",
        "connector_id": 1,
        "energy_kwh": 3.0,
        "power_w": 10_800,
        "last_update": "2025-01-15T10:49:46Z",
        "state": "charging",
    }
    assert forecast.startswith("2025-01-16T00:2")  # 147 kWh later at 10.8 kW
    assert here.usage() == {"RFID001": 3.0}
    assert here.status()["sessions"] == 1


async def test_a_livoltek_session_is_booked_to_the_wh(site: SiteFactory) -> None:
    """A session register in whole kWh: 3.6 kWh flow, 3 show, 3 are booked, everywhere the same (rules 3, 4, 8)."""
    here = await site()
    livoltek = await here.plug("LIVOLTEK_01", LIVOLTEK)

    session = await livoltek.plug_in_and_swipe(1, "RFID001", 10_800)
    await here.advance(1200)
    await livoltek.stop()
    await here.published()

    assert (session.energy_wh, session.meter_stop) == (3600, 3)
    assert here.usage() == {"RFID001": 3.0}
    assert here.active() == {}
    charger = here.chargers()["LIVOLTEK_01"]
    assert charger["name"] == "LIVOLTEK_01"
    assert charger["brand"] == "LIVOLTEK"
    assert charger["status"] == "Available"
    assert charger["total_energy_delivered"] == 3.0
    assert charger["connector_id"] == 1
    assert charger["last_heartbeat"] == "2025-01-15T10:50:00Z"
    assert charger["resolution_wh"] == 1000
    assert here.sessions() == [
        {
            "transaction": str(session.transaction_id),
            "charger_id": "LIVOLTEK_01",
            "charger": "LIVOLTEK_01",
            "connector": "1",
            "id_tag": "RFID001",
            "name": "John Doe",
            "start": "2025-01-15 13:30:02",
            "end": "2025-01-15 13:50:02",
            "start_utc": "2025-01-15T10:30:02Z",
            "end_utc": "2025-01-15T10:50:02Z",
            "energy_kwh": "3.0",
            "duration_min": "20",
            "reason": "stopped at the charge point",
            "flags": "",
        }
    ]
    assert here.problems() == []


async def test_the_meter_log_holds_what_a_livoltek_said(site: SiteFactory) -> None:
    """meter_data_log.json: seven fields, register in kWh, true power, the frequency as reported (docs/files.md)."""
    here = await site()
    livoltek = await here.plug("LIVOLTEK_01", LIVOLTEK)

    await livoltek.plug_in_and_swipe(1, "RFID001", 10_800)
    await here.advance(384)  # 12 samples: 1.152 kWh
    await here.published()

    log = here.log()
    assert len(log) == 12
    assert [entry["deliveredEnergy"] for entry in log] == [0.0] * 10 + [1.0] * 2
    assert log == sorted(log, key=lambda entry: entry["timestamp"])
    identity = log[-1].pop("ID")
    assert identity not in {entry.get("ID") for entry in log}
    assert log[-1] == {
        "timestamp": "2025-01-15T10:36:26Z",
        "userName": "John Doe",
        "chargerName": "LIVOLTEK_01",
        "totalPower": 10_800,
        "deliveredEnergy": 1.0,
        "frequency": 50.0,
    }


async def test_an_evlink_session_is_booked_to_the_wh(site: SiteFactory) -> None:
    """A lifetime register in Wh, no power told, a slash in the id: 179 Wh a minute are 10.74 kW (rules 4 and 6)."""
    here = await site()
    evlink = await here.plug("SCHNEIDER/EVlinkProAC", EVLINK)

    session = await evlink.plug_in_and_swipe(1, "RFID002", 10_740)
    await here.advance(599)
    running = here.active()[str(session.transaction_id)]
    log = here.log()
    await here.advance(1)
    await evlink.stop()
    await here.published()

    assert (running["start_meter"], running["last_meter"]) == (793.477, 795.088)
    assert (running["energy_kwh"], running["power_w"]) == (1.611, 10_740)
    assert running["charger_id"] == "SCHNEIDER/EVlinkProAC"
    assert [entry["deliveredEnergy"] for entry in log] == [round(793.477 + n * 0.179, 3) for n in range(1, 10)]
    assert {entry["totalPower"] for entry in log} == {10_740}
    assert {entry["frequency"] for entry in log} == {None}
    assert {entry["chargerName"] for entry in log} == {"SCHNEIDER/EVlinkProAC"}
    assert here.usage() == {"RFID002": 1.79}
    assert here.chargers()["SCHNEIDER/EVlinkProAC"]["total_energy_delivered"] == 1.79
    assert here.chargers()["SCHNEIDER/EVlinkProAC"]["brand"] == "SCHNEIDER"
    (row,) = here.sessions()
    assert (row["charger_id"], row["energy_kwh"], row["duration_min"]) == ("SCHNEIDER/EVlinkProAC", "1.79", "10")
    assert here.problems() == []


async def test_the_transaction_data_of_a_stop_is_not_added_on_top(site: SiteFactory) -> None:
    """StopTransaction.transactionData holds readings of the session, not more energy (rule 7)."""
    here = await site()
    evlink = await here.plug("CP1", EVLINK, behaviour=Behaviour(transaction_data=True))

    await evlink.plug_in_and_swipe(1, "RFID001", 12_000)
    await here.advance(90)
    await evlink.stop()
    await here.published()

    assert here.usage() == {"RFID001": 0.3}
    assert here.problems() == []


async def test_two_connectors_are_two_sessions(site: SiteFactory) -> None:
    """Each session on a connector of one charge point is its own driver's (rules 20 and 21)."""
    here = await site()
    charge_point = await here.plug("CP1", EVLINK, connectors=2)

    await charge_point.plug_in_and_swipe(1, "RFID001", 6000)
    await charge_point.plug_in_and_swipe(2, "RFID002", 12_000)
    await here.advance(300)
    await charge_point.stop(1)
    await here.advance(300)
    await charge_point.stop(2)
    await here.published()

    assert here.usage() == {"RFID001": 0.5, "RFID002": 2.0}
    assert here.chargers()["CP1"]["total_energy_delivered"] == 2.5
    assert here.problems() == []


async def test_a_month_of_sessions_adds_up(site: SiteFactory) -> None:
    """Session after session, on both brands and over a restart: usage, chargers and rows agree to the Wh."""
    here = await site()
    livoltek = await here.plug("LIVOLTEK_01", LIVOLTEK)
    evlink = await here.plug("SCHNEIDER/EVlinkProAC", EVLINK)

    for seconds in (300, 420, 30):
        for charge_point, tag in ((livoltek, "RFID001"), (evlink, "RFID002")):
            await charge_point.plug_in_and_swipe(1, tag, 18_000)
        await here.advance(seconds)
        await livoltek.stop()
        await evlink.stop()
    await here.restart()
    await here.published()

    assert here.usage() == {"RFID001": 3.0, "RFID002": 3.75}  # whole kWh: 1 of 1.5, 2 of 2.1, none of 0.15
    assert [row["energy_kwh"] for row in here.sessions()] == ["1.0", "1.5", "2.0", "2.1", "0.0", "0.15"]
    assert {name: row["total_energy_delivered"] for name, row in here.chargers().items()} == {
        "LIVOLTEK_01": 3.0,
        "SCHNEIDER/EVlinkProAC": 3.75,
    }
    assert here.problems() == []


async def test_a_charge_point_that_is_gone_is_offline(site: SiteFactory) -> None:
    """charger_status.json: Offline after the connection ended, what it delivered stays (docs/files.md)."""
    here = await site()
    evlink = await here.plug("SCHNEIDER/EVlinkProAC", EVLINK)
    await evlink.plug_in_and_swipe(1, "RFID001", 12_000)
    await here.advance(61)
    while_charging = here.chargers()["SCHNEIDER/EVlinkProAC"]

    await evlink.close()
    await here.until(lambda: not here.server.gateway.connected())
    await here.advance(12)  # server_status.json is written every ten seconds

    assert (while_charging["status"], while_charging["connected"]) == ("Charging", True)
    charger = here.chargers()["SCHNEIDER/EVlinkProAC"]
    assert (charger["status"], charger["connected"]) == ("Offline", False)
    assert charger["total_energy_delivered"] == 0.2
    assert here.status()["connected_chargers"] == 0


async def test_the_meter_log_never_grows_beyond_500(site: SiteFactory) -> None:
    """Of 700 readings the newest 500 stay, oldest first, also over a restart (docs/files.md)."""
    here = await site()
    raw = await here.connect()
    transaction, _ = await raw.start(ago_s=700)

    for hundred in range(0, 700, 100):
        values = [
            {"timestamp": raw.stamp(700 - second), "sampledValue": [{"value": str(second), "unit": "Wh"}]}
            for second in range(hundred + 1, hundred + 101)
        ]
        payload = {"connectorId": 1, "transactionId": transaction, "meterValue": values}
        await raw.call("MeterValues", payload)
    await here.published()
    log = here.log()
    await here.restart()

    assert [entry["deliveredEnergy"] for entry in log] == [number / 1000 for number in range(201, 701)]
    assert len({entry["ID"] for entry in log}) == 500
    assert here.log() == log
    assert here.usage() == {"RFID001": 0.7}
