"""Files of transfers: CSV or JSON lines, read line by line, so that memory does not grow with the file.

    CSV           a header that names the columns transfer_id, from, to, amount, currency, in any order, and others
    JSON lines    an object on each line with the same names; an amount may be a text or a number

A line is checked by the same values as a single transfer's request. One that can never be right is bad: it is reported
with its number and column, and asked of nobody.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, NamedTuple

from activities.batch_messages import ChunkRequest
from ledger.errors import MalformedRequest
from ledger.keys import check_account_id, check_id
from ledger.money import decimals, parse_amount
from ledger.transfer import Transfer

COLUMNS = ("transfer_id", "from", "to", "amount", "currency")
CHUNK_LINES = 4000
CHUNK_CHARACTERS = 400_000
"""A chunk has no more of either: as Temporal stores it, it stays well below the limit of 2 MiB."""


class FileFormat(StrEnum):
    """How a file is written."""

    csv = "csv"
    jsonl = "jsonl"

    @classmethod
    def of(cls, path: Path) -> "FileFormat":
        """By the name: .jsonl, .ndjson and .json are JSON lines, all others CSV."""
        return cls.jsonl if path.suffix.lower() in (".jsonl", ".ndjson", ".json") else cls.csv


class Good(NamedTuple):
    """A line that can be asked."""

    line: int
    transfer: Transfer


class Bad(NamedTuple):
    """A line that can never be right, and why; `column` is the first of its columns that is wrong."""

    line: int
    transfer_id: str
    column: str | None
    reason: str

    def __str__(self) -> str:
        where = f"line {self.line}" if self.column is None else f"line {self.line}, column {self.column}"
        return f"{where}: {self.reason}"


@dataclass(slots=True)
class Chunk:
    """Some lines of a file, in order: those that are asked, and those that are bad."""

    batch_id: str
    lines: list[Good | Bad] = field(default_factory=list)

    @property
    def request(self) -> ChunkRequest | None:
        """What is asked; None if all lines are bad."""
        good = [line for line in self.lines if isinstance(line, Good)]
        if not good:
            return None
        return ChunkRequest(
            batch_id=self.batch_id,
            lines=[line for line, _ in good],
            transfer_ids=[transfer.id for _, transfer in good],
            sources=[transfer.source for _, transfer in good],
            destinations=[transfer.destination for _, transfer in good],
            amounts_minor=[transfer.amount_minor for _, transfer in good],
            currencies=[transfer.currency for _, transfer in good],
        )


def fingerprint(file: BinaryIO) -> tuple[str, int]:
    """The SHA-256 of a file's bytes, in hexadecimal, and how many lines it has. Leaves the file at its beginning."""
    digest, lines, last = hashlib.sha256(), 0, b"\n"
    while block := file.read(1 << 20):
        digest.update(block)
        lines += block.count(b"\n")
        last = block[-1:]
    file.seek(0)
    return digest.hexdigest(), lines + (last != b"\n")


def chunks(lines: Iterable[Good | Bad], batch_id: str) -> Iterator[Chunk]:
    """The lines, some together. Where a chunk ends depends on the file alone, so that it is the same in every run."""
    chunk, characters = Chunk(batch_id), 0
    for line in lines:
        if len(chunk.lines) == CHUNK_LINES or characters > CHUNK_CHARACTERS:
            yield chunk
            chunk, characters = Chunk(batch_id), 0
        chunk.lines.append(line)
        if isinstance(line, Good):
            transfer = line.transfer
            characters += len(transfer.id) + len(transfer.source) + len(transfer.destination) + 40
    if chunk.lines:
        yield chunk


def read(file: BinaryIO, format: FileFormat) -> Iterator[Good | Bad]:
    """The lines of a file, one after the other; empty ones are passed over.

    Raises MalformedRequest for a CSV file without a header that names the columns.
    """
    # What is not UTF-8 makes its line bad, not the file.
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _read_csv(text) if format is FileFormat.csv else _read_json(text)
    finally:
        text.detach()  # the file is its opener's to close


def _read_csv(text: io.TextIOWrapper) -> Iterator[Good | Bad]:
    reader = csv.reader(text, strict=True)
    places, width = _header(reader)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield Bad(line, "", None, f"cannot be read: {error}")
            continue
        if row is None:
            return
        if not row:
            continue
        if len(row) != width:
            yield Bad(line, "", None, f"has {len(row)} columns, and the header {width}")
            continue
        yield _line(line, *(row[place] for place in places))


def _header(reader: Iterator[list[str]]) -> tuple[list[int], int]:
    try:
        header = next(reader, None)
    except csv.Error as error:
        raise MalformedRequest(f"the header cannot be read: {error}") from error
    if header is None:
        raise MalformedRequest(f"the file is empty; its first line must name the columns {', '.join(COLUMNS)}")
    for column in COLUMNS:
        if header.count(column) != 1:
            times = "twice or more" if column in header else "not at all"
            raise MalformedRequest(f"the first line must name the columns {', '.join(COLUMNS)}; {column}: {times}")
    return [header.index(column) for column in COLUMNS], len(header)


def _read_json(text: io.TextIOWrapper) -> Iterator[Good | Bad]:
    for line, written in enumerate(text, 1):
        if not written.strip():
            continue
        try:
            # A number is taken as it is written: a float would round it.
            said = json.loads(written, parse_float=str, parse_int=str)
        except (ValueError, RecursionError) as error:
            yield Bad(line, "", None, f"is no JSON: {error}")
            continue
        if not isinstance(said, dict):
            yield Bad(line, "", None, "is no JSON object")
            continue
        yield _from_object(line, said)


def _from_object(line: int, said: Mapping[str, object]) -> Good | Bad:
    id = said.get("transfer_id")
    for column in COLUMNS:
        if not isinstance(said.get(column), str):
            why = "is missing" if said.get(column) is None else "must be a text"
            return Bad(line, id if isinstance(id, str) else "", column, why)
    return _line(line, *(str(said[column]) for column in COLUMNS))


def _line(line: int, id: str, source: str, destination: str, amount: str, currency: str) -> Good | Bad:
    try:
        return Good(line, Transfer(id, source, destination, parse_amount(amount, currency), currency))
    except MalformedRequest as error:
        return Bad(line, id, *_first_wrong(id, source, destination, amount, currency) or ("to", str(error)))


def _first_wrong(id: str, source: str, destination: str, amount: str, currency: str) -> tuple[str, str] | None:
    """The first column that is wrong by itself, and why. None if two of them do not go together."""
    for column, check in (
        ("transfer_id", lambda: check_id(id, "transfer id")),
        ("from", lambda: check_account_id(source, "source account")),
        ("to", lambda: check_account_id(destination, "destination account")),
        ("currency", lambda: decimals(currency)),
        ("amount", lambda: parse_amount(amount, currency)),
    ):
        try:
            check()
        except MalformedRequest as error:
            return column, str(error)
    return None
