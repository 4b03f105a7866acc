"""The front door: what is a frame, what can be saved, what is refused, and that nothing gets through as an error."""

import json
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ocpp.messages import Call as LibraryCall
from ocpp.messages import unpack

from ocpp_server.ocpp16.frames import (
    Call,
    CallError,
    CallResult,
    Unreadable,
    decode,
    encode_call,
    encode_error,
    encode_result,
)

METER_VALUES = json.dumps(
    [
        2,
        "m1",
        "MeterValues",
        {
            "connectorId": 1,
            "transactionId": 12,
            "meterValue": [
                {
                    "timestamp": "2026-11-20T10:35:00Z",
                    "sampledValue": [{"value": "123456", "unit": "Wh"}, {"value": "7200", "unit": "W"}],
                }
            ],
        },
    ]
)


@pytest.mark.parametrize(
    ("raw", "frame"),
    [
        ('[2,"1","Heartbeat",{}]', Call("1", "Heartbeat", {})),
        (b'[2,"1","Heartbeat",{}]', Call("1", "Heartbeat", {})),
        ('[2,"1","Heartbeat"]', Call("1", "Heartbeat", {})),
        ('[2,"1","Heartbeat",null]', Call("1", "Heartbeat", {})),
        ('["2","1","Heartbeat",{}]', Call("1", "Heartbeat", {})),
        ('[2.0,"1","Heartbeat",{}]', Call("1", "Heartbeat", {})),
        ('[2,"1","Heartbeat",{},"more",7]', Call("1", "Heartbeat", {})),
        ('[2,17,"Heartbeat",{}]', Call("17", "Heartbeat", {})),
        ('[2,"","Heartbeat",{}]', Call("", "Heartbeat", {})),
        ('[2,"1","Heartbeat",{"a":1,"a":2}]', Call("1", "Heartbeat", {"a": 2}, has_duplicate_keys=True)),
        (f'[2,"{"x" * 255}","Heartbeat",{{}}]', Call("x" * 255, "Heartbeat", {})),
        ('[3,"1",{"status":"Accepted"}]', CallResult("1", {"status": "Accepted"})),
        ('[3,"1"]', CallResult("1", {})),
        ('[3,"1",null]', CallResult("1", {})),
        ('["3","1",[1]]', CallResult("1", {}, is_object=False)),
        ('[3,"1","Rejected"]', CallResult("1", {}, is_object=False)),
        ('[4,"1","NotSupported","no",{}]', CallError("1", "NotSupported", "no")),
        ('[4,"1","NotSupported","no"]', CallError("1", "NotSupported", "no")),
        ('[4,"1","NotSupported"]', CallError("1", "NotSupported", "")),
        ('[4,"1"]', CallError("1", "GenericError", "")),
        ('[4,"1",null,null,null]', CallError("1", "GenericError", "")),
        ('[4,"1",7,{"a":1},"no"]', CallError("1", "7", '{"a": 1}')),
        ('[4,"1","InternalError","",{"a":1}]', CallError("1", "InternalError", "", {"a": 1})),
    ],
)
def test_frames_are_recognised(raw: str | bytes, frame: object) -> None:
    """OCPP-J §4.2; null is a legal notation for an empty payload (§4.2.1)."""
    assert decode(raw) == frame


