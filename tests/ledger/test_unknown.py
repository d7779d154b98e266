"""Unknown is not an answer: whatever breaks around a commit, the same key asked again tells what happened."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from ledger.book import Ledger
from ledger.errors import OutcomeUnknown
from ledger.operation import Operation, Outcome, Posting
from ledger.operations import credit, debit, deposit, refund
from ledger.transfer import Status
from tests.support.examples import a_transfer, balance, balances, open_with, status, transfers


class BrokenCommits:
    """A fake of the way to the database: the next COMMIT's answer is lost, before or after it is executed."""

    def __init__(self, ledger: Ledger, executed: bool) -> None:
        self._dialect: Any = ledger.writer.sync_engine.dialect
        self._commit = self._dialect.do_commit
        self._executed = executed

    def __enter__(self) -> None:
        self._dialect.do_commit = self._do_commit

    def __exit__(self, *_: object) -> None:
        self._dialect.do_commit = self._commit

    def _do_commit(self, connection: Any) -> None:
        if self._executed:
            self._commit(connection)
        raise OperationalError("COMMIT", None, ConnectionResetError("the answer was lost"))


# --- the commit's answer is lost ------------------------------------------------------------------------------


@pytest.mark.parametrize("executed", [True, False], ids=["executed", "not executed"])
async def test_an_error_from_commit_is_unknown_and_the_retry_tells(ledger: Ledger, executed: bool) -> None:
    """The row may be there or not: only the key knows, and in both cases the money moves once."""
    await open_with(ledger, alice=100_00, bob=0)

    with BrokenCommits(ledger, executed), pytest.raises(OutcomeUnknown):
        await ledger.apply(debit(a_transfer(amount_minor=10_00)))
    again = await ledger.apply(debit(a_transfer(amount_minor=10_00)))

    assert (again.applied, again.replayed) == (True, executed)
    assert await balances(ledger, "alice", "transit:USD") == [90_00, 10_00]


@pytest.mark.parametrize("executed", [True, False], ids=["executed", "not executed"])
async def test_a_rejection_whose_commit_is_lost_is_unknown_too(ledger: Ledger, executed: bool) -> None:
    """What was decided is not told before it is recorded: until then another answer is possible."""
    await open_with(ledger, alice=0, bob=0)

    with BrokenCommits(ledger, executed), pytest.raises(OutcomeUnknown):
        await ledger.apply(debit(a_transfer(amount_minor=10_00)))
    await ledger.apply(deposit("D1", "alice", 100_00, "USD"))
    again = await ledger.apply(debit(a_transfer(amount_minor=10_00)))

    assert again.rejected is executed
    assert await balance(ledger, "alice") == (100_00 if executed else 90_00)


async def test_everybody_in_a_lost_commit_is_told_unknown(ledger: Ledger) -> None:
    """One commit, one fate: nobody in the batch is told an outcome that may not be there."""
    await open_with(ledger, alice=100_00, bob=0)
    asked = transfers(10, 1_00)

    with BrokenCommits(ledger, executed=True):
        answers = await asyncio.gather(*(ledger.apply(debit(t)) for t in asked), return_exceptions=True)
    again = await ledger.apply_all([debit(t) for t in asked])

    assert all(isinstance(answer, OutcomeUnknown) for answer in answers)
    assert all(outcome.applied and outcome.replayed for outcome in again)
    assert await balance(ledger, "alice") == 90_00


async def test_a_failure_before_the_commit_records_nothing(ledger: Ledger, arm: Callable[[str], None]) -> None:
    """Everything was written, and rolled back: no key, no posting, no transfer. The retry applies."""
    await open_with(ledger, alice=100_00, bob=0)
    arm("ledger.before_commit=raise")

    with pytest.raises(OutcomeUnknown):
        await ledger.apply(debit(a_transfer()))
    assert await status(ledger, "T1") is None
    assert await balance(ledger, "alice") == 100_00

    again = await ledger.apply(debit(a_transfer()))
    assert (again.applied, again.replayed) == (True, False)


async def test_a_failure_after_the_commit_is_unknown_although_it_is_applied(
    ledger: Ledger, arm: Callable[[str], None]
) -> None:
    """The caller cannot know, the books do: the retry is told again, and nothing moves twice."""
    await open_with(ledger, alice=100_00, bob=0)
    arm("ledger.after_commit[T1/debit]=raise")

    with pytest.raises(OutcomeUnknown):
        await ledger.apply(debit(a_transfer()))
    assert await status(ledger, "T1") is Status.DEBITED

    again = await ledger.apply(debit(a_transfer()))
    assert (again.applied, again.replayed) == (True, True)
    assert await balances(ledger, "alice", "transit:USD") == [75_00, 25_00]


async def test_a_refund_whose_outcome_is_unknown_is_asked_until_it_is_known(
    ledger: Ledger, arm: Callable[[str], None]
) -> None:
    """Lost before and after its commit, the refund still gives the money back exactly once."""
    await open_with(ledger, alice=100_00, bob=0)
    await ledger.apply(debit(a_transfer()))
    arm("ledger.before_transaction=raise@1; ledger.before_commit=raise@1; ledger.after_commit=raise@1")

    for _ in range(3):
        with pytest.raises(OutcomeUnknown):
            await ledger.apply(refund(a_transfer(), "asked"))
    again = await ledger.apply(refund(a_transfer(), "asked"))

    assert (again.applied, again.replayed) == (True, True)
    assert await balances(ledger, "alice", "transit:USD") == [100_00, 0]


# --- the caller goes away -------------------------------------------------------------------------------------


