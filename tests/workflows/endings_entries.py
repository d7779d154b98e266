"""Every ending of an entry, as stories like those of `endings.py`."""

from contextlib import suppress

from activities.messages import EntryRequest, LegOutcome
from engine.entry_ids import entry_workflow_id
from engine.results import KeyReused
from ledger import failpoints
from ledger.entries import EntryReversal, Reversal
from tests.support.bank import PATIENCE, Bank


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


async def entry_told(bank: Bank) -> str:
    """A split is paid, and the outside is told of it."""
    split = bank.split("entry-told")
    await bank.enter(split)
    return entry_workflow_id(split.key)


async def entry_given_back(bank: Bank) -> str:
    """A part of a split comes back, and the outside is told of it."""
    split = bank.split("entry-given-back")
    await bank.enter(split)
    reversal = EntryReversal.of_entry(f"{bank.task_queue}.back", split, 1_00)
    await bank.enter(reversal)
    return entry_workflow_id(reversal.key)


async def entry_called_off(bank: Bank) -> str:
    """The books do not answer and have not heard of it; the cancel fences it."""
    return await called_off_while_silent(bank, "entry-called-off", "ledger.before_transaction")


async def entry_called_off_too_late(bank: Bank) -> str:
    """The books do not answer but have it; the cancel finds it there."""
    return await called_off_while_silent(bank, "entry-called-off-late", "ledger.after_commit")


async def called_off_while_silent(bank: Bank, name: str, site: str) -> str:
    """A split is called off while the books do not say what became of it."""
    split = bank.split(name)
    failpoints.arm(f"{site}[{split.key}]=raise@*")
    entered, withdrawn = (bank.gates.attempts.get(name, 0) for name in ("enter", "withdraw"))
    submitted = await bank.submitter.enter(EntryRequest.of(split))
    await bank.attempted("enter", entered + 2)
    await bank.submitter.cancel_workflow(submitted.workflow_id, "changed my mind")
    await bank.attempted("withdraw", withdrawn + 1)
    failpoints.arm("")
    await bank.submitter.outcome(submitted, LegOutcome, PATIENCE)
    return submitted.workflow_id


STORIES = (
    entered,
    entry_refused,
    entry_reused,
    entry_told,
    entry_given_back,
    entry_called_off,
    entry_called_off_too_late,
)
"""All of them."""
