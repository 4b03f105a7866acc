"""`storage.users_edit`: users change in users1.csv, and no other byte of the administrator's file does."""

import csv
import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_server.core.energy import Wh
from ocpp_server.core.users import IdTag, UserTable
from ocpp_server.storage.users_csv import UsersFileError, parse_users
from ocpp_server.storage.users_edit import (
    COLUMNS,
    BadUserError,
    etag_of,
    export_users,
    import_users,
    quota_text,
    rows_of,
    spelling_of,
    with_users,
)

HEADER = "id_tag,name,surname,quota_kwh,unlimited"
NEW = {"name": "Ann", "surname": "Lee", "quota_kwh": "20.5", "unlimited": "FALSE"}


def users(content: bytes) -> UserTable:
    return parse_users(content, UserTable()).table


@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n"])
def test_a_file_that_is_not_there_is_begun(content: bytes) -> None:
    """With every column that means something."""
    assert with_users(content, {"N": NEW}) == f"{','.join(COLUMNS)}\nN,Ann,Lee,20.5,FALSE,,,,,\n".encode()


KEPT = {
    "cells": (f"{HEADER}\nA,a,b,1,no\nB,c,d,2,no\n", {"A": {"quota_kwh": "7"}}, f"{HEADER}\nA,a,b,7,no\nB,c,d,2,no\n"),
    "quotes": (
        f'{HEADER}\r\n"A", "a","b""",1,no\r\n',
        {"A": {"name": 'x"y'}},
        f'{HEADER}\r\n"A", "x""y","b""",1,no\r\n',
    ),
    "semicolons and a decimal comma": (
        f"{HEADER}\nA,a,b,1,no\n".replace(",", ";"),
        {"A": {"quota_kwh": "7.25"}},
        f"{HEADER}\nA,a,b,#,no\n".replace(",", ";").replace("#", '"7,25"'),
    ),
    "unknown columns in any order": (
        "Colour\tunlimited\tsurname\tid_tag\t\tquota_kwh\tname\rred\tno\tb\tA\tş\t1\ta\r",
        {"A": {"surname": "Ş"}},
        "Colour\tunlimited\tsurname\tid_tag\t\tquota_kwh\tname\rred\tno\tŞ\tA\tş\t1\ta\r",
    ),
    "old header": ("id_tag,Header Name,surname,quota_kwh,unlimited\nA,a,b,1,no", {"A": {"name": "c"}}, None),
    "a column that is missing": (
        f"{HEADER}\nA,a,b,1,no\nB,c,d,2,no\n",
        {"B": {"blocked": "TRUE"}},
        f"{HEADER},blocked\nA,a,b,1,no\nB,c,d,2,no,TRUE\n",
    ),
    "Excel's hint and a name over two lines": (
        f'sep=,\n\n{HEADER}\nA,"x\nA,y",b,1,no\nB,c,d,2,no',
        {"B": {"name": "e"}},
        f'sep=,\n\n{HEADER}\nA,"x\nA,y",b,1,no\nB,e,d,2,no',
    ),
    "a formula": (f"{HEADER}\nA,a,b,1,no\n", {"A": {"name": "=1+1"}}, f"{HEADER}\nA,'=1+1,b,1,no\n"),
    "all rows of a tag": (
        f"{HEADER}\nA,a,b,1,no\nA,a,b,2,no\n",
        {"A": {"quota_kwh": "3"}},
        f"{HEADER}\nA,a,b,3,no\nA,a,b,3,no\n",
    ),
}


@pytest.mark.parametrize(("before", "edits", "after"), KEPT.values(), ids=KEPT.keys())
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1254"])
def test_only_the_cells_that_change_do(
    before: str, edits: dict[str, dict[str, str]], after: str | None, encoding: str
) -> None:
    """Delimiter, line ends, quotes, order, unknown columns and encoding stay."""
    wanted = before.replace("A,a,", "A,c,") if after is None else after

    assert with_users(before.encode(encoding), edits) == wanted.encode(encoding)


@pytest.mark.parametrize(("encoding", "mark"), [("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")])
def test_utf_16_keeps_its_byte_order(encoding: str, mark: bytes) -> None:
    """What Excel calls Unicode text."""
    text = HEADER.replace(",", "\t") + "\r\nA\tŞule\tb\t1\tno\r\n"

    changed = with_users(mark + text.encode(encoding), {"A": {"quota_kwh": "2"}})

    assert changed == mark + text.replace("\t1\t", "\t2\t").encode(encoding)


