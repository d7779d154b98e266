"""Sweeps beside other sweeps, callers and cancels, and sweeps of long lines: each transfer still ends once."""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress

import pytest
from temporalio import activity
from temporalio.service import RPCError

from activities.messages import SweepSummary, TransferRequest
from activities.sweeping import Standing
from engine.sweeping import TemporalWorkflows
from ledger import operations
from ledger.transfer import Status
from tests.support.bank import PATIENCE, Bank
from tests.support.databases import both_databases, only_sqlite

Arm = Callable[[str], None]


@both_databases
async def test_two_sweeps_at_once_finish_everything_once(bank: Bank) -> None:
    """
    Both find the same transfers, and start them under the same ids.
    """
    requests = [bank.request(f"T{number}", amount_minor=1_00) for number in range(20)]
    await bank.ledger.apply_all([operations.debit(request.as_transfer()) for request in requests])

    summaries = await asyncio.gather(*(bank.sweep(older_than) for older_than in (0, 0.001, 0.002)))
    outcomes = await asyncio.gather(*(bank.transfer(request) for request in requests))

    assert {outcome.status for outcome in outcomes} == {"settled"}
    assert sum(summary.restarted for summary in summaries) >= len(requests)
    assert all(summary.disagreeing == summary.unanswered == 0 for summary in summaries)
    assert await bank.balances() == [80_00, 20_00, 0]
    assert [len(bank.notifier.keys(request.transfer_id)) for request in requests] == [1] * len(requests)


@both_databases
async def test_a_sweep_beside_callers_and_cancels_changes_nothing_about_the_promise(bank: Bank) -> None:
    """
    Swept, submitted and cancelled in the same moment: each ends one way, and everybody is told the same.
    """
    requests = [bank.request(f"T{number}", amount_minor=1_00) for number in range(20)]
    await bank.ledger.apply_all([operations.debit(request.as_transfer()) for request in requests])

    async def cancel(request: TransferRequest) -> None:
        await bank.start(request)
        await bank.cancel(request)

    await asyncio.gather(bank.sweep(), *(cancel(request) for request in requests), bank.sweep(0.001))
    outcomes = await asyncio.gather(*(bank.transfer(request) for request in requests))

    statuses = [outcome.status for outcome in outcomes]
    assert set(statuses) <= {"settled", "refunded"}
    settled = statuses.count("settled")
    assert await bank.balances() == [100_00 - settled * 1_00, settled * 1_00, 0]


async def test_a_swept_transfer_can_be_cancelled(bank: Bank, arm: Arm) -> None:
    """
    What the sweep has started is an ordinary transfer: a cancel before the credit gives the money back.
    """
    request = bank.request()
    await bank.ledger.apply(operations.debit(request.as_transfer()))
    arm(f"ledger.before_transaction[{request.transfer_id}/credit]=raise@*")

    summary = await bank.sweep()
    await bank.attempted("credit", 2)
    await bank.cancel(request)
    outcome = await bank.transfer(request)

    assert (summary.restarted, outcome.status) == (1, "refunded")
    assert await bank.balances() == [100_00, 0, 0]


