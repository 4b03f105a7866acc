"""`storage.users_csv`: users1.csv as people and spreadsheets write it (docs/files.md, F8)."""

import csv
import io
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_server.core.energy import Wh
from ocpp_server.core.users import Account, IdTag, User, UserTable
from ocpp_server.storage.users_csv import ParsedUsers, UsersFileError, describe_change, parse_users

HEADER = "id_tag,name,surname,quota_kwh,unlimited"
WIDE = "id_tag,name,surname,quota_kwh,unlimited,account,expiry_date,blocked,email,note"
NOBODY = UserTable()
SEED = f"{HEADER}\nRFID001,John,Doe,150,FALSE\nRFID002,Jane,Smith,200,FALSE\nRFID003,Admin,User,0,TRUE\n"


def user(
    tag: str,
    quota_wh: int | None = 150_000,
    *,
    name: str = "John",
    surname: str = "Doe",
    account: str = "",
    blocked: bool = False,
    expiry: date | None = None,
) -> User:
    quota = None if quota_wh is None else Wh(quota_wh)
    return User(IdTag(tag), Account(account or tag), name, surname, quota, blocked, expiry)


def table(*users: User) -> UserTable:
    return UserTable({user.id_tag: user for user in users})


def parse(text: str, last_good: UserTable = NOBODY) -> ParsedUsers:
    return parse_users(text.encode(), last_good)


def messages(parsed: ParsedUsers) -> list[str]:
    return [str(problem) for problem in parsed.problems]


SEED_USERS = table(
    user("RFID001"),
    user("RFID002", 200_000, name="Jane", surname="Smith"),
    user("RFID003", None, name="Admin", surname="User"),
)

SAME_USERS = {
    "as in the specification": SEED.encode(),
    "with the header of the seed file": SEED.replace(",name,", ",header name,").encode(),
    "header in capitals with blanks": SEED.replace(HEADER, " ID_TAG , Name,SURNAME ,Quota_kWh, Unlimited").encode(),
    "header in Turkish capitals": SEED.replace(HEADER, "İD_TAG,NAME,SURNAME,QUOTA_KWH,UNLİMİTED").encode(),
    "header without underscores": SEED.replace("id_tag", "id tag").replace("quota_kwh", "quota kwh").encode(),
    "UTF-8 with BOM, CRLF (Excel CSV UTF-8)": SEED.replace("\n", "\r\n").encode("utf-8-sig"),
    "UTF-16 with tabs, CRLF (Excel Unicode Text)": SEED.replace(",", "\t").replace("\n", "\r\n").encode("utf-16"),
    "semicolons (Excel in Turkish, German, French)": SEED.replace(",", ";").encode(),
    "semicolons and decimal comma": SEED.replace(",", ";").replace("150", "150,0").replace("200", "200,00").encode(),
    "Turkish truth values": SEED.replace("FALSE", "YANLIŞ").replace("TRUE", "DOĞRU").encode(),
    "German truth values": SEED.replace("FALSE", "FALSCH").replace("TRUE", "WAHR").encode(),
    "French truth values": SEED.replace("FALSE", "FAUX").replace("TRUE", "VRAI").encode(),
    "ones and zeros": SEED.replace("FALSE", "0").replace("TRUE", "1").encode(),
    "unlimited left blank where it is false": SEED.replace("FALSE", "").encode(),
    "quota left blank for the unlimited user": SEED.replace(",0,TRUE", ",,TRUE").encode(),
    "a quota for the unlimited user": SEED.replace(",0,TRUE", ",75,TRUE").encode(),
    "everything quoted": re.sub(r"[^,\n]+", r'"\g<0>"', SEED).encode(),
    "blanks around every cell": SEED.replace(",", " , ").encode(),
    "no line end at the end": SEED.rstrip("\n").encode(),
    "blank lines and rows of delimiters": SEED.replace("\n", "\n\n,,,,\n").encode(),
    "delimiters at the end of rows": SEED.replace("\n", ",,,\n").encode(),
    "with the separator hint of Excel": b"sep=,\r\n" + SEED.encode(),
    "old Mac line ends": SEED.replace("\n", "\r").encode(),
    "an identical row twice": SEED.encode() + b"RFID001,John,Doe,150.00,no\n",
    "columns in another order": (
        b"unlimited,quota_kwh,surname,name,id_tag\n"
        b"FALSE,150,Doe,John,RFID001\nFALSE,200,Smith,Jane,RFID002\nTRUE,0,User,Admin,RFID003\n"
    ),
    "an unknown column": SEED.replace("\n", ",flat 7\n").replace("flat 7", "flat", 1).encode(),
    "all optional columns blank": SEED.replace("\n", ",,,,,\n").replace(f"{HEADER},,,,,", WIDE).encode(),
    "rows shorter than the optional columns": SEED.replace(HEADER, WIDE).encode(),
}


