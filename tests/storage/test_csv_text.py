"""`storage.csv_text`: the bytes of a table that people edit become rows of text (F8)."""

from decimal import Decimal

import pytest

from ocpp_server.storage.csv_text import (
    MAX_BYTES,
    CsvTable,
    RowProblem,
    RowReader,
    TableFileError,
    fold,
    parse_boolean,
    parse_decimal,
    quoted,
    read_table,
)


def read(content: bytes) -> CsvTable:
    return read_table(content, file="t.csv", known=("id", "name", "more"), required=("id", "name"))


def cells_of(content: bytes) -> list[tuple[int, dict[str, str]]]:
    return [(row.line, dict(row.cells)) for row in read(content).rows]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom", "utf-16-be-bom"])
def test_every_unicode_encoding_a_spreadsheet_saves_is_read_without_a_problem(encoding: str) -> None:
    """UTF-8 with and without BOM and UTF-16 with BOM in both byte orders give the same text and no warning."""
    bom = {"utf-16-le-bom": b"\xff\xfe", "utf-16-be-bom": b"\xfe\xff"}.get(encoding, b"")
    content = bom + "id,name\nA,Şule Ğöç\n".encode(encoding.removesuffix("-bom"))

    table = read(content)

    assert table.columns == ("id", "name")
    assert dict(table.rows[0].cells) == {"id": "A", "name": "Şule Ğöç"}
    assert table.problems == ()


@pytest.mark.parametrize(("encoding", "name"), [("cp1254", "Şule Işık"), ("cp1254", "İğdem"), ("cp1252", "\u017eofia")])
def test_an_old_windows_code_page_is_read_with_a_warning(encoding: str, name: str) -> None:
    """cp1254 comes before cp1252, so that Şule is not Þule; cp1252 is taken only for bytes that cp1254 lacks."""
    table = read(f"id,name\nA,{name}\n".encode(encoding))

    assert name == table.rows[0].cells["name"]
    assert [problem.severity for problem in table.problems] == ["warning"]
    assert str(table.problems[0]).startswith(f"t.csv: is not UTF-8 and was read as {encoding};")


def test_a_last_letter_in_cp1254_that_looks_like_the_start_of_utf8_is_read() -> None:
    """A cp1254 file whose only accented letter is its last byte is not taken for half-written UTF-8."""
    assert [(2, {"id": "A", "name": "Dağ"[:2] + "ğ"})] == cells_of("id,name\nA,Dağ".encode("cp1254"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "t.csv: the file is empty"),
        (b"\xef\xbb\xbf", "t.csv: the file is empty"),
        (b" \r\n\t\n,,,\n", "t.csv: the file is empty"),
        ("id,name\nA,Şule\nB,Ş".encode()[:-1], "ends in the middle of a letter"),
        (b"\xef\xbb\xbfid,name\nA,\xde\n", "not readable as utf-8-sig at byte"),
        ("id,name\nA,B\n".encode("utf-16")[:-1], "not readable as utf-16"),
        ("id,name\nA,B\n".encode("utf-16-le"), "NUL bytes"),
        (b"id,name\nA,B\n" + bytes(512), "NUL bytes"),
        (b"id,name\nA,\x81\n", "not readable as cp1252"),
        (b"id,name\nA," + b"x" * MAX_BYTES, "larger than 5 MB"),
        (b"id,name\nA," + b"x" * 200_000, "field larger than field limit"),
        (b"id,surname\nA,B\n", 'column name is missing; the header has "id", "surname"'),
        (b"A,B\nC,D\n", "column id, name is missing"),
        (b"id,name,Name\nA,B,C\n", "column name appears twice"),
        (b'id,name\nA,"B\nC,D\n', "t.csv row 2: quotes are not closed"),
        (b'id,name\nA,B\nC,"D"E\n', "t.csv row 3: quotes are not closed or not doubled"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_as_a_whole(content: bytes, message: str) -> None:
    """What cannot be split into rows with certainty raises TableFileError that says why and where."""
    with pytest.raises(TableFileError) as caught:
        read(content)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"id,name,more\nA,B,C\n",
        b"id;name;more\nA;B;C\n",
        b"id\tname\tmore\nA\tB\tC\n",
        b"id,name,more\r\nA,B,C\r\n",
        b"id,name,more\rA,B,C\r",
        b"id,name,more\nA,B,C",
        b'"id";"name";"more"\n"A";"B";"C"\n',
        b" ID , Name , MORE \n A , B , C \n",
        b'id, name, more\nA, "B", C\n',
        b"more,name,id\nC,B,A\n",
        b"id,name,more,,,\nA,B,C,,,\n",
        b"id,name,more\nA,B,C,,,,\n",
        b"id,name,more,shoe size\nA,B,C,44\n",
        "id;name;more\nA\u00a0;\u200bB;\ufeffC\n".encode(),
    ],
)
def test_delimiters_line_ends_blanks_and_column_order_make_no_difference(content: bytes) -> None:
    """Comma, semicolon and tab, LF, CRLF and CR, quotes, blanks and extra columns all give the same row."""
    assert cells_of(content) == [(2, {"id": "A", "name": "B", "more": "C"})]


def test_the_delimiter_is_the_one_the_header_has_most_of_outside_quotes() -> None:
    """Commas inside a quoted header name do not win over the semicolons that separate columns."""
    assert cells_of(b'id;name;"a,b,c,d"\nA;B,C;D\n') == [(2, {"id": "A", "name": "B,C"})]


