"""Messages of bulk transfers: a batch is a file, a chunk some of its lines.

A chunk travels as columns, not as one message for each line: thousands of small objects would cost more than what they
ask for. What went as asked is not in its answer, so that a million settled lines leave short histories.
"""

from typing import Annotated

from pydantic import Field, StrictInt, StrictStr, model_validator

from activities.messages import Asked, Message
from ledger import operations
from ledger.errors import MalformedRequest
from ledger.keys import check_id
from ledger.operation import Operation, Settle
from ledger.transfer import Transfer


class BatchRequest(Asked):
    """A file belongs to an id: the SHA-256 of its bytes, in hexadecimal, and how many lines it has."""

    batch_id: StrictStr
    sha256: StrictStr
    lines: StrictInt

    @model_validator(mode="after")
    def _could_be_done(self) -> "BatchRequest":
        self.as_operation()
        return self

    def as_operation(self) -> Operation:
        """The same request in the ledger's words. Raises MalformedRequest."""
        return operations.batch(self.batch_id, self.sha256, self.lines)


class BatchProgress(Asked):
    """How far the starter is. `settled` and the others count transfers; `over` if there will be no more."""

    done: StrictInt = 0
    settled: StrictInt = 0
    replayed: StrictInt = 0
    not_settled: StrictInt = 0
    malformed: StrictInt = 0
    over: bool = False


class BatchOutcome(Message):
    """How a batch ended. `replayed` means that it had ended before this caller asked."""

    progress: BatchProgress
    replayed: bool = False


class ChunkRequest(Asked):
    """Some lines of a batch, column by column. `lines` are their numbers in the file, counted from 1."""

    batch_id: StrictStr
    lines: list[StrictInt]
    transfer_ids: list[StrictStr]
    sources: list[StrictStr]
    destinations: list[StrictStr]
    amounts_minor: list[StrictInt]
    currencies: list[StrictStr]

    @model_validator(mode="after")
    def _could_be_done(self) -> "ChunkRequest":
        check_id(self.batch_id, "batch id")
        columns = (self.transfer_ids, self.sources, self.destinations, self.amounts_minor, self.currencies)
        if any(len(column) != len(self.lines) for column in columns):
            raise MalformedRequest("the columns of a chunk must have one length")
        return self

    def as_requests(self) -> list[Settle]:
        """Each line in the ledger's words. Raises MalformedRequest."""
        columns = (self.transfer_ids, self.sources, self.destinations, self.amounts_minor, self.currencies)
        mark = f"batch {self.batch_id}, line "
        return [
            Settle(Transfer(*line), f"{mark}{number}")
            for number, line in zip(self.lines, zip(*columns, strict=True), strict=True)
        ]


LineAnswer = tuple[StrictInt, StrictStr, Annotated[StrictStr, Field(max_length=256)] | None, bool]
"""What became of one line: its place in the chunk, counted from 0; status; reason; whether it was moved elsewhere."""


class ChunkOutcome(Message):
    """What became of a chunk: the lines that this batch has not plainly settled. All others it has."""

    lines: int
    otherwise: list[LineAnswer] = Field(default_factory=list)