@pytest.mark.parametrize(
    ("raw", "payload"),
    [
        (b'\xef\xbb\xbf[2,"1","A",{"a":1}]', {"a": 1}),
        (b'[2,"1","A",{"a":"x\x00y"}]\x00\x00', {"a": "xy"}),
        (b'[2,"1","A",{"a":"x\ny"}]', {"a": "x\ny"}),
        (b'[2,"1","A",\r\n {"a":\t1}\r\n]\r\n', {"a": 1}),
        (b'[2,"1","A",{"a":"caf\xe9"}]', {"a": "caf�"}),
        (b'[2,"1","A",{"a":"\\ud800"}]', {"a": "\ud800"}),
        (b'[2,"1","A",{"transactionId":,"b":2}]', {"transactionId": None, "b": 2}),
        (b'[2,"1","A",{"a":1,"b": }]', {"a": 1, "b": None}),
        (b'[2,"1","A",{,"a":1}]', {"a": 1}),
        (b'[2,"1","A",{"a":[1,2,],}]', {"a": [1, 2]}),
        (b'[2,"1","A",{"a":":,]","b":,}]', {"a": ":,]", "b": None}),
        (b',[2,"1","A",{"a":1}]', {"a": 1}),
        (b'[2,"1","A",{"a":' + b"7" * 5000 + b"}]", {"a": "7" * 41}),
    ],
)
def test_mistakes_that_chargers_make_are_read_past(raw: bytes, payload: object) -> None:
    """AEFA Home leaves a value out, Beny a comma in, Wallbe a NUL: the energy in such a frame is not lost."""
    assert decode(raw) == Call("1", "A", payload)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "word", ["NaN", "Infinity", "-Infinity", "1e999", "-NaN", "nan", "-nan", "inf", "-inf", "+INF"]
)
def test_what_is_no_finite_number_costs_only_its_sample(word: str) -> None:
    """NaN is no JSON, but its frame holds other readings (T9)."""
    frame = decode(f'[2,"1","MeterValues",{{"a":{word},"b":"5"}}]')

    assert isinstance(frame, Call)
    assert frame.payload["b"] == "5"
    assert not math.isfinite(frame.payload["a"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("raw", "unique_id", "code"),
    [
        ('[2,"1"]', "1", "ProtocolError"),
        ('[2,"1",["Heartbeat"],{}]', "1", "FormationViolation"),
        ('[2,"1",{"a":1},{}]', "1", "FormationViolation"),
        ('[2,"1","Heartbeat",[1]]', "1", "FormationViolation"),
        ('[2,"1","Heartbeat","text"]', "1", "FormationViolation"),
        ('[2,"1","Heartbeat",{"a":', "1", "FormationViolation"),
        ('[2,"1","Heartbeat",{a:1}]', "1", "FormationViolation"),
        ("[2, 17 ,Heartbeat]", "17", "FormationViolation"),
        ('[2,"1","A",' + "[" * 5000 + "]" * 5000 + "]", "1", "FormationViolation"),
        ('[2,"1","A",' + '{"a":' * 16 + "1" + "}" * 16 + "]", "1", "FormationViolation"),
        ("[2]", None, None),
        ('[2,null,"Heartbeat",{}]', None, None),
        ('[2,true,"Heartbeat",{}]', None, None),
        ('[2,{},"Heartbeat",{}]', None, None),
        (f'[2,"{"x" * 256}","Heartbeat",{{}}]', None, None),
        ('[1,"1","Heartbeat",{}]', None, None),
        ('[5,"1","Heartbeat",{}]', None, None),
        ('[[],"1","Heartbeat",{}]', None, None),
        ('[3,"1",{', None, None),
        ("{}", None, None),
        ("[]", None, None),
        ("7", None, None),
        ("", None, None),
        ("hello", None, None),
        (b"\xff\xfe\x00", None, None),
        ("[" * 100_000, None, None),
    ],
)
def test_what_is_no_frame_has_an_id_only_where_a_call_waits(
    raw: str | bytes, unique_id: str | None, code: str | None
) -> None:
    """OCPP-J §4.2.3 for calls; the payload of an unknown message type is ignored (§4.1.3)."""
    frame = decode(raw)

    assert isinstance(frame, Unreadable)
    assert frame.unique_id == unique_id
    assert code is None or frame.code == code


@pytest.mark.parametrize(
    "payload",
    [
        '{"idTag":"A","idTag":"B"}',
        '{"idTag": "A", "x": {}, "idTag": "A"}',
        '{"meterValue":[{"sampledValue":[{"value":"1"},{"value":"1","value":"2"}]}]}',
        '{"a":"says \\":","b":1,"b":2}',
        '{"a":,"a":1}',
        '{"a":NaN,"a":1}',
    ],
)
def test_keys_that_are_there_twice_are_noticed(payload: str) -> None:
    """T9: the decoder lets the last one win and says nothing; the front door counts."""
    frame = decode(f'[2,"1","A",{payload}]')

    assert isinstance(frame, Call)
    assert frame.has_duplicate_keys


@given(
    st.dictionaries(st.text(), st.text() | st.dictionaries(st.text(), st.text()) | st.lists(st.text())), st.booleans()
)
@example({"a\\": '":', '":"': '\\":', "": {}}, True)
@settings(max_examples=300)
def test_keys_that_are_there_once_are_not(payload: dict[str, object], is_ascii: bool) -> None:
    """Whatever their texts look like."""
    frame = decode(json.dumps([2, "1", "A", payload], ensure_ascii=is_ascii).encode("utf-8", "surrogatepass"))

    assert isinstance(frame, Call)
    assert not frame.has_duplicate_keys


def test_brackets_in_text_are_no_nesting() -> None:
    """The depth is counted outside of strings, before anything could recurse (T9)."""
    text = "[{" * 500 + '\\"[['
    assert decode(json.dumps([2, "1", "A", {"a": text}])) == Call("1", "A", {"a": text})


def test_many_samples_are_not_deep() -> None:
    """transactionData of a long session has thousands of brackets on five levels (T10)."""
    samples = [{"timestamp": "t", "sampledValue": [{"value": "1"}]}] * 3000
    frame = decode(json.dumps([2, "1", "StopTransaction", {"transactionData": samples}]))

    assert isinstance(frame, Call)
    assert len(frame.payload["transactionData"]) == 3000  # type: ignore[arg-type]


def test_answers_are_read_by_the_library() -> None:
    """OCPP-J §4.2: four, three and five elements."""
    call = unpack(encode_call("1", "Reset", {"type": "Soft"}).decode())
    assert isinstance(call, LibraryCall)
    assert (call.unique_id, call.action, call.payload) == ("1", "Reset", {"type": "Soft"})
    assert json.loads(encode_result("1", {"status": "Accepted"})) == [3, "1", {"status": "Accepted"}]
    assert json.loads(encode_error("1", "NotSupported", "no\n")) == [4, "1", "NotSupported", "no\\n", {}]


def test_a_message_id_that_is_no_unicode_is_echoed_escaped() -> None:
    """OCPP-J §4.1.4: the answer carries the id of its call, whatever that is."""
    frame = decode(b'[2,"\\ud800","Heartbeat",{}]')

    assert isinstance(frame, Call)
    assert encode_result(frame.unique_id, {}) == b'[3,"\\ud800",{}]'


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def _answerable(frame: object) -> None:
    """Whatever came in, an answer to it can be encoded."""
    if isinstance(frame, Call):
        assert isinstance(json.loads(encode_result(frame.unique_id, {})), list)
    if isinstance(frame, Unreadable) and frame.unique_id is not None:
        assert isinstance(json.loads(encode_error(frame.unique_id, frame.code, frame.reason)), list)


@given(st.binary() | st.text(alphabet=st.characters()))
@example(b'[2,"1","A",{"a":"\\')
@settings(max_examples=500, deadline=None)
def test_no_bytes_raise(raw: bytes | str) -> None:
    """T9: every exception ends in an answer or is ignored."""
    _answerable(decode(raw))


@given(st.lists(JSON, max_size=6) | JSON, st.sampled_from(["", "[2,", '[2,"1",']))
@settings(max_examples=500, deadline=None)
def test_no_structure_raises(value: object, head: str) -> None:
    """T9: also with NaN, huge integers and lone surrogates."""
    _answerable(decode(head + json.dumps(value)[bool(head) :]))


@given(st.data())
@settings(max_examples=500, deadline=None)
def test_no_mutation_of_a_real_frame_raises(data: st.DataObject) -> None:
    """T9: bytes replaced, dropped and doubled."""
    raw = bytearray(METER_VALUES.encode())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 8))] = data.draw(
            st.binary(max_size=4) | st.sampled_from([b'"', b"[", b"{", b"}", b",", b":", b"\\", b"\x00", b"NaN"])
        )
    _answerable(decode(bytes(raw)))