@pytest.mark.parametrize("content", SAME_USERS.values(), ids=SAME_USERS.keys())
def test_the_same_users_come_out_of_every_way_to_save_them(content: bytes) -> None:
    """Encoding, delimiter, language, order and spelling of a save change neither a user nor report a problem."""
    parsed = parse_users(content, NOBODY)

    assert parsed.table == SEED_USERS
    assert messages(parsed) == []


ROWS = {
    "tag with leading zeros": ("0012345,John,Doe,150,FALSE", user("0012345")),
    "tag like a number in hex": ("1E5,John,Doe,150,FALSE", user("1E5")),
    "tag like a missing value": ("NA,John,Doe,150,FALSE", user("NA")),
    "tag in lower case": ("rfid001,John,Doe,150,FALSE", user("rfid001")),
    "tag of 20 characters": (f"{'A' * 20},John,Doe,150,FALSE", user("A" * 20)),
    "tag behind the quote of a spreadsheet": ("'+4912,John,Doe,150,FALSE", user("+4912")),
    "quota 0 is no energy": ("A,John,Doe,0,FALSE", user("A", 0)),
    "quota of one Wh": ("A,John,Doe,0.001,FALSE", user("A", 1)),
    "quota with a comma in quotes": ('A,John,Doe,"150,5",FALSE', user("A", 150_500)),
    "quota of a spreadsheet's binary fraction": ("A,John,Doe,150.30000000000001,FALSE", user("A", 150_300)),
    "quota finer than a Wh is rounded half up": ("A,John,Doe,0.0125,FALSE", user("A", 13)),
    "quota with three decimals": ("A,John,Doe,85.125,FALSE", user("A", 85_125)),
    "a very large quota": ("A,John,Doe,1000000000,FALSE", user("A", 10**12)),
    "letters of four alphabets": ("A,Şule,Łódź 王,150,FALSE", user("A", name="Şule", surname="Łódź 王")),
    "a name with a delimiter": ('A,"Doe, John",Jr,150,FALSE', user("A", name="Doe, John", surname="Jr")),
    "a name with doubled quotes": ('A,"John ""JD""",Doe,150,FALSE', user("A", name='John "JD"')),
    "no name at all": ("A,,,150,FALSE", user("A", name="", surname="")),
    "account": ("A,John,Doe,150,FALSE,Flat 3", user("A", account="Flat 3")),
    "last day": ("A,John,Doe,150,FALSE,,2026-02-28", user("A", expiry=date(2026, 2, 28))),
    "blocked": ("A,John,Doe,150,FALSE,,,evet", user("A", blocked=True)),
    "not blocked": ("A,John,Doe,150,FALSE,,,HAYIR", user("A")),
    "email and note": ("A,John,Doe,150,FALSE,,,,j@example.org,parks left", user("A")),
}


@pytest.mark.parametrize(("row", "expected"), ROWS.values(), ids=ROWS.keys())
def test_a_good_row_becomes_exactly_that_user(row: str, expected: User) -> None:
    """Every cell is text first; energy becomes whole Wh."""
    parsed = parse(f"{WIDE}\n{row}\n")

    assert table(expected) == parsed.table
    assert messages(parsed) == []


