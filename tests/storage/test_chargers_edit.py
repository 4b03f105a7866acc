"""`storage.chargers_edit`: a decision reaches chargers.csv, and no other byte of the administrator's file changes."""

import csv
import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_server.storage.chargers_csv import COLUMNS, ChargersFileError, parse_chargers
from ocpp_server.storage.chargers_edit import with_approval, with_lock

NOTE = "approved 2026-11-20"
HEADER = ",".join(COLUMNS)


def approved(content: bytes, charge_point_id: str) -> bool | None:
    return parse_chargers(content, {}).table[charge_point_id].approved


@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n"])
def test_a_file_that_is_not_there_is_begun(content: bytes) -> None:
    """With its header, and one row that leaves the approval to the ledger."""
    assert with_approval(content, "CP1", note=NOTE) == f"{HEADER}\nCP1,,,,,,,,{NOTE},\n".encode()


ADDED = {
    "commas": (b"charger_id,note\nA,x\n", b"CP1," + NOTE.encode() + b"\n"),
    "semicolons": (b"charger_id;name;note\r\nA;b;c\r\n", b"CP1;;" + NOTE.encode() + b"\r\n"),
    "tabs": (b"note\tcharger_id\nx\tA\n", NOTE.encode() + b"\tCP1\n"),
    "old line ends": (b"charger_id,note\rA,x\r", b"CP1," + NOTE.encode() + b"\r"),
    "no end of the last line": (b"charger_id,note\r\nA,x", b"\r\nCP1," + NOTE.encode() + b"\r\n"),
    "no end at all": (b"charger_id,note", b"\nCP1," + NOTE.encode() + b"\n"),
    "no note": (b"charger_id,name\nA,x\n", b"CP1,\n"),
    "unknown columns": (b"Colour,charger_id,,note\nred,A,,x\n", b",CP1,," + NOTE.encode() + b"\n"),
    "Excel's hint": (b"sep=;\r\ncharger_id;note\r\nA;x\r\n", b"CP1;" + NOTE.encode() + b"\r\n"),
    "blank lines": (b"\n\ncharger_id,note\n\nA,x\n\n\n", b"CP1," + NOTE.encode() + b"\n"),
    "byte order mark": ("\ufeffcharger_id,note\nŞ,x\n".encode(), b"CP1," + NOTE.encode() + b"\n"),
    "code page": ("charger_id,note\nA,Şule\n".encode("cp1254"), b"CP1," + NOTE.encode() + b"\n"),
    "another spelling": (b"charger_id,note\ncp1,x\n", b"CP1," + NOTE.encode() + b"\n"),
    "quotes": (b'charger_id,note\n"A","x ""y"", \n z"\n', b"CP1," + NOTE.encode() + b"\n"),
}


@pytest.mark.parametrize(("content", "added"), ADDED.values(), ids=ADDED.keys())
def test_a_row_is_added_at_the_end(content: bytes, added: bytes) -> None:
    """Every byte that was there stays."""
    changed = with_approval(content, "CP1", note=NOTE)

    assert changed == content + added
    assert approved(changed, "CP1") is None


@pytest.mark.parametrize(("encoding", "mark"), [("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")])
def test_utf_16_keeps_its_byte_order(encoding: str, mark: bytes) -> None:
    """What Excel calls Unicode text."""
    content = mark + "charger_id\tnote\r\nA\tŞule\r\n".encode(encoding)

    assert with_approval(content, "CP1", note=NOTE) == content + f"CP1\t{NOTE}\r\n".encode(encoding)


TURNED = {
    "no": (b"charger_id,approved\nCP1,no\nCP2,no\n", b"charger_id,approved\nCP1,TRUE\nCP2,no\n"),
    "in quotes": (b'charger_id;approved;x\r\n"CP1"; "FALSE" ;"y;"\r\n', None),
    "Turkish": (
        "charger_id,approved,name\nCP1, hayır,Şule\n".encode(),
        "charger_id,approved,name\nCP1, TRUE,Şule\n".encode(),
    ),
    "two rows": (b"approved,charger_id\n0,CP1\n,CP2\nFalse,CP1\n", b"approved,charger_id\nTRUE,CP1\n,CP2\nTRUE,CP1\n"),
    "a name over two lines": (
        b'charger_id,name,approved\nCP2,"a\n""CP1"",no",yes\nCP1,b,no\n',
        b'charger_id,name,approved\nCP2,"a\n""CP1"",no",yes\nCP1,b,TRUE\n',
    ),
}


