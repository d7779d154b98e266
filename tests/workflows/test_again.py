"""Again: the same id, as often as anybody likes, through everything that makes Temporal forget."""

import asyncio

import pytest
from temporalio.client import (
    Client,
    DescribeWorkflowInput,
    Interceptor,
    OutboundInterceptor,
    WorkflowExecutionDescription,
)

from engine.results import KeyReused
from ledger.account import AccountStatus
from ledger.operation import SetAccountStatus
from tests.support.bank import Bank
from tests.support.databases import both_databases


class Describing(Interceptor):
    """Remembers which workflows a client has looked at."""

    def __init__(self, looked: list[str]) -> None:
        self._looked = looked

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        """Described through here."""
        looked = self._looked

        class Outbound(OutboundInterceptor):
            async def describe_workflow(self, input: DescribeWorkflowInput) -> WorkflowExecutionDescription:
                looked.append(input.id)
                return await super().describe_workflow(input)

        return Outbound(next)


@both_databases
async def test_fifty_callers_of_one_id_get_one_effect_and_equal_answers(bank: Bank) -> None:
    """
    Submit it as often as you like, from as many places as you like.
    """
    request = bank.request()

    outcomes = await asyncio.gather(*(bank.transfer(request) for _ in range(50)))

    assert {(outcome.status, outcome.reason) for outcome in outcomes} == {("settled", None)}
    assert await bank.balances() == [75_00, 25_00, 0]


async def test_only_who_finds_something_under_the_id_looks_at_it(bank: Bank) -> None:
    """
    Where nothing is in the way one call starts a transfer; each further one asks Temporal's servers for some work.
    """
    request, looked = bank.request(), list[str]()
    bank.client = Client(**bank.client.config() | {"interceptors": [Describing(looked)]})

    first = await bank.start(request)
    looked_by_the_first = list(looked)
    await bank.outcome(first)
    again = await bank.start(request)

    assert looked_by_the_first == []
    assert looked == [first.workflow_id]
    assert (first.run_id, first.replayed, again.replayed) == (again.run_id, False, True)


async def test_the_same_id_with_other_content_is_told_what_differs_while_it_runs_and_after(bank: Bank) -> None:
    """
    The memo's fingerprint answers while Temporal remembers; then the ledger does.
    """
    request, other = bank.request(), bank.request(amount_minor=99_00)
    gate = bank.gates.close("debit", before=True)
    submitted = await bank.start(request)
    await gate.reached.wait()

    running = await bank.start(other)
    gate.open.set()
    await bank.outcome(submitted)
    closed = await bank.start(other)
    await bank.forget(request)
    with pytest.raises(KeyReused, match="amount_minor: 2500 -> 9900"):
        await bank.transfer(other)

    assert running.differences == closed.differences == ("amount_minor: 2500 -> 9900",)
    assert await bank.balances() == [75_00, 25_00, 0]


async def test_somebody_elses_reuse_of_an_id_does_not_take_it_from_its_owner(bank: Bank) -> None:
    """
    Temporal forgot the transfer, and then heard of the id with other content: the owner is still told the outcome.
    """
    request = bank.request()
    await bank.transfer(request)
    await bank.forget(request)
    with pytest.raises(KeyReused):
        await bank.transfer(bank.request(amount_minor=99_00))

    again = await bank.transfer(request)

    assert (again.status, again.replayed) == ("settled", True)
    assert await bank.balances() == [75_00, 25_00, 0]


async def test_a_settled_transfer_run_again_after_temporal_forgot_it_answers_from_the_ledger(bank: Bank) -> None:
    """
    Temporal's retention is a cache in front of the ledger, not the memory.
    """
    request = bank.request()
    await bank.transfer(request)
    await bank.forget(request)

    again = await bank.transfer(request)

    assert (again.status, again.replayed) == ("settled", True)
    assert await bank.balances() == [75_00, 25_00, 0]
    assert bank.gates.attempts["credit"] == 1
    assert len(bank.notifier.keys(request.transfer_id)) == 1


async def test_a_finished_transfer_that_is_reset_to_its_first_task_does_nothing_again(bank: Bank) -> None:
    """
    A reset makes Temporal forget: every key made of run ids would pay twice here.
    """
    request = bank.request()
    await bank.transfer(request)

    after_reset = await bank.outcome(await bank.reset(request))

    assert (after_reset.status, after_reset.replayed) == ("settled", True)
    assert await bank.balances() == [75_00, 25_00, 0]
    assert len(bank.notifier.keys(request.transfer_id)) == 1


async def test_a_refunded_transfer_that_is_reset_to_its_first_task_stays_refunded(bank: Bank) -> None:
    """
    Even though the destination is open again by then: the outcome was recorded.
    """
    request = bank.request()
    gate = bank.gates.close("credit", before=True)
    submitted = await bank.start(request)
    await gate.reached.wait()
    await bank.ledger.apply(SetAccountStatus("bob", AccountStatus.CLOSED))
    gate.open.set()
    await bank.outcome(submitted)
    await bank.ledger.apply(SetAccountStatus("bob", AccountStatus.OPEN))

    after_reset = await bank.outcome(await bank.reset(request))

    assert (after_reset.status, after_reset.reason) == ("refunded", "account_closed")
    assert await bank.balances() == [100_00, 0, 0]


async def test_a_transfer_terminated_in_transit_is_finished_when_it_is_submitted_again(bank: Bank) -> None:
    """
    Terminating skips all cleanup; the same id picks the transfer up from the books, with the same keys.
    """
    request = bank.request()
    gate = bank.gates.close("credit", before=True)
    submitted = await bank.start(request)
    await gate.reached.wait()
    await bank.client.get_workflow_handle(submitted.workflow_id).terminate("an operator's mistake")
    gate.open.set()

    outcome = await bank.transfer(request)

    assert outcome.status == "settled"
    assert await bank.balances() == [75_00, 25_00, 0]