BAD_ROWS = {
    "words for a quota": ("A,J,D,abc,FALSE", 'quota_kwh "abc" is not a number'),
    "not a number": ("A,J,D,nan,FALSE", 'quota_kwh "nan" is not a number'),
    "infinity": ("A,J,D,inf,FALSE", 'quota_kwh "inf" is not a number'),
    "exponent": ("A,J,D,1e5,FALSE", 'quota_kwh "1e5" is not a number'),
    "negative": ("A,J,D,-5,FALSE", 'quota_kwh "-5" is not a number'),
    "negative behind a quote": ("A,J,D,'-5,FALSE", 'quota_kwh "-5" is not a number'),
    "underscore": ("A,J,D,1_0,FALSE", 'quota_kwh "1_0" is not a number'),
    "thousands and decimals": ('A,J,D,"1.234,5",FALSE', 'quota_kwh "1.234,5" is not a number'),
    "with its unit": ("A,J,D,150 kWh,FALSE", 'quota_kwh "150 kWh" is not a number'),
    "spreadsheet error": ("A,J,D,#REF!,FALSE", 'quota_kwh "#REF!" is not a number'),
    "beyond any quota": ("A,J,D,1000000001,FALSE", 'quota_kwh "1000000001" is more than 1000000000'),
    "blank quota": ("A,J,D,,FALSE", "quota_kwh is blank, a number was expected"),
    "unreadable quota of an unlimited user": ("A,J,D,x,TRUE", 'quota_kwh "x" is not a number'),
    "unknown truth value": ("A,J,D,5,maybe", 'unlimited "maybe" is neither TRUE nor FALSE'),
    "truth value cut short": ("A,J,D,5,FAL", 'unlimited "FAL" is neither TRUE nor FALSE'),
    "row cut short": ("A,J,D,5", "ends before column unlimited"),
    "row cut in its first cell": ("A", "ends before column name"),
    "decimal comma without quotes": ("A,J,D,150,5,FALSE,,,,,,x", "has 12 cells, the header has 10"),
    "unknown blocked": ("A,J,D,5,FALSE,,,perhaps", 'blocked "perhaps" is neither TRUE nor FALSE'),
    "German date": ("A,J,D,5,FALSE,,31.12.2026", 'expiry_date "31.12.2026" is not a date written YYYY-MM-DD'),
    "date without hyphens": ("A,J,D,5,FALSE,,20261231", 'expiry_date "20261231" is not a date written YYYY-MM-DD'),
    "week date": ("A,J,D,5,FALSE,,2026-W01-1", 'expiry_date "2026-W01-1" is not a date written YYYY-MM-DD'),
    "no such day": ("A,J,D,5,FALSE,,2026-02-30", 'expiry_date "2026-02-30" is not a date written YYYY-MM-DD'),
}


