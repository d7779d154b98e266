"""Batches, for I11: what a chunk's execution was told of its lines, against the transfers that bear their marks.

The books keep `batch <id>, line <n>` as the detail of what a line has moved or was refused, alone or in brackets after
another. A chunk is `batch/<id>/<first line>-<last line>`; its result counts its lines, and says of those that it
has not plainly settled their place, status and reason, and whether somebody else has moved them.
"""

import re
from collections.abc import Iterator

from tests.faults.evidence import Evidence, Execution, Row
from tests.faults.invariants.lookup import TERMINAL

Line = tuple[str, int]

_MARK = re.compile(r"(?:^|\()batch (?P<batch>\S+), line (?P<line>\d+)\)?$")
_CHUNK = re.compile(r"batch/(?P<batch>[^/]+)/(?P<first>\d+)-(?P<last>\d+)")


def line_of(transfer: Row) -> Line | None:
    """Which line of which batch has brought a transfer about; None if none has."""
    found = _MARK.search(transfer.get("detail") or "")
    return None if found is None else (found["batch"], int(found["line"]))


def chunks_and_books_agree(evidence: Evidence) -> Iterator[str]:
    """Each line in the books has a chunk that is done or at it; each line that a chunk has settled is in the books."""
    marked: dict[Line, Row] = {}
    for transfer in evidence.rows.transfers:
        if (line := line_of(transfer)) is not None:
            if line in marked:
                yield f"line {line[1]} of {line[0]} has brought about {marked[line]['id']} and {transfer['id']}"
            marked[line] = transfer
    covered: set[Line] = set()
    for execution in evidence.executions:
        if (chunk := _CHUNK.fullmatch(execution.workflow_id)) is None:
            continue
        lines = [(chunk["batch"], line) for line in range(int(chunk["first"]), int(chunk["last"]) + 1)]
        if execution.status in ("COMPLETED", "RUNNING"):
            covered.update(lines)
        if execution.status == "COMPLETED":
            yield from _wrong_chunk(execution, lines, marked)
    for (batch, number), transfer in marked.items():
        if (batch, number) not in covered:
            yield f"{transfer['id']} is line {number} of {batch} in the books, and Temporal has no chunk of it"


def _wrong_chunk(execution: Execution, lines: list[Line], marked: dict[Line, Row]) -> Iterator[str]:
    """Places count the lines that could be asked: in a file with bad lines they cannot be told apart here."""
    id, result = execution.workflow_id, execution.result
    if not isinstance(result, dict) or result.get("lines") != len(lines):
        return
    otherwise = {place: said for place, *said in result["otherwise"]}
    for place, line in enumerate(lines):
        transfer = marked.get(line)
        has = None if transfer is None else [transfer["status"], transfer["reason"]]
        status, reason, elsewhere = otherwise.get(place, ["settled", None, False])
        if elsewhere or status not in TERMINAL:
            if has is not None:
                yield f"{id} says that line {line[1]} is {status} by somebody else; in the books it is its own, {has}"
        elif has != [status, reason]:
            yield f"{id} says that line {line[1]} is {status} ({reason}); in the books it is {has}"