async def test_a_long_line_is_looked_at_to_its_end(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Page after page; what is running does not count against the restarts, so that it cannot hide an orphan for ever.
    """
    monkeypatch.setattr("activities.sweeping.PAGE", 2)
    monkeypatch.setattr("activities.sweeping.RESTARTS", 1)
    monkeypatch.setattr("activities.sweeping._TOGETHER", 1)
    requests = [bank.request(f"T{number}", amount_minor=1_00) for number in range(7)]
    running, orphans = requests[:5], requests[5:]
    gates = []
    for request in running:
        gates.append(bank.gates.close("credit", before=True))
        await bank.start(request)
        await gates[-1].reached.wait()
    await bank.ledger.apply_all([operations.debit(request.as_transfer()) for request in orphans])

    first, second, third = [await bank.sweep(older_than) for older_than in (0, 0.001, 0.002)]
    for gate in gates:
        gate.open.set()
    outcomes = await asyncio.gather(*(bank.transfer(request) for request in requests))

    assert (first.running, first.restarted, first.more) == (5, 1, True)
    assert (second.restarted, third.restarted, third.more) == (1, 0, False)
    assert {outcome.status for outcome in outcomes} == {"settled"}
    assert await bank.balances() == [93_00, 7_00, 0]


async def test_a_sweep_that_takes_too_long_says_that_there_is_more(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    It has an end whatever it finds, and never takes what it has not looked at for finished.
    """
    request = bank.request()
    await bank.ledger.apply(operations.debit(request.as_transfer()))
    monkeypatch.setattr("activities.sweeping.LONGEST", 0.0)

    summary = await bank.sweep()

    assert summary == SweepSummary(more=True)
    assert await bank.status(request) is Status.DEBITED


async def test_a_deploy_does_not_wait_for_a_long_sweep(idle_bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A worker that is told to stop ends its sweep at the next look; what is left is for the next one.
    """
    requests = [idle_bank.request(name, amount_minor=1_00) for name in ("A", "B")]
    await idle_bank.ledger.apply_all([operations.debit(request.as_transfer()) for request in requests])
    looking = asyncio.Event()

    async def slow(self: TemporalWorkflows, transfer_id: str) -> Standing:
        looking.set()
        await activity.wait_for_worker_shutdown()
        return Standing.RUNNING

    with monkeypatch.context() as slowly:
        slowly.setattr("activities.sweeping._TOGETHER", 1)
        slowly.setattr(TemporalWorkflows, "of_transfer", slow)
        async with idle_bank.working():
            first = asyncio.create_task(idle_bank.sweep())
            await looking.wait()
    async with idle_bank.working():
        second = await idle_bank.sweep(0.001)
        outcomes = await asyncio.gather(*(idle_bank.transfer(request) for request in requests))

    assert await first == SweepSummary(looked_at=1, running=1, more=True)
    assert second.restarted == 2
    assert {outcome.status for outcome in outcomes} == {"settled"}
    assert await idle_bank.balances() == [98_00, 2_00, 0]


@only_sqlite
async def test_a_storm_of_terminations_is_weathered_by_two_sweepers(bank: Bank, arm: Arm) -> None:
    """
    Terminated in transit, or before the receiver knew: each transfer ends once and is told once, and no caller asks.
    """
    requests = [bank.request(f"T{number}", amount_minor=1_00) for number in range(30)]
    arm("activity.before_completion=stall:0.2@3+; notify.before_delivery=stall:0.2@2+")  # so that there is time for it
    over = asyncio.Event()

    async def sweeper(older_than_seconds: float) -> int:
        restarted = 0
        while not over.is_set():
            summary = await bank.sweep(older_than_seconds)
            restarted += summary.restarted + summary.notifications_restarted
        return restarted

    async def terminated(request: TransferRequest, at: Status) -> None:
        await bank.start(request)
        while (status := await bank.status(request)) is not at and not (status and status.terminal):
            await asyncio.sleep(0.01)
        with suppress(RPCError):  # it may have ended meanwhile
            await bank.terminate(request)

    sweepers = [asyncio.create_task(sweeper(older_than)) for older_than in (0, 0.001)]
    told = {f"{request.transfer_id}/notify/settled" for request in requests}
    moments = itertools.cycle([Status.DEBITED, Status.DEBITED, Status.SETTLED])
    await asyncio.gather(*map(terminated, requests, moments))
    await asyncio.gather(*(bank.reaches(request, Status.SETTLED) for request in requests))
    async with asyncio.timeout(PATIENCE):
        while {key for key, _ in bank.notifier.seen} != told:
            await asyncio.sleep(0.05)
    over.set()

    assert sum(await asyncio.gather(*sweepers)) > 0
    assert await bank.balances() == [70_00, 30_00, 0]
