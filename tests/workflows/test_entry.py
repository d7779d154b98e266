"""Entries through Temporal: once per id, whatever is lost, and however often they are asked for."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from pydantic import ValidationError

from activities.messages import EntryRequest, LegOutcome
from engine.results import KeyReused, result_of
from ledger.entries import Share, Split, TargetBalance
from ledger.entries.split import MOST_SHARES
from ledger.errors import MalformedRequest
from ledger.operation import OpenAccount, OutcomeKind
from tests.support.bank import PATIENCE, Bank
from tests.support.databases import both_databases, only_sqlite
from tests.workflows.endings_entries import called_off_while_silent


@both_databases
async def test_a_split_is_paid_once_however_many_ask(bank: Bank) -> None:
    """
    Fifty callers at once are told the same, and so is one who comes later.
    """
    split = bank.split()

    outcomes = await asyncio.gather(*(bank.enter(split) for _ in range(50)))
    later = await bank.enter(split)

    assert {(outcome.kind, outcome.code) for outcome in (*outcomes, later)} == {("applied", None)}
    assert later.replayed
    assert await bank.balances("alice", "bob", "carol") == [75_00, 20_00, 5_00]


async def test_a_split_whose_answer_is_lost_is_paid_once(bank: Bank, arm: Callable[[str], None]) -> None:
    """
    The commit has happened, and nobody heard of it: the second attempt finds the key.
    """
    split = bank.split()
    arm(f"ledger.after_commit[{split.operation().key}]=raise@1")

    outcome = await bank.enter(split)

    assert (outcome.applied, outcome.replayed) == (True, True)
    assert await bank.balances("alice", "bob", "carol") == [75_00, 20_00, 5_00]


@only_sqlite
async def test_an_id_with_other_shares_is_told_what_differs_while_temporal_knows_it_and_after(bank: Bank) -> None:
    """
    First Temporal compares, and where it has never heard of the id, the books do.
    """
    await bank.enter(bank.split())
    await bank.ledger.apply(bank.split("S2").operation())

    submitted = await bank.submitter.enter(EntryRequest.of(bank.split(bob=1)))
    with pytest.raises(KeyReused, match="shares: bob/2000 carol/500 -> bob/1 carol/500"):
        await bank.enter(bank.split("S2", bob=1))

    assert submitted.differences[-1] == "shares: bob/2000 carol/500 -> bob/1 carol/500"
    assert await bank.balances("alice", "bob", "carol") == [50_00, 40_00, 10_00]


@only_sqlite
async def test_a_target_balance_is_reached_through_temporal(bank: Bank) -> None:
    """
    Asked under two ids at once, money moves once.
    """
    entries = [TargetBalance(f"{bank.task_queue}.B{n}", "alice", 30_00, "bob", "USD") for n in range(2)]

    outcomes = await asyncio.gather(*(bank.enter(entry) for entry in entries))

    assert all(outcome.applied for outcome in outcomes)
    assert await bank.balances("alice", "bob") == [30_00, 70_00]


@only_sqlite
async def test_a_split_among_as_many_as_there_may_be_is_taken_by_temporal(bank: Bank) -> None:
    """
    A hundred accounts with the longest names: what an operator reads of it is cut short, what is asked is not.
    """
    names = [f"{'a' * 125}{n:03}" for n in range(MOST_SHARES)]
    await bank.ledger.apply_all([OpenAccount(name, "USD") for name in names])
    split = Split(f"{bank.task_queue}.S1", "alice", "USD", tuple(Share(name, 1) for name in names))

    assert (await bank.enter(split)).applied

    assert await bank.balances("alice", names[0], names[-1]) == [99_00, 1, 1]


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("transfer", {}),
        ("split", {}),
        ("split", {"source": "alice", "amount_minor": 2, "currency": "USD", "shares": "bob/1"}),
        ("split", {"source": "alice", "amount_minor": 1, "currency": "USD", "shares": "bob/1", "tip": 1}),
        ("split", {"source": "alice", "amount_minor": True, "currency": "USD", "shares": "bob/1"}),
        ("reversal", {"reverses": "T1", "source": "a", "destination": "a", "amount_minor": 1, "currency": "USD"}),
        (
            "exchange",
            {
                "source": "fx:USD",
                "destination": "yves",
                "amount_minor": 100,
                "currency": "USD",
                "desk": "fx",
                "bought_minor": 50,
                "bought_currency": "EUR",
                "spread_minor": 0,
                "quote": "Q",
                "rate": "0.5",
                "expires_at": 1,
            },
        ),
        ("target", {"account": "a", "target_minor": -1, "counterpart": "b", "currency": "USD"}),
    ],
)
def test_a_message_that_is_no_entry_is_refused(kind: str, content: dict[str, str | int]) -> None:
    """
    A kind that is not there, fields that are missing, too many, or do not add up: no attempt is ever made.
    """
    with pytest.raises(ValidationError):
        EntryRequest(kind=kind, id="E1", content=content)


@only_sqlite
async def test_a_malformed_entry_that_reaches_the_worker_ends_its_workflow(bank: Bank) -> None:
    """
    Sent past the submitter, it is refused for good and not retried for ever.
    """
    raw = EntryRequest.model_construct(kind="split", id="E1", content={"source": "alice"})

    handle = await bank.client.start_workflow(
        "Entry", raw, id=f"split/{bank.task_queue}.E1", task_queue=bank.task_queue
    )
    with pytest.raises(MalformedRequest):
        await result_of(handle, PATIENCE)
    assert await bank.balances("alice", "bob") == [100_00, 0]


@pytest.mark.parametrize("before", [True, False])
async def test_a_cancel_while_an_entry_is_being_written_is_too_late(bank: Bank, before: bool) -> None:
    """
    The attempt is let finish, so that its effect is known. It happens whole in one step: nothing is left to a cancel.
    """
    gate = bank.gates.close("enter", before=before)
    split = bank.split()
    submitted = await bank.submitter.enter(EntryRequest.of(split))
    await gate.reached.wait()
    await bank.submitter.cancel_workflow(submitted.workflow_id, "changed my mind")
    gate.open.set()

    outcome = await bank.submitter.outcome(submitted, LegOutcome, PATIENCE)

    assert outcome.applied
    assert await bank.balances("alice", "bob", "carol") == [75_00, 20_00, 5_00]
    assert bank.notifier.keys(split.id) == [f"{split.key}/notify/settled"]


async def test_an_entry_that_is_called_off_before_any_worker_has_it_never_happens(idle_bank: Bank) -> None:
    """
    No attempt is made; the fence is under its key, and the outside is told why.
    """
    split = idle_bank.split()
    submitted = await idle_bank.submitter.enter(EntryRequest.of(split))
    await idle_bank.submitter.cancel_workflow(submitted.workflow_id, "wrong shares")

    async with idle_bank.working():
        outcome = await idle_bank.submitter.outcome(submitted, LegOutcome, PATIENCE)

    assert (outcome.kind, outcome.detail) == (OutcomeKind.FENCED, "cancelled: wrong shares")
    assert idle_bank.gates.attempts.get("enter", 0) == 0
    assert (await idle_bank.ledger.apply(split.operation())).fenced
    assert await idle_bank.balances("alice", "bob", "carol") == [100_00, 0, 0]
    assert idle_bank.notifier.keys(split.id) == [f"{split.key}/notify/cancelled"]


@pytest.mark.parametrize(
    ("site", "kind", "alice"),
    [("ledger.before_transaction", OutcomeKind.FENCED, 100_00), ("ledger.after_commit", OutcomeKind.APPLIED, 75_00)],
)
async def test_a_cancel_while_the_books_are_silent_about_an_entry(
    bank: Bank, site: str, kind: OutcomeKind, alice: int
) -> None:
    """
    The fence settles what the silence left open: either it never happens, or it had, and then it is too late.
    """
    id = await called_off_while_silent(bank, "silent", site)

    again = await bank.enter(bank.split("silent"))

    assert id == f"split/{bank.split('silent').id}"
    assert (again.kind, again.replayed) == (kind, True)
    assert await bank.balances("alice") == [alice]


async def test_a_refused_entry_is_told_too_and_asking_again_tells_nobody(bank: Bank) -> None:
    """
    The second submission finds both the outcome and the notification, which has arrived.
    """
    split = bank.split(bob=900_00)
    await bank.enter(split)
    again = await bank.submitter.outcome(await bank.reset_workflow(f"split/{split.id}"), LegOutcome, PATIENCE)

    assert (again.replayed, again.code) == (True, "insufficient_funds")

    assert bank.notifier.keys(split.id) == [f"{split.key}/notify/rejected"]


@only_sqlite
async def test_the_notification_of_an_entry_that_nobody_took_is_found_by_the_sweep(bank: Bank) -> None:
    """
    It was made by somebody who then died: the outbox has it, and the sweep starts a workflow for it.
    """
    split = bank.split()
    await bank.ledger.apply(split.operation())

    summary = await bank.sweep()
    await bank.client.get_workflow_handle(f"notification/{split.key}/notify/settled").result()

    assert summary.notifications_restarted == 1
    assert bank.notifier.keys(split.id) == [f"{split.key}/notify/settled"]


async def test_an_entry_from_before_there_were_notifications_is_told_to_nobody(bank: Bank) -> None:
    """
    Its outcome is given back; the outbox has nothing of it, and nothing waits for that.
    """
    split = bank.split()
    await bank.ledger.apply(replace(split.operation(), tells=False))

    outcome = await bank.enter(split)

    assert (outcome.applied, outcome.replayed, outcome.notification) == (True, True, None)
    assert bank.notifier.keys(split.id) == []
