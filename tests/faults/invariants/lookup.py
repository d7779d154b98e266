"""Lookup: the rows of the books by what they are about, as plain dictionaries. Nothing is judged here."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from tests.faults.evidence import Answer, Row, Rows

TERMINAL = frozenset({"settled", "rejected", "refunded", "cancelled"})
TRANSIT = "transit:"
ASSET = "credits_must_not_exceed_debits"
"""The guard of an account whose balance is its debits less its credits; of every other it is the other way round."""


def accounts(rows: Rows) -> dict[str, Row]:
    """Every account by its id."""
    return {row["id"]: row for row in rows.accounts}


def transfers(rows: Rows) -> dict[str, Row]:
    """Every transfer by its id."""
    return {row["id"]: row for row in rows.transfers}


def operations(rows: Rows) -> dict[str, Row]:
    """Every operation by its key."""
    return {row["key"]: row for row in rows.operations}


def postings(rows: Rows) -> dict[str, list[Row]]:
    """The postings of each key; an empty list for a key that has none."""
    return _grouped(rows.postings, "operation_key")


def events(rows: Rows) -> dict[str, list[Row]]:
    """The events of each transfer, in their order."""
    return _grouped(rows.transfer_events, "transfer_id")


def notifications(rows: Rows) -> dict[str, list[Row]]:
    """The notifications of each transfer."""
    return _grouped(rows.notifications, "transfer_id")


def changes(posting: Row) -> Iterator[tuple[str, str, int]]:
    """Both sides of a posting: `debit` or `credit`, the account, and the amount."""
    yield "debit", posting["debit_account_id"], posting["amount_minor"]
    yield "credit", posting["credit_account_id"], posting["amount_minor"]


def signed(guard: str | None, side: str, amount: int) -> int:
    """What one side of a posting does to the balance of an account with this guard."""
    return amount if (side == "debit") == (guard == ASSET) else -amount


def content(transfer: Row) -> tuple[str, str, int, str]:
    """What a transfer was asked, as an Answer says it."""
    source, destination = transfer["source_account_id"], transfer["destination_account_id"]
    return source, destination, transfer["amount_minor"], transfer["currency"]


def credit_postings(transfer: Row) -> int:
    """How many postings the credit of a transfer has: of a hold that was captured in part, the rest's, too."""
    captured = transfer.get("captured_minor")
    return 1 if captured is None or captured == transfer["amount_minor"] else 2


def answers(given: Iterable[Answer]) -> dict[str, list[Answer]]:
    """The answers about each transfer, in the order in which they were given."""
    by_transfer: defaultdict[str, list[Answer]] = defaultdict(list)
    for answer in sorted(given, key=lambda answer: answer.answered_at):
        by_transfer[answer.transfer_id].append(answer)
    return by_transfer


def is_definite(answer: Answer) -> bool:
    """Whether an answer says how a transfer ended, which may never change."""
    return answer.exit_status in (0, 3) and answer.status in TERMINAL


def _grouped(rows: Sequence[Row], column: str) -> dict[str, list[Row]]:
    groups: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[column]].append(row)
    return groups