@pytest.mark.parametrize(
    "change", [{"unlimited": "FALSE"}, {"blocked": "FALSE"}, {"quota_kwh": "150"}, {"account": "A"}]
)
def test_what_says_the_same_already_stays_as_it_is_written(change: dict[str, str]) -> None:
    """`hayır` is FALSE, 150,0 is 150, and whoever has no account is its own."""
    content = f'{HEADER}\nA,a,b,"150,0",hayır\n'.encode()

    assert with_users(content, {"A": change}) is None


def test_a_new_user_gets_a_row_at_the_end() -> None:
    """In the file's own columns, and one more where it is needed."""
    content = b"name,quota_kwh,id_tag,x,surname,unlimited\r\na,1,A,!,b,no"

    changed = with_users(content, {"N": NEW | {"email": "a@b.c", "note": ""}})

    assert changed == (
        b"name,quota_kwh,id_tag,x,surname,unlimited,email\r\na,1,A,!,b,no\r\nAnn,20.5,N,,Lee,FALSE,a@b.c\r\n"
    )


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_user_who_is_removed_takes_all_its_rows_along(end: str) -> None:
    """The others stay."""
    rows = ["A,a,b,1,no", 'B,"c\nd",e,2,no', "A,a,b,1,no", "C,f,g,3,no", "A,a,b,1,no"]
    content = "\n".join([HEADER, *rows]) + end

    assert with_users(content.encode(), {}, ["A"]) == f"{HEADER}\n{rows[1]}\n{rows[3]}\n".encode()


BAD = {
    "no number": ({"quota_kwh": "x"}, "quota_kwh"),
    "no quota": ({"quota_kwh": ""}, "quota_kwh"),
    "no date": ({"expiry_date": "2026-02-30"}, "expiry_date"),
    "no truth": ({"blocked": "perhaps"}, "blocked"),
}


@pytest.mark.parametrize(("change", "column"), BAD.values(), ids=BAD.keys())
def test_what_would_be_a_bad_row_is_refused(change: dict[str, str], column: str) -> None:
    """By column; also for a new user."""
    content = f"{HEADER}\nA,a,b,1,no\n".encode()
    for edits in ({"A": change}, {"N": NEW | change}):
        with pytest.raises(BadUserError) as refused:
            with_users(content, edits)
        assert refused.value.column == column


UNSAFE = {
    "open quote": (f'{HEADER}\nA,"a,b,1,no\n'.encode(), {"A": {"name": "x"}}),
    "no header": (b"A,a,b,1,no\n", {"A": {"name": "x"}}),
    "a sign that the code page lacks": (f"{HEADER}\nA,ş,b,1,no\n".encode("cp1254"), {"A": {"name": "Ж"}}),
    "a quote that would be lost": (f"{HEADER}\nA,a,b,1,no\n".encode(), {"A": {"name": "'=x"}}),
    "a bad row that the new column would make good": (
        f"{HEADER}\nA,a,b,1,no\nB,c,d,1,0,0\n".encode(),
        {"A": {"blocked": "TRUE"}},
    ),
}


@pytest.mark.parametrize(("content", "edits"), UNSAFE.values(), ids=UNSAFE.keys())
def test_a_file_that_cannot_be_edited_safely_is_left(content: bytes, edits: dict[str, dict[str, str]]) -> None:
    """And the reason is told."""
    with pytest.raises(UsersFileError, match=r"users1\.csv"):
        with_users(content, edits)


_CELLS = st.text(st.sampled_from("ab,;\t\"\r\n Ş=1'"), max_size=6)
_TAGS = st.sampled_from(["A", "B", "a", "0012", "=x"])


