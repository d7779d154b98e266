"""Reading a batch's file: what is good, what is bad and where, and where a chunk ends."""

import io
from pathlib import Path

import pytest

from cli.batch_file import CHUNK_CHARACTERS, CHUNK_LINES, Bad, FileFormat, Good, chunks, fingerprint, read
from ledger.errors import MalformedRequest
from ledger.transfer import Transfer

HEADER = "transfer_id,from,to,amount,currency\n"
GOOD = Transfer("T1", "alice", "bob", 25_00, "USD")


def read_csv(text: str | bytes, header: str = HEADER) -> list[Good | Bad]:
    """The lines of a CSV file with this header."""
    rest = text if isinstance(text, bytes) else text.encode()
    return list(read(io.BytesIO(header.encode() + rest), FileFormat.csv))


def read_json(text: str) -> list[Good | Bad]:
    """The lines of a file of JSON lines."""
    return list(read(io.BytesIO(text.encode()), FileFormat.jsonl))


@pytest.mark.parametrize("text", [
    HEADER + "T1,alice,bob,25.00,USD\n",
    HEADER + "T1,alice,bob,25,USD",
    "\ufeff" + HEADER + "T1,alice,bob,25.00,USD\r\n",
    'note,currency,amount,to,from,transfer_id\n"a, ""b""",USD,25.00,bob,alice,T1\n',
    '"transfer_id","from","to","amount","currency"\n"T1","alice","bob","25.00","USD"\n',
])  # fmt: skip  # a list of ways to write the same
def test_the_columns_of_a_csv_file_are_found_by_their_names(text: str) -> None:
    """
    In any order, among others, quoted or not, with a byte order mark or without the last line's end.
    """
    (line,) = read_csv(text, header="")

    assert line == Good(2, GOOD)


@pytest.mark.parametrize("amount", ['"25.00"', "25.00", "25"])
def test_json_lines_take_an_amount_as_it_is_written(amount: str) -> None:
    """
    A number is not rounded to a float on its way; empty lines are passed over, and more names are allowed.
    """
    written = f'{{"transfer_id":"T1","from":"alice","to":"bob","amount":{amount},"currency":"USD","note":["x"]}}'

    assert read_json(f"\ufeff\n{written}\n\n") == [Good(2, GOOD)]
    assert read_json(written.replace(amount, "9007199254740993.01"))[0] == Good(
        1, Transfer("T1", "alice", "bob", 9007199254740993_01, "USD")
    )


@pytest.mark.parametrize(("written", "column", "reason"), [
    ("T 1,alice,bob,1,USD", "transfer_id", "must be 1 to 128"),
    (",alice,bob,1,USD", "transfer_id", "must be 1 to 128"),
    ("T1,transit:USD,bob,1,USD", "from", "ledger's own"),
    ("T1,alice, bob,1,USD", "to", "must be 1 to 128"),
    ("T1,alice,alice,1,USD", "to", "the same account"),
    ("T1,alice,bob,1.001,USD", "amount", "has 3 decimals"),
    ("T1,alice,bob,-1,USD", "amount", "plain positive decimal"),
    ("T1,alice,bob,0,USD", "amount", "more than zero"),
    ("T1,alice,bob,1e3,USD", "amount", "plain positive decimal"),
    ("T1,alice,bob,1,usd", "currency", "not an ISO 4217 code"),
    ("T1,alice,bob,1", None, "has 4 columns"),
    ("T1,alice,bob,1,USD,more", None, "has 6 columns"),
    ('T1,alice,bob,"1"2,USD', None, "cannot be read"),
])  # fmt: skip  # a table of mistakes
def test_a_bad_line_of_csv_is_named_by_its_number_and_column(written: str, column: str | None, reason: str) -> None:
    """
    And does not stop those after it.
    """
    bad, good = read_csv(f"{written}\nT1,alice,bob,25.00,USD\n")

    assert isinstance(bad, Bad)
    assert (bad.line, bad.column) == (2, column)
    assert reason in bad.reason
    assert good == Good(3, GOOD)


@pytest.mark.parametrize(("written", "column"), [
    ("nothing", None), ("[1]", None), ("[" * 100_000, None), ("{}", "transfer_id"),
    ('{"transfer_id":"T1","from":"alice","to":"bob","amount":true,"currency":"USD"}', "amount"),
    ('{"transfer_id":"T1","from":"alice","to":"bob","amount":NaN,"currency":"USD"}', "amount"),
    ('{"transfer_id":"T1","from":null,"to":"bob","amount":1,"currency":"USD"}', "from"),
])  # fmt: skip  # a table of mistakes
def test_a_bad_line_of_json_is_named_by_its_number_and_column(written: str, column: str | None) -> None:
    """
    Whatever is on it, the line after it is read.
    """
    good = '{"transfer_id":"T1","from":"alice","to":"bob","amount":"25","currency":"USD"}'
    bad, after = read_json(f"{written}\n{good}\n")

    assert isinstance(bad, Bad)
    assert (bad.line, bad.column, after) == (1, column, Good(2, GOOD))


def test_bytes_that_are_no_text_make_their_line_bad_and_no_other() -> None:
    """
    In a column that nobody reads they do no harm.
    """
    header = HEADER.replace("\n", ",note\n")
    lines = read_csv(b"T\xff,alice,bob,25,USD,x\nT1,alice,bob,25,USD,\xff\n", header)

    assert isinstance(lines[0], Bad)
    assert lines[1] == Good(3, GOOD)


@pytest.mark.parametrize("text", ["", "transfer_id,from,to,amount\n", HEADER.replace("to", "from"), "T1,a,b,1,USD\n"])
def test_a_csv_file_without_the_names_of_its_columns_is_malformed(text: str) -> None:
    """
    Guessing which column is which would move money by chance.
    """
    with pytest.raises(MalformedRequest, match="must name the columns"):
        read_csv(text, header="")


def test_chunks_end_where_the_file_alone_says() -> None:
    """
    After so many lines, or so many characters; all lines are in one chunk, in order.
    """
    short = [Good(n, GOOD) for n in range(2, CHUNK_LINES * 2)]
    long = [Good(n, Transfer(f"{n:0128}", "a" * 128, "b" * 128, 1, "USD")) for n in range(2, CHUNK_LINES)]

    for lines in (short, long):
        made = list(chunks(lines, "b"))
        assert [line for chunk in made for line in chunk.lines] == lines
        for chunk in made:
            assert chunk.request is not None
            assert len(chunk.lines) <= CHUNK_LINES
            assert len(chunk.request.model_dump_json()) < 2 * CHUNK_CHARACTERS


def test_a_file_is_told_by_its_bytes_and_its_lines(tmp_path: Path) -> None:
    """
    A last line without its end is a line, too; the file is at its beginning afterwards.
    """
    for written, lines in ((b"", 0), (b"a", 1), (b"a\n", 1), (b"a\nb", 2)):
        file = io.BytesIO(written)
        sha256, counted = fingerprint(file)
        assert (len(sha256), counted, file.tell()) == (64, lines, 0)
    assert FileFormat.of(tmp_path / "a.jsonl") is FileFormat.jsonl
    assert FileFormat.of(tmp_path / "a.txt") is FileFormat.csv
