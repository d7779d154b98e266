"""The schedule of the sweep: made once, never changed by a worker, and it does what it is for."""

import asyncio
import shlex
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace

import pytest
from temporalio.client import (
    Client,
    ScheduleActionStartWorkflow,
    ScheduleDescription,
    ScheduleHandle,
    ScheduleOverlapPolicy,
)
from temporalio.service import RPCError

from activities.messages import SweepRequest
from engine import sweeping
from engine.embedded import binary
from ledger import operations
from ledger.transfer import Status
from tests.support.bank import Bank
from tests.support.databases import only_sqlite


@pytest.fixture
async def schedule(idle_bank: Bank) -> AsyncIterator[ScheduleHandle]:
    """The bank's schedule, which is not there yet, and gone after the test."""
    handle = idle_bank.client.get_schedule_handle(sweeping.schedule_id(idle_bank.task_queue))
    yield handle
    with suppress(RPCError):
        await handle.delete()


@only_sqlite
async def test_the_schedule_sweeps(bank: Bank, schedule: ScheduleHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A transfer that has stood in transit for an hour, and that nobody asks about, is settled by the next turn.
    """
    request = bank.request()
    with monkeypatch.context() as an_hour_ago:
        an_hour_ago.setattr("ledger.store.time", SimpleNamespace(time_ns=lambda: time.time_ns() - 3600 * 10**9))
        await bank.ledger.apply(operations.debit(request.as_transfer()))

    assert await sweeping.schedule(bank.client, bank.task_queue)
    await schedule.trigger()
    await bank.reaches(request, Status.SETTLED)

    assert await bank.balances() == [75_00, 25_00, 0]


@only_sqlite
async def test_the_schedule_is_made_once_however_many_workers_start(idle_bank: Bank, schedule: ScheduleHandle) -> None:
    """
    One of them makes it; the others find it.
    """
    made = await asyncio.gather(*(sweeping.schedule(idle_bank.client, idle_bank.task_queue) for _ in range(5)))

    description = await schedule.describe()
    assert sorted(made) == [False] * 4 + [True]
    assert description.schedule.policy.overlap is ScheduleOverlapPolicy.SKIP
    assert description.schedule.policy.catchup_window == sweeping.CATCHUP
    assert _every(description) == [sweeping.INTERVAL]


@only_sqlite
async def test_a_worker_does_not_overrule_an_operator_who_paused_the_schedule(
    idle_bank: Bank, schedule: ScheduleHandle
) -> None:
    """
    A deploy in the middle of an incident must not start what somebody has stopped.
    """
    await sweeping.schedule(idle_bank.client, idle_bank.task_queue)
    await schedule.pause(note="an incident")

    again = await sweeping.schedule(idle_bank.client, idle_bank.task_queue)

    assert again is False
    assert (await schedule.describe()).schedule.state.paused


@only_sqlite
async def test_where_the_schedule_cannot_be_made_the_command_that_makes_it_is_said(
    idle_bank: Bank, schedule: ScheduleHandle
) -> None:
    """
    The command, run as it is printed, makes the schedule that a worker makes.
    """
    nowhere = Client(**(idle_bank.client.config() | {"namespace": "nowhere"}))
    with pytest.raises(sweeping.NotScheduled) as refusal:
        await sweeping.schedule(nowhere, idle_bank.task_queue)
    command = str(refusal.value).splitlines()[-1].replace("--namespace nowhere", "--namespace default")

    await sweeping.schedule(idle_bank.client, idle_bank.task_queue)
    by_a_worker = await schedule.describe()
    await schedule.delete()
    await _run(command, idle_bank)
    by_the_command = await schedule.describe()

    assert _every(by_the_command) == _every(by_a_worker)
    assert by_the_command.schedule.policy == by_a_worker.schedule.policy
    assert await _asked(by_the_command, idle_bank) == await _asked(by_a_worker, idle_bank)


async def _run(command: str, bank: Bank) -> None:
    """Run a printed command against the tests' server."""
    _, *arguments = shlex.split(command)
    address = bank.client.service_client.config.target_host
    process = await asyncio.create_subprocess_exec(
        binary(), *arguments, "--address", address, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


def _every(description: ScheduleDescription) -> list[timedelta]:
    return [interval.every for interval in description.schedule.spec.intervals]


async def _asked(description: ScheduleDescription, bank: Bank) -> tuple[str, str, str, SweepRequest]:
    """What a schedule starts: the workflow, its id, its task queue and its request."""
    action = description.schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    [request] = await bank.client.data_converter.decode(action.args, [SweepRequest])
    return action.workflow, action.id, action.task_queue, request