@given(
    st.lists(st.tuples(_TAGS, _CELLS, st.sampled_from(["1", "2,5", "x", ""]), _CELLS), max_size=5),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    _TAGS,
)
def test_any_table_says_what_was_decided_and_the_same_of_all_others(
    rows: list[tuple[str, str, str, str]], delimiter: str, line_end: str, encoding: str, id_tag: str
) -> None:
    """As a spreadsheet writes it, or the file is left."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=line_end)
    writer.writerow([*HEADER.split(","), "colour"])
    writer.writerows([tag, name, "s", quota, "no", colour] for tag, name, quota, colour in rows)
    content = stream.getvalue().encode(encoding)
    before = users(content)
    with suppress(UsersFileError):
        after = users(with_users(content, {id_tag: NEW | {"blocked": "TRUE"}}) or content)
        user = after.users.pop(IdTag(id_tag))
        assert (user.name, user.quota, user.blocked) == ("Ann", Wh(20_500), True)
        assert after.users == {tag: other for tag, other in before.users.items() if tag != id_tag}
    with suppress(UsersFileError):
        after = users(with_users(content, {}, [id_tag]) or content)
        assert after.users == {tag: other for tag, other in before.users.items() if tag != id_tag}


# --- import and export -----------------------------------------------------------------------------------------------

SITE = f"{HEADER},note\nA,a,b,1,no,x\nB,c,d,2,no,y\n".encode()


def test_an_import_adds_and_changes_and_leaves_the_rest() -> None:
    """Only the columns that it has."""
    plan = import_users(SITE, f"{HEADER},colour\nB,c,d,9,no,red\nC,e,f,3,no,blue\n".encode(), is_replacing=False)

    assert plan.content == f"{HEADER},note\nA,a,b,1,no,x\nB,c,d,9,no,y\nC,e,f,3,no,\n".encode()
    assert (plan.added, plan.removed, plan.changed) == (("C",), (), {"B": ("quota_kwh",)})
    assert (plan.kept, plan.ignored) == (2, ("colour",))


def test_an_import_finds_a_tag_in_another_case() -> None:
    """A second row would make neither match a card; where the file has both spellings, it means two."""
    plan = import_users(SITE, f"{HEADER}\na,a,b,5,no\n".encode(), is_replacing=True)
    assert plan.content == f"{HEADER},note\nA,a,b,5,no,x\n".encode()
    both = import_users(SITE, f"{HEADER}\na,a,b,5,no\nA,a,b,6,no\n".encode(), is_replacing=False)
    assert both.added == ("a",)


def test_an_import_that_replaces_removes_who_is_not_in_it() -> None:
    """In one step."""
    plan = import_users(SITE, f"{HEADER}\nB,c,d,2.0,FALSE\n".encode(), is_replacing=True)

    assert (plan.content, plan.removed, plan.changed) == (f"{HEADER},note\nB,c,d,2,no,y\n".encode(), ("A",), {})


def test_an_import_with_a_bad_row_is_refused_whole() -> None:
    """By line and reason, as the watcher would."""
    with pytest.raises(UsersFileError, match=r'row 2: quota_kwh "x" is not a number'):
        import_users(SITE, f"{HEADER}\nA,a,b,x,no\n".encode(), is_replacing=False)


def test_an_import_of_what_is_there_already_writes_nothing() -> None:
    """Whatever its delimiter."""
    assert import_users(SITE, SITE.replace(b",", b";"), is_replacing=True).content is None


@given(
    st.lists(st.tuples(st.text("AB12-=+@", min_size=1, max_size=8), st.text("ab,;\"'=+-@ Şğ", max_size=8)), max_size=5)
)
def test_what_is_exported_comes_back_the_same(named: list[tuple[str, str]]) -> None:
    """Formulas, quotes and delimiters included (T18)."""
    rows = {
        tag: {"id_tag": tag, "name": name.strip(), **{c: NEW[c] for c in NEW if c != "name"}} for tag, name in named
    }
    rows = {tag: row for tag, row in rows.items() if not row["name"].startswith("'") and not tag.startswith("'")}
    content = export_users(rows.values())

    assert content.startswith(b"\xef\xbb\xbfid_tag,")
    assert rows_of(content) == {tag: {c: text for c, text in row.items() if text} for tag, row in rows.items()}
    assert all(
        cell[:1] not in "=+-@" for line in csv.reader(io.StringIO(content.decode("utf-8-sig"))) for cell in line if cell
    )


def test_a_tag_is_found_in_another_case_if_it_is_the_only_one() -> None:
    """As a card is (rule 13)."""
    assert [spelling_of(tag, ["A", "a", "B"]) for tag in ("A", "a", "b", "x")] == ["A", "a", "B", None]


def test_a_quota_is_written_to_the_wh() -> None:
    """Without zeros that mean nothing."""
    assert [quota_text(kwh) for kwh in (0.0, 100.0, 150.25, 0.1 + 0.2, 12.3456)] == [
        "0",
        "100",
        "150.25",
        "0.3",
        "12.346",
    ]


def test_another_content_has_another_etag() -> None:
    """In quotes, as HTTP wants it."""
    assert etag_of(b"a") != etag_of(b"b")
    assert etag_of(b"a").startswith('"')