@pytest.mark.parametrize(("row", "message"), BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_a_bad_row_is_reported_and_keeps_the_last_good_row_of_its_tag(row: str, message: str) -> None:
    """The message names file, line, column and text; the other rows take effect; the bad one changes nothing."""
    last_good = table(user("A", 7_000, account="Flat 9"), user("GONE"))
    parsed = parse(f"{WIDE}\nB,John,Doe,1,FALSE\n{row}\nC,John,Doe,2,FALSE\n", last_good)

    assert table(user("B", 1_000), last_good.users[IdTag("A")], user("C", 2_000)) == parsed.table
    assert f"users1.csv row 3: {message}" in " ".join(messages(parsed))
    assert {"error"} == {problem.severity for problem in parsed.problems}


@pytest.mark.parametrize("row", [row for row, _ in BAD_ROWS.values()], ids=BAD_ROWS.keys())
def test_a_bad_row_of_a_new_tag_lets_nobody_charge(row: str) -> None:
    """Without a last good row the tag stays unknown (fail closed)."""
    assert parse(f"{WIDE}\n{row}\n").table == NOBODY


def test_a_message_reads_as_the_documentation_shows_it() -> None:
    """The text of a problem is a promise to the dashboard and the `check` command."""
    rows = "\n".join(f"T{number},J,D,5,FALSE" for number in range(2, 7))

    assert messages(parse(f"{HEADER}\n{rows}\nX,J,D,abc,no\n")) == ['users1.csv row 7: quota_kwh "abc" is not a number']


def test_a_row_without_a_tag_is_an_error() -> None:
    """A blank id_tag can match no card."""
    parsed = parse(f"{HEADER}\n ,John,Doe,5,FALSE\n", SEED_USERS)

    assert parsed.table == NOBODY
    assert messages(parsed) == ["users1.csv row 2: id_tag is blank"]


def test_a_tag_with_a_line_break_is_an_error() -> None:
    """A quote that swallowed a line break does not make a card number."""
    parsed = parse(f'{HEADER}\n"A\nB",John,Doe,5,FALSE\n')

    assert parsed.table == NOBODY
    assert messages(parsed) == [
        'users1.csv row 2: id_tag "A\ufffdB" has a line break or another control character in it'
    ]


@pytest.mark.parametrize(
    ("row", "expected", "message"),
    [
        ("1.2E+16,John,Doe,150,FALSE", user("1.2E+16"), 'id_tag "1.2E+16" looks like a number that a spreadsheet'),
        ('"1,2E+16",John,Doe,150,FALSE', user("1,2E+16"), 'id_tag "1,2E+16" looks like a number that a spreadsheet'),
        ("1E+05,John,Doe,150,FALSE", user("1E+05"), 'id_tag "1E+05" looks like a number that a spreadsheet'),
        (f"{'A' * 21},John,Doe,150,FALSE", user("A" * 21), "has more than 20 characters"),
        ("A,John,Doe,1.500,FALSE", user("A", 1_500), 'quota_kwh "1.500" was read as 1.5 kWh'),
        ('A,John,Doe,"2,000",FALSE', user("A", 2_000), 'quota_kwh "2,000" was read as 2 kWh'),
    ],
)
def test_a_suspicious_row_is_accepted_with_a_warning(row: str, expected: User, message: str) -> None:
    """What may be right stays in force, and the administrator is told."""
    parsed = parse(f"{HEADER}\n{row}\n")

    assert table(expected) == parsed.table
    assert [problem.severity for problem in parsed.problems] == ["warning"]
    assert message in messages(parsed)[0]


def test_an_old_windows_file_is_read_as_turkish_with_a_warning() -> None:
    """Şule in cp1254 is not read as Þule, and the report says what was assumed."""
    parsed = parse_users(f"{HEADER}\nA,Şule,Işık,150,FALSE\n".encode("cp1254"), NOBODY)

    assert table(user("A", name="Şule", surname="Işık")) == parsed.table
    assert [problem.severity for problem in parsed.problems] == ["warning"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "users1.csv: the file is empty"),
        (b"\n\n", "users1.csv: the file is empty"),
        (b"id_tag,name,surname,quota_kwh\nA,J,D,5\n", "users1.csv: column unlimited is missing"),
        (SEED.encode()[:20], "users1.csv: column quota_kwh, unlimited is missing"),
        (SEED.partition("\n")[2].encode(), "users1.csv: column id_tag, name, surname, quota_kwh, unlimited is missing"),
        (b"id_tag,name,header name,surname,quota_kwh,unlimited\n", "column name appears twice"),
        (SEED.encode("utf-16")[:-1], "users1.csv: not readable as utf-16"),
        (SEED.encode() + bytes(4096), "users1.csv: contains NUL bytes"),
        (b"PK\x03\x04" + bytes(range(256)), "users1.csv: "),
        (f'{HEADER}\nA,"John,Doe,150,FALSE\nB,J,D,5,FALSE\n'.encode(), "users1.csv row 2: quotes are not closed"),
    ],
)
def test_a_file_that_cannot_be_used_raises_and_gives_no_table(content: bytes, message: str) -> None:
    """A missing column, a wrong file or half a file is one error for the file as a whole."""
    with pytest.raises(UsersFileError) as caught:
        parse_users(content, SEED_USERS)

    assert message in str(caught.value)


