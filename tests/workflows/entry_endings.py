"""The endings of entries, as stories for golden histories. Each returns the workflow id."""

from contextlib import suppress

from engine.submitting import KeyReused
from ledger.entries import Reversal
from tests.support.bank import Bank


async def entered(bank: Bank) -> str:
    """A split is paid."""
    split = bank.split("entered")
    await bank.enter(split)
    return f"split/{split.id}"


async def entry_refused(bank: Bank) -> str:
    """A reversal of a transfer that nobody knows."""
    reversal = Reversal(f"{bank.task_queue}.V", f"{bank.task_queue}.nothing", "bob", "alice", 1, "USD")
    await bank.enter(reversal)
    return f"reversal/{reversal.id}"


async def entry_reused(bank: Bank) -> str:
    """The books know the id with other shares."""
    split = bank.split("entry-reused")
    await bank.ledger.apply(split.operation())
    with suppress(KeyReused):
        await bank.enter(bank.split("entry-reused", bob=1))
    return f"split/{split.id}"