def test_the_separator_hint_of_excel_is_obeyed_and_counted_as_a_line() -> None:
    """`sep=;` before the header names the delimiter and is line 1 of the file."""
    assert cells_of(b"sep=;\r\nid;name\r\nA;B\r\n") == [(3, {"id": "A", "name": "B"})]


def test_line_numbers_are_those_of_the_file() -> None:
    """Blank lines and line breaks inside quotes count, so that an editor jumps to the right place."""
    content = b'\nid,name\n\nA,"two\r\nlines"\n,,\nB,C\n'

    assert cells_of(content) == [(4, {"id": "A", "name": "two\r\nlines"}), (7, {"id": "B", "name": "C"})]
    assert read(content).header_line == 2


@pytest.mark.parametrize(
    ("cell", "text"),
    [("'=1+1", "=1+1"), ("'+90", "+90"), ("'-", "-"), ("'@x", "@x"), ("'t", "'t"), ("''=x", "''=x"), ("'", "'")],
)
def test_the_quote_a_spreadsheet_puts_before_a_formula_sign_is_stripped(cell: str, text: str) -> None:
    """Only a quote before = + - @ goes; an apostrophe that begins a name stays."""
    assert [(2, {"id": "A", "name": text})] == cells_of(f"id,name\nA,{cell}\n".encode())


def test_a_short_row_lacks_the_columns_it_does_not_reach() -> None:
    """A row cut short is told apart from a row with blank cells."""
    assert cells_of(b"id,name\nA\nB,\n") == [(2, {"id": "A"}), (3, {"id": "B", "name": ""})]


@pytest.mark.parametrize(
    ("text", "value"),
    [("150", "150"), ("150.0", "150"), ("150,5", "150.5"), ("0", "0"), ("007", "7"), ("0.125", "0.125")],
)
def test_a_number_has_digits_and_at_most_one_decimal_mark(text: str, value: str) -> None:
    """Point and comma are decimal marks alike."""
    assert Decimal(value) == parse_decimal(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nan",
        "NaN",
        "inf",
        "-inf",
        "Infinity",
        "1e5",
        "1E5",
        "-1",
        "+1",
        "1_0",
        "1 000",
        "1.234,5",
        "1,234.5",
        ".5",
        "5.",
        ",5",
        "abc",
        "0x10",
        "١٢",
        "５",
        "1\n",
        "150 kWh",
        "½",
        "9" * 29,
    ],
)
def test_anything_else_is_no_number(text: str) -> None:
    """An unreadable value is None, never zero and never a guess."""
    assert parse_decimal(text) is None


TRUE_WORDS = [
    "TRUE",
    "true",
    "True",
    "1",
    "yes",
    "YES",
    "evet",
    "EVET",
    "Evet",
    "doğru",
    "DOĞRU",
    "dogru",
    "wahr",
    "WAHR",
    "ja",
    "vrai",
    "VRAI",
    "oui",
]
FALSE_WORDS = [
    "FALSE",
    "false",
    "0",
    "no",
    "NO",
    "hayır",
    "HAYIR",
    "Hayır",
    "hayir",
    "HAYİR",
    "yanlış",
    "YANLIŞ",
    "Yanlış",
    "yanlis",
    "YANLIS",
    "falsch",
    "nein",
    "faux",
    "non",
]


@pytest.mark.parametrize(("word", "value"), [(w, True) for w in TRUE_WORDS] + [(w, False) for w in FALSE_WORDS])
def test_boolean_words_of_four_languages_are_understood_in_any_case(word: str, value: bool) -> None:
    """The dotted and dotless Turkish i are alike, whichever keyboard wrote them."""
    assert parse_boolean(word) is value


@pytest.mark.parametrize("word", ["", "x", "2", "01", "t", "on", "truee", "-1"])
def test_another_word_is_neither_true_nor_false(word: str) -> None:
    """A word that is not in the list gives None, so that the row is reported."""
    assert parse_boolean(word) is None


def test_fold_makes_the_four_turkish_i_alike() -> None:
    """İ, I, ı and i compare equal."""
    assert [fold(letter) for letter in "İIıi"] == ["i"] * 4


def test_a_cell_in_a_message_is_short_and_on_one_line() -> None:
    """A message cannot be broken into two log lines by the content of a cell."""
    assert quoted("a\nb") == '"a\ufffdb"'
    assert len(quoted("x" * 1000)) == 42


def test_a_row_reports_all_its_faults_at_once() -> None:
    """The administrator need not save the file once for each fault."""
    row = read(b"id,name,more\nA,abc,maybe,surplus\n").rows[0]
    cells = RowReader(row, file="t.csv", width=3, required=("id",))
    cells.number("name")
    cells.boolean("more")

    assert cells.is_bad
    assert [str(problem) for problem in cells.problems] == [
        't.csv row 2: has 4 cells, the header has 3; a decimal comma needs quotes or ";" between columns',
        't.csv row 2: name "abc" is not a number',
        't.csv row 2: more "maybe" is neither TRUE nor FALSE',
    ]


def test_a_warning_does_not_reject_the_row() -> None:
    """Only an error makes a row bad."""
    cells = RowReader(read(b"id,name\nA,B\n").rows[0], file="t.csv", width=2)
    cells.warn("id", "is odd")

    assert not cells.is_bad
    assert [RowProblem(2, "id", "is odd", "warning", "t.csv")] == cells.problems