def test_a_header_alone_is_a_table_without_users() -> None:
    """That so many users vanish is for `users_file` to doubt."""
    assert ParsedUsers(NOBODY, ()) == parse(f"{HEADER}\n", SEED_USERS)


@pytest.mark.parametrize("cut", range(len(HEADER) + 1, len(SEED)))
def test_a_half_written_file_never_gives_anyone_more_than_before(cut: int) -> None:
    """Wherever a save is cut after the header, a user is the old one, absent, or has less (F9)."""
    parsed = parse_users(SEED.encode()[:cut], SEED_USERS)

    for tag, found in parsed.table.users.items():
        before = SEED_USERS.users[tag]
        assert found == before or (found.quota == 0 and before.quota is None)
    assert set(parsed.table.users) <= set(SEED_USERS.users)


DUPLICATES = {
    "smaller quota": (["A,John,Doe,150,no", "A,John,Doe,20,no"], user("A", 20_000)),
    "limited before unlimited": (["A,John,Doe,,yes", "A,John,Doe,20,no"], user("A", 20_000)),
    "no energy before unlimited": (["A,John,Doe,,yes", "A,John,Doe,0,no"], user("A", 0)),
    "blocked before not blocked": (["A,John,Doe,9,no,,,no", "A,John,Doe,9,no,,,yes"], user("A", 9_000, blocked=True)),
    "every limit of both": (
        ["A,John,Doe,9,no,,,yes", "A,Jane,Doe,5,no,,2026-01-31,no"],
        user("A", 5_000, blocked=True, expiry=date(2026, 1, 31)),
    ),
    "earlier last day": (
        ["A,John,Doe,9,no,,2026-03-01", "A,John,Doe,9,no,,2026-02-01"],
        user("A", 9_000, expiry=date(2026, 2, 1)),
    ),
    "only the name differs": (["A,John,Doe,9,no", "A,Jane,Doe,9,no"], user("A", 9_000)),
}


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize(("rows", "expected"), DUPLICATES.values(), ids=DUPLICATES.keys())
def test_of_rows_that_differ_the_stricter_wins_in_any_order(rows: list[str], expected: User, turn: int) -> None:
    """Two rows for one tag never add up to more than either allows, and the later one is reported."""
    parsed = parse("\n".join([WIDE, *rows[::turn]]))
    found = parsed.table.users[IdTag("A")]

    assert (expected.quota, expected.blocked, expected.expiry_date) == (found.quota, found.blocked, found.expiry_date)
    assert [(problem.line, problem.severity) for problem in parsed.problems] == [(3, "warning")]
    assert 'id_tag "A" is in row 2 too, with other values' in messages(parsed)[0]


def test_a_bad_second_row_of_a_tag_counts_as_its_last_good_row() -> None:
    """A typing mistake in the stricter of two rows does not lift its limit."""
    parsed = parse(f"{HEADER}\nA,John,Doe,150,no\nA,John,Doe,5x,no\n", table(user("A", 5_000)))

    assert table(user("A", 5_000)) == parsed.table


def test_tags_that_differ_only_in_case_are_two_users_and_reported() -> None:
    """A card is matched exactly first, so both rows are of use (accounting rule 13)."""
    parsed = parse(f"{HEADER}\nabc1,John,Doe,1,no\nABC1,John,Doe,2,no\n")

    assert table(user("abc1", 1_000), user("ABC1", 2_000)) == parsed.table
    assert (messages(parsed)) == [
        'users1.csv row 3: id_tag "ABC1" differs only in case from row 2; a card must match one exactly'
    ]


