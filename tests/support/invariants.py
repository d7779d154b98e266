"""The checker of the books: everything recomputed from the postings, never from the stored balances.

    conservation    each posting balances; an account's totals are the sum of its postings
    guards          no guarded account is below its guard after any prefix of the ledger's sequence
    transit         what is in transit is what is debited and not ended, per currency
    legs            settled = debit and credit; refunded = debit, fenced or rejected credit, and refund; else none
    events          each transfer's events are numbered 1, 2, 3, ... and lead to where it is

It raises AssertionError with what is wrong. Every test that has the `ledger` fixture ends with it.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass

from sqlalchemy import RowMapping, Table, select
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger import schema
from ledger.database import reading

Rows = list[RowMapping]


@dataclass(frozen=True)
class Snapshot:
    """Every row of the books, as of one instant."""

    accounts: Rows
    operations: Rows
    postings: Rows
    transfers: Rows
    events: Rows
    notifications: Rows


async def check_books(engine: AsyncEngine) -> Snapshot:
    """Check every invariant, and return what was checked."""
    snapshot = await take_snapshot(engine)
    check(snapshot)
    return snapshot


async def take_snapshot(engine: AsyncEngine) -> Snapshot:
    """Read the whole books in one transaction."""
    async with reading(engine) as connection:

        async def rows(table: Table) -> Rows:
            return list((await connection.execute(select(table).order_by(*table.primary_key.columns))).mappings())

        return Snapshot(
            await rows(schema.accounts),
            await rows(schema.operations),
            await rows(schema.postings),
            await rows(schema.transfers),
            await rows(schema.transfer_events),
            await rows(schema.notifications),
        )


def check(snapshot: Snapshot) -> None:
    """Raise AssertionError for the first invariant that does not hold."""
    _check_totals_and_guards(snapshot)
    _check_transit(snapshot)
    _check_legs(snapshot)
    _check_events(snapshot)


def _check_totals_and_guards(snapshot: Snapshot) -> None:
    guards = {row["id"]: row["guard"] for row in snapshot.accounts}
    currencies = {row["id"]: row["currency"] for row in snapshot.accounts}
    debits: Counter[str] = Counter()
    credits: Counter[str] = Counter()
    for posting in snapshot.postings:
        debited, credited = posting["debit_account_id"], posting["credit_account_id"]
        assert currencies[debited] == currencies[credited] == posting["currency"], posting
        debits[debited] += posting["amount_minor"]
        credits[credited] += posting["amount_minor"]
        for side, account_id in (("debit", debited), ("credit", credited)):
            balance = _balance(guards[account_id], debits[account_id], credits[account_id])
            assert posting[f"{side}_balance_after"] == balance, posting
            assert balance >= 0 or guards[account_id] == "none", f"{account_id} is below its guard after {posting}"
    for row in snapshot.accounts:
        assert (row["debits_posted"], row["credits_posted"]) == (debits[row["id"]], credits[row["id"]]), row


def _balance(guard: str, debits: int, credits: int) -> int:
    return debits - credits if guard == "credits_must_not_exceed_debits" else credits - debits


def _check_transit(snapshot: Snapshot) -> None:
    on_the_way: Counter[str] = Counter()
    for transfer in snapshot.transfers:
        if transfer["status"] == "debited":
            on_the_way[transfer["currency"]] += transfer["amount_minor"]
    for row in snapshot.accounts:
        if row["id"].startswith("transit:"):
            assert row["credits_posted"] - row["debits_posted"] == on_the_way[row["currency"]], row


LEGS: dict[str, list[tuple[str | None, str | None, str | None]]] = {
    "accepted": [(None, None, None)],
    "debited": [("applied", None, None), ("applied", "rejected", None)],
    "settled": [("applied", "applied", None), ("applied", "applied", "rejected")],
    "refunded": [("applied", "fenced", "applied"), ("applied", "rejected", "applied")],
    "rejected": [("rejected", None, None)],
    "cancelled": [("fenced", None, None)],
}
"""How the debit, the credit and the refund of a transfer in each status can have ended."""


def _check_legs(snapshot: Snapshot) -> None:
    outcomes = {row["key"]: row["outcome"] for row in snapshot.operations}
    posted = Counter(posting["operation_key"] for posting in snapshot.postings)
    for transfer in snapshot.transfers:
        keys = [f"{transfer['id']}/{leg}" for leg in ("debit", "credit", "refund")]
        debit, credit, refund = (outcomes.get(key) for key in keys)
        legs = (debit, credit, refund)
        assert legs in LEGS[transfer["status"]], f"{transfer['id']} is {transfer['status']} with {legs}"
        due = [int(outcome == "applied") for outcome in legs]
        due[1] += (transfer["captured_minor"] or transfer["amount_minor"]) < transfer[
            "amount_minor"
        ]  # the rest goes back
        assert [posted[key] for key in keys] == due, keys
        ended = transfer["status"] in ("settled", "refunded", "rejected", "cancelled")
        told = [row["key"] for row in snapshot.notifications if row["transfer_id"] == transfer["id"]]
        assert told == ([f"{transfer['id']}/notify/{transfer['status']}"] if ended else []), told


def _check_events(snapshot: Snapshot) -> None:
    lives: defaultdict[str, Rows] = defaultdict(list)
    for event in snapshot.events:
        lives[event["transfer_id"]].append(event)
    for transfer in snapshot.transfers:
        life = lives[transfer["id"]]
        assert [event["sequence"] for event in life] == list(range(1, transfer["version"] + 1)), life
        statuses = [event["to_status"] for event in life]
        assert [event["from_status"] for event in life] == [None, *statuses[:-1]], life
        assert statuses[-1] == transfer["status"], life
