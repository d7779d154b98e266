"""Approvals: who has approved of an operation and how many have to, as of one instant. Changes nothing."""

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import select

from ledger import schema, store
from ledger.approval import Approved, approvers
from ledger.database import reading
from ledger.operation import Operation
from ledger.reader import Reader


@dataclass(frozen=True, slots=True)
class Standing:
    """Who has approved, how many the accounts that pay ask for, and whether the books have the operation already."""

    approvers: frozenset[str]
    needed: int
    is_known: bool


async def read_standing(books: Reader, operation: Operation) -> Standing:
    """Where an operation's approval stands: as many as the payer that asks for most. One that is not there asks for
    nobody: the operation is rejected.
    """
    taken: Counter[str] = Counter()
    for posting in operation.postings:
        taken[posting.debit_account_id] += posting.amount_minor
    intent = operation.intent
    known = select(schema.operations.c.key).where(schema.operations.c.key == operation.key)
    payers = select(schema.accounts).where(schema.accounts.c.id.in_(sorted(taken)))
    given = select(schema.approvals).where(schema.approvals.c.transfer_id == intent.owner)
    async with reading(books.engine) as connection:
        is_known = (await connection.execute(known)).first() is not None
        accounts = [store.read_account(row) for row in await connection.execute(payers)]
        rows = [Approved(*approved) for approved in await connection.execute(given)]
    needed = max((payer.limits.approvals_for(taken[payer.id]) for payer in accounts), default=0)
    return Standing(frozenset(approvers(intent, rows)), needed, is_known)


async def read_approvers(books: Reader, owner: str) -> frozenset[str]:
    """Whoever has approved of anything under a transfer's id, or an entry's key."""
    approver = select(schema.approvals.c.approver).where(schema.approvals.c.transfer_id == owner)
    async with reading(books.engine) as connection:
        return frozenset((await connection.execute(approver)).scalars())