@pytest.mark.parametrize("rows", [["A", "B"], ["B", "A"]])
def test_an_account_whose_rows_disagree_has_the_smallest_quota(rows: list[str]) -> None:
    """All users of the account carry the quota that counts, and the row that asks for more is reported."""
    quota = {"A": "200", "B": "150"}
    lines = [f"{tag},John,Doe,{quota[tag]},no,Flat 3" for tag in rows]
    parsed = parse("\n".join([WIDE, *lines, "C,John,Doe,500,no,Flat 4", "D,John,Doe,900,no,"]))

    assert {tag: found.quota for tag, found in parsed.table.users.items()} == {
        "A": 150_000,
        "B": 150_000,
        "C": 500_000,
        "D": 900_000,
    }
    line, other = rows.index("A") + 2, rows.index("B") + 2
    assert [
        f'users1.csv row {line}: quota_kwh 200 kWh does not count: account "Flat 3" has 150 kWh in row {other}'
    ] == messages(parsed)


def test_a_limited_row_limits_the_unlimited_ones_of_its_account() -> None:
    """Limited before unlimited holds for an account too; unlimited alone stays unlimited."""
    parsed = parse(f"{WIDE}\nA,J,D,,yes,Flat 3\nB,J,D,10,no,Flat 3\nC,J,D,,yes,Flat 4\nD,J,D,,yes,Flat 4\n")

    assert [found.quota for found in parsed.table.users.values()] == [10_000, 10_000, None, None]
    assert (messages(parsed)) == [
        'users1.csv row 2: quota_kwh unlimited does not count: account "Flat 3" has 10 kWh in row 3'
    ]


def test_a_row_may_join_the_account_of_another_rows_tag() -> None:
    """A tag without an account is an account of its own name, which a second card may share."""
    parsed = parse(f"{WIDE}\nA,J,D,10,no,\nB,J,D,10,no,A\n")

    assert [found.account for found in parsed.table.users.values()] == ["A", "A"]


def test_problems_come_in_the_order_of_the_file() -> None:
    """A person reads the report beside the file, from top to bottom."""
    parsed = parse(f"{WIDE}\nA,J,D,9,no,F\nB,J,D,x,no\nC,J,D,5,no,F\nA,J,D,8,no,F\nD,J,D,y,no\n")

    assert [problem.line for problem in parsed.problems] == [2, 3, 5, 6]


LETTERS = st.characters(exclude_categories=("Cs", "Cc", "Cf", "Co", "Cn", "Zs", "Zl", "Zp"), exclude_characters="'")
WORDS = st.lists(st.text(LETTERS, max_size=12), max_size=3).map(lambda words: " ".join(words).strip())


@dataclass(frozen=True)
class Dialect:
    """One way of saving a CSV file."""

    encoding: str
    delimiter: str
    line_end: str
    quoting: int
    decimal_mark: str
    words: tuple[str, str]


DIALECTS = st.builds(
    Dialect,
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from([".", ","]),
    st.sampled_from([("FALSE", "TRUE"), ("hayır", "EVET"), ("YANLIŞ", "DOĞRU"), ("falsch", "wahr"), ("non", "oui")]),
)
USERS = st.builds(
    lambda tag, name, surname, quota, blocked, expiry: user(
        tag, quota, name=name, surname=surname, blocked=blocked, expiry=expiry
    ),
    WORDS.filter(bool),
    WORDS,
    WORDS,
    st.none() | st.integers(0, 10**12),
    st.booleans(),
    st.none() | st.dates(),
)


