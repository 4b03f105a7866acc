"""What cannot be understood gets the CALLERROR of OCPP-J §4.2.3, or is ignored where there is nobody to answer."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from canaries import CANARY_KEY, CANARY_SECRET
from hostile_site import HostileSite

from ocpp_server.core.records import SAID, NoteKind

SiteFactory = Callable[..., Awaitable[HostileSite]]

FORMATION, PROTOCOL = "FormationViolation", "ProtocolError"
CODES: dict[str, str | None] = {
    '[2,"x"]': PROTOCOL,
    '["2","x"]': PROTOCOL,
    '[2,"x",7,{}]': FORMATION,
    '[2,"x",null,{}]': FORMATION,
    '[2,"x",["Heartbeat"],{}]': FORMATION,
    '[2,"x",{"action":"Heartbeat"},{}]': FORMATION,
    '[2,"x","Heartbeat",[]]': FORMATION,
    '[2,"x","StopTransaction","{}"]': FORMATION,
    '[2,"x","StartTransaction",1]': FORMATION,
    '[2,"x","Heartbeat",{': FORMATION,
    '[2,"x","Heartbeat"': FORMATION,
    '[2,"x",Heartbeat,{}]': FORMATION,
    '[2,"x","MeterValues",' + "[" * 100_000 + "]" * 100_000 + "]": FORMATION,
    '[2,"x","DataTransfer",' + '{"data":' * 16 + "1" + "}" * 16 + "]": FORMATION,
    '[2,"x","MakeCoffee",{}]': "NotImplemented",
    '[2,"x","heartbeat",{}]': "NotImplemented",
    '[2,"x","",{}]': "NotImplemented",
    '[2,"x","TransactionEvent",{}]': "NotImplemented",
    '[2,"x","RemoteStopTransaction",{"transactionId":1}]': "NotSupported",
    '[2,"x","GetConfiguration",{}]': "NotSupported",
    '[2,"x","Reset",{"type":"Hard"}]': "NotSupported",
    "[2]": None,
    "[]": None,
    "{}": None,
    "": None,
    "null": None,
    "garbage": None,
    '[2,null,"Heartbeat",{}]': None,
    '[2,{},"Heartbeat",{}]': None,
    '[1,"x","Heartbeat",{}]': None,
    '[5,"x","Heartbeat",{}]': None,
    '[3,"x",{}]': None,
    '[4,"x","InternalError","",{}]': None,
    '[3,"x",{': None,
}


async def test_the_right_error_for_what_cannot_be_understood(hostile_site: SiteFactory) -> None:
    """OCPP-J §4.2.3: the code, five elements, an object at the end; nothing without an id or a type."""
    site = await hostile_site()
    attacker = await site.hostile("FUZZ-1")
    got: dict[str, str | None] = {}

    for frame in CODES:
        answers = await attacker.volley([frame.encode()])
        got[frame] = answers["x"][0][2] if answers else None
        assert not answers or (answers["x"][0][0], len(answers["x"][0]), answers["x"][0][4]) == (4, 5, {})

    assert got == CODES
    await site.conclude()


async def test_a_key_that_is_there_twice_is_noted_once(hostile_site: SiteFactory) -> None:
    """T9: the last one wins, the message is served, and a note tells of it, once for each action and connection."""
    site = await hostile_site()
    attacker = await site.hostile("FUZZ-1")

    for number in range(3):
        start = f'[2,"{number}","StartTransaction",{{"connectorId":1,"idTag":"nobody","idTag":"FUZZ-TAG-0001"}}]'
        (answer,) = (await attacker.volley([start.encode()]))[str(number)]
        assert answer[2]["idTagInfo"]["status"] == "Accepted"
    for text in ('{"vendorId":"V","data":":\\":"}', json.dumps({"vendorId": ":", "data": {"data": [{"data": 1}]}})):
        await attacker.volley([f'[2,"d","DataTransfer",{text}]'.encode()])

    noted = [note.text for note in site.running.notes(NoteKind.ODDITY) if "names a key twice" in note.text]
    assert noted == ["StartTransaction names a key twice, the last one counts"]
    await site.conclude()


async def test_what_a_broken_message_held_is_in_the_ledger_and_not_in_the_log(
    hostile_site: SiteFactory, canary_watch: Any
) -> None:
    """T16: it may be a secret or a whole tag; whoever has to find out why it was broken finds its begin in the note."""
    site = await hostile_site()
    attacker = await site.hostile("FUZZ-1")

    await attacker.volley([f'[2,"x","Authorize",{{"idTag":"{CANARY_SECRET}"'.encode()])
    await attacker.volley([f'[2,"x","DataTransfer",{{"vendorId":"V","data":"{CANARY_KEY}"}}]'.encode()])

    said = [dict(note.figures).get(SAID, "") for note in site.running.server.central.site.notes]
    assert [CANARY_SECRET in text or text == CANARY_KEY for text in said if text] == [True, True]
    assert canary_watch.leaks == []
    await site.conclude()