async def test_cancelling_the_caller_does_not_cancel_the_commit(ledger: Ledger) -> None:
    """The caller is cancelled in the very moment of the commit: the debit is in the books, and the key tells."""
    await open_with(ledger, alice=100_00, bob=0)
    caller = asyncio.ensure_future(ledger.apply(debit(a_transfer())))
    cancel = partial(asyncio.get_running_loop().call_soon_threadsafe, caller.cancel)
    event.listen(ledger.writer.sync_engine, "commit", lambda _: cancel(), once=True)

    with pytest.raises(asyncio.CancelledError):
        await caller
    again = await ledger.apply(debit(a_transfer()))

    assert (again.applied, again.replayed) == (True, True)
    assert await balances(ledger, "alice", "transit:USD") == [75_00, 25_00]


async def test_a_caller_may_be_cancelled_at_any_step(ledger: Ledger) -> None:
    """After n = 0, 1, 2, ... steps of the loop: whatever had happened by then, asked again it has happened once."""
    await open_with(ledger, alice=100_00, bob=0)
    asked = transfers(40, 1_00)

    for steps, transfer in enumerate(asked):
        caller = asyncio.ensure_future(ledger.apply(debit(transfer)))
        for _ in range(steps):
            await asyncio.sleep(0)
        caller.cancel()
        await asyncio.wait([caller])
        assert (await ledger.apply(debit(transfer))).applied

    assert await balances(ledger, "alice", "transit:USD") == [60_00, 40_00]


async def test_a_cancelled_caller_does_not_disturb_its_batch(ledger: Ledger) -> None:
    """Half of the callers go away while their commit is in flight; the other half get their answers."""
    await open_with(ledger, alice=100_00, bob=0)
    callers = [asyncio.ensure_future(ledger.apply(debit(transfer))) for transfer in transfers(20, 1_00)]

    loop = asyncio.get_running_loop()

    def go_away(_connection: object) -> None:
        for caller in callers[::2]:
            loop.call_soon_threadsafe(caller.cancel)

    event.listen(ledger.writer.sync_engine, "commit", go_away, once=True)
    answers = await asyncio.gather(*callers, return_exceptions=True)

    assert all(isinstance(answer, asyncio.CancelledError) for answer in answers[::2])
    assert all(isinstance(answer, Outcome) and answer.applied for answer in answers[1::2])
    assert await balance(ledger, "transit:USD") == 20_00


async def test_closing_the_books_waits_for_the_commit(database_url: str) -> None:
    """A worker that stops lets the commit in flight end, although its caller has gone."""
    async with Ledger.open(database_url) as ledger:
        await open_with(ledger, alice=100_00, bob=0)
        caller = asyncio.ensure_future(ledger.apply(debit(a_transfer())))
        await asyncio.sleep(0)
        caller.cancel()

    async with Ledger.open(database_url) as ledger:
        assert await status(ledger, "T1") is Status.DEBITED


async def test_closing_the_books_on_an_error_waits_for_the_commit(database_url: str) -> None:
    """Also when the worker stops because of an error: nothing is written after the lock file is let go."""
    callers = []

    async def fail() -> None:
        async with Ledger.open(database_url) as ledger:
            await open_with(ledger, alice=100_00, bob=0)
            callers.append(asyncio.ensure_future(ledger.apply(debit(a_transfer()))))
            await asyncio.sleep(0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    done, _ = await asyncio.wait(callers, timeout=0)

    assert len(done) == 1
    async with Ledger.open(database_url) as ledger:
        assert await status(ledger, "T1") is Status.DEBITED


async def test_closed_books_answer_nothing(database_url: str) -> None:
    """Whoever still holds them is told that there was no answer; above all, nothing is written without the lock."""
    async with Ledger.open(database_url) as ledger:
        await open_with(ledger, alice=100_00, bob=0)

    with pytest.raises(OutcomeUnknown):
        await ledger.apply(debit(a_transfer()))

    async with Ledger.open(database_url) as reopened:
        assert await status(reopened, "T1") is None


# --- poison ---------------------------------------------------------------------------------------------------


def too_long_a_key() -> Operation:
    """An operation that the rules let pass and the database refuses."""
    posting = Posting("cash:USD", "alice", 5_00, "USD")
    return Operation(key="x" * 300 + "/deposit", content={}, postings=(posting,), must_be_open={"alice": "USD"})


POISON: dict[str, Callable[[], Operation]] = {
    "a key that is too long": too_long_a_key,
    "a detail that is not text": lambda: refund(a_transfer("T9", amount_minor=1_00), "asked", detail="\x00"),
    "half a character": lambda: refund(a_transfer("T9", amount_minor=1_00), "asked", detail="\ud800"),
}


@pytest.mark.parametrize("make", POISON.values(), ids=POISON.keys())
async def test_a_poison_request_does_not_hurt_its_neighbours(ledger: Ledger, make: Callable[[], Operation]) -> None:
    """What one database cannot store is unknown to its own caller; the others in its batch are applied."""
    await open_with(ledger, alice=100_00, bob=0)
    await ledger.apply(debit(a_transfer("T9", amount_minor=1_00)))
    before, after = a_transfer("T1", amount_minor=1_00), a_transfer("T2", amount_minor=1_00)

    answers = await asyncio.gather(
        *(ledger.apply(operation) for operation in (debit(before), make(), debit(after), credit(after))),
        return_exceptions=True,
    )

    assert [isinstance(answer, Outcome) and answer.applied for answer in answers[:1] + answers[2:]] == [True] * 3
    assert isinstance(answers[1], OutcomeUnknown) or (isinstance(answers[1], Outcome) and answers[1].applied)