def write(users: list[User], dialect: Dialect) -> bytes:
    """users1.csv as a spreadsheet with those settings saves it."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=dialect.delimiter, lineterminator=dialect.line_end, quoting=dialect.quoting)
    writer.writerow(["note", "expiry_date", "blocked", "unlimited", "quota_kwh", "surname", "name", "id_tag"])
    for row in users:
        quota = "" if row.quota is None else f"{row.quota // 1000}{dialect.decimal_mark}{row.quota % 1000:03d}"
        expiry = row.expiry_date.isoformat() if row.expiry_date else ""
        words = dialect.words[row.blocked], dialect.words[row.quota is None]
        writer.writerow(["two\nlines", expiry, *words, quota, row.surname, row.name, row.id_tag])
    return text.getvalue().encode(dialect.encoding)


@given(st.lists(USERS, unique_by=lambda row: row.id_tag), DIALECTS)
def test_what_a_spreadsheet_writes_is_what_we_read(users: list[User], dialect: Dialect) -> None:
    """For every dialect the users that were written come back, each of them, to the Wh."""
    parsed = parse_users(write(users, dialect), NOBODY)

    assert table(*users) == parsed.table
    assert [problem for problem in parsed.problems if problem.severity == "error"] == []


@given(st.binary() | st.binary().map(SEED.encode().__add__) | st.text().map(lambda text: f"{SEED}{text}".encode()))
def test_no_content_raises_anything_but_a_file_error(content: bytes) -> None:
    """Whatever the bytes are, the outcome is a table or a UsersFileError."""
    with suppress(UsersFileError):
        parsed = parse_users(content, SEED_USERS)

        assert all(tag == found.id_tag for tag, found in parsed.table.users.items())


@given(st.binary(max_size=8), st.integers(0, len(SEED)))
def test_a_damaged_row_never_raises_a_quota(damage: bytes, place: int) -> None:
    """With a few bytes put in anywhere after the header, a limited tag never becomes unlimited unnoticed."""
    content = SEED.encode()
    place = max(place, len(HEADER) + 1)
    try:
        parsed = parse_users(content[:place] + b"?" + damage + content[place:], SEED_USERS)
    except UsersFileError:
        return

    assert parsed.table.users.get(IdTag("RFID001"), user("RFID001")).quota is not None


def test_a_change_is_told_in_plain_lines() -> None:
    """Each line says what happened to whom, with the figures in kWh."""
    old = table(
        user("A", 5_000), user("B", 10_500), user("C", None), user("D"), user("E", 1), user("F"), user("G"), user("H")
    )
    new = table(
        user("A", 10_000),
        user("B", 0),
        user("C", 2_000),
        user("D", blocked=True),
        user("E", None, expiry=date(2026, 1, 31)),
        user("F", account="Flat 3"),
        user("G", name="Jane"),
        user("I"),
        user("J"),
        user("K"),
    )

    assert describe_change(old, new) == (
        "H removed",
        "3 users added: I, J, K",
        "quota of A raised from 5 to 10 kWh",
        "quota of B lowered from 10.5 to 0 kWh",
        "quota of C lowered from unlimited to 2 kWh",
        "D blocked",
        "quota of E raised from 0.001 kWh to unlimited",
        "E now expires after 2026-01-31",
        "F moved from account F to Flat 3",
        "G renamed from John Doe to Jane Doe",
    )


def test_the_way_back_is_told_too() -> None:
    """Unblocking and taking back an expiry date are changes as well."""
    old = table(user("A", blocked=True), user("B", expiry=date(2026, 1, 31)))

    assert describe_change(old, table(user("A"), user("B"))) == ("A no longer blocked", "B no longer expires")


def test_no_change_gives_no_line() -> None:
    """Two equal tables have nothing to tell."""
    assert describe_change(SEED_USERS, SEED_USERS) == ()


@pytest.mark.parametrize(("count", "last"), [(20, "quota of T20 raised from 1 to 2 kWh"), (25, "and 5 more")])
def test_at_most_twenty_lines_are_told(count: int, last: str) -> None:
    """A large edit is cut off and says by how much."""
    tags = [f"T{number}" for number in range(1, count + 1)]
    lines = describe_change(table(*(user(t, 1_000) for t in tags)), table(*(user(t, 2_000) for t in tags)))

    assert min(count, 20) + (count > 20) == len(lines)
    assert last == lines[-1]


def test_a_long_list_of_tags_is_cut_off() -> None:
    """A first load of a thousand users is one line of readable length."""
    new = table(*(user(f"T{number}") for number in range(1, 13)))

    assert describe_change(NOBODY, new) == ("12 users added: T1, T2, T3, T4, T5, T6, T7, T8, T9, T10 and 2 more",)