@pytest.mark.parametrize(("content", "expected"), TURNED.values(), ids=TURNED.keys())
def test_a_row_that_says_no_is_turned(content: bytes, expected: bytes | None) -> None:
    """Else an approval would have no effect: the file goes before the ledger."""
    if expected is None:  # strict CSV has no blanks after a closing quote
        with pytest.raises(ChargersFileError):
            with_approval(content, "CP1", note=NOTE)
        return
    changed = with_approval(content, "CP1", note=NOTE)

    assert changed == expected
    assert approved(changed, "CP1") is True


@pytest.mark.parametrize("row", [b"CP1,,yes", b"CP1,,", b"CP1", b'"CP1",x'])
def test_a_row_that_does_not_say_no_stays(row: bytes) -> None:
    """Nothing is written, so no editor finds its file changed."""
    assert with_approval(b"charger_id,name,approved\n" + row + b"\n", "CP1", note=NOTE) is None


def test_a_lock_turns_a_row_that_says_yes() -> None:
    """Blank cells and the rows of others stay."""
    content = b"charger_id,approved,name\r\nCP1,EVET,a\r\nCP2,yes,b\r\nCP1,1,c\r\nCP1,,d"

    assert with_lock(content, "CP1") == (
        b"charger_id,approved,name\r\nCP1,FALSE,a\r\nCP2,yes,b\r\nCP1,FALSE,c\r\nCP1,,d"
    )


@pytest.mark.parametrize(
    "content", [b"", b"charger_id\nCP1\n", b"charger_id,approved\nCP1,no\nCP2,yes\n", b"charger_id,approved\nCP2,yes\n"]
)
def test_a_lock_changes_nothing_where_no_row_says_yes(content: bytes) -> None:
    """The ledger locks."""
    assert with_lock(content, "CP1") is None


UNREADABLE = {
    "no header": b"CP1,yes\n",
    "open quote": b'charger_id,name\nCP2,"x\n',
    "half a letter": "charger_id,name\nCP2,ğş".encode()[:-1],
    "NUL": b"charger_id\nCP2\0\n",
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_file_that_cannot_be_read_is_left(content: bytes) -> None:
    """And the reason is told."""
    for edit in (lambda: with_approval(content, "CP1", note=NOTE), lambda: with_lock(content, "CP1")):
        with pytest.raises(ChargersFileError, match=r"chargers\.csv"):
            edit()


@pytest.mark.parametrize("row", ["CP1,abc,no", "CP1,1,no,,,,,,,,,,,x"])
def test_a_row_with_another_mistake_is_left_to_the_person(row: str) -> None:
    """Turning its cell would not put it in force: the row is bad."""
    content = f"charger_id,max_kw,approved\n{row}\n".encode()
    with pytest.raises(ChargersFileError, match="edit it by hand"):
        with_approval(content, "CP1", note=NOTE)


_CELLS = st.text(st.sampled_from('ab,;\t"\r\n Ş=1'), max_size=6)


@given(
    st.lists(st.tuples(st.sampled_from(["CP1", "CP2", "A/B"]), st.sampled_from(["no", "yes", ""]), _CELLS), max_size=5),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_any_table_says_what_was_decided_and_the_same_of_all_others(
    rows: list[tuple[str, str, str]], delimiter: str, line_end: str, encoding: str
) -> None:
    """As a spreadsheet writes it, or the file is left."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=line_end)
    writer.writerow(["charger_id", "approved", "colour"])
    writer.writerows(rows)
    content = stream.getvalue().encode(encoding)
    before = parse_chargers(content, {}).table
    with suppress(ChargersFileError):
        changed = with_approval(content, "CP1", note=NOTE)
        after = parse_chargers(content if changed is None else changed, {}).table
        assert after.pop("CP1").approved is not False
        assert after == {name: row for name, row in before.items() if name != "CP1"}
    with suppress(ChargersFileError):
        locked = with_lock(content, "CP1")
        after = parse_chargers(content if locked is None else locked, {}).table
        assert "CP1" not in after or after["CP1"].approved is not True
