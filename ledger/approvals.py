"""Approvals: who has approved of a transfer and how many have to, as of one instant. Changes nothing."""

from dataclasses import dataclass

from sqlalchemy import select

from ledger import schema, store
from ledger.approval import Approved, approvers
from ledger.database import reading
from ledger.reader import Reader
from ledger.transfer import Transfer


@dataclass(frozen=True, slots=True)
class Standing:
    """Who has approved, how many the source account asks for, and whether the books have the transfer already."""

    approvers: frozenset[str]
    needed: int
    is_known: bool


async def read_standing(books: Reader, transfer: Transfer) -> Standing:
    """Where a transfer's approval stands. An account that is not there asks for nobody: its debit is rejected."""
    known = select(schema.transfers.c.id).where(schema.transfers.c.id == transfer.id)
    payer = select(schema.accounts).where(schema.accounts.c.id == transfer.source)
    given = select(schema.approvals).where(schema.approvals.c.transfer_id == transfer.id)
    async with reading(books.engine) as connection:
        is_known = (await connection.execute(known)).first() is not None
        row = (await connection.execute(payer)).first()
        rows = [Approved(*approved) for approved in await connection.execute(given)]
    needed = 0 if row is None else store.read_account(row).limits.approvals_for(transfer.amount_minor)
    return Standing(frozenset(approvers(transfer, rows)), needed, is_known)
