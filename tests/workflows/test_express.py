"""Express transfers: the same guarantees with fewer events, and the ordinary way when somebody is silent."""

import pytest
from temporalio.worker import Replayer

from activities.messages import ExpressRequest
from engine.plugin import WorkerPlugin
from engine.submitting import workflow_id
from ledger import failpoints
from ledger.account import AccountStatus
from ledger.operation import SetAccountStatus
from ledger.transfer import Status
from tests.support.bank import Bank, sandbox
from tests.support.databases import only_sqlite
from workflows.search_attributes import NEEDS_ATTENTION


def express(bank: Bank, name: str = "T1", destination: str = "bob", amount_minor: int = 25_00) -> ExpressRequest:
    """25.00 USD from Alice to Bob, unless it is said otherwise."""
    return ExpressRequest(**bank.request(name, destination=destination, amount_minor=amount_minor).model_dump())


async def _events(bank: Bank, request: ExpressRequest) -> list[str]:
    history = await bank.client.get_workflow_handle(workflow_id(request.transfer_id)).fetch_history()
    return [str(event.WhichOneof("attributes")) for event in history.events]


async def test_an_express_transfer_settles_in_one_workflow_task(bank: Bank) -> None:
    """The outside is told as ever; its history has no activity, and less than half of an ordinary one's events."""
    request, ordinary = express(bank), bank.request("T2")
    outcome = await bank.transfer(request)
    await bank.transfer(ordinary)
    events = await _events(bank, request)

    assert (outcome.status, outcome.replayed) == ("settled", False)
    assert len([event for event in events if event.startswith("workflow_task_completed")]) == 1
    assert not [event for event in events if event.startswith("activity_task")]
    assert len(events) * 2 < len(await _events(bank, ExpressRequest(**ordinary.model_dump())))
    assert await bank.balances() == [50_00, 50_00, 0]
    assert [bank.notifier.keys(each.transfer_id) for each in (request, ordinary)] == [
        [f"{each.transfer_id}/notify/settled"] for each in (request, ordinary)
    ]


async def test_an_express_transfer_that_is_refused_is_rejected_or_refunded(bank: Bank) -> None:
    """A source without money; a destination that is closed while the money is in transit."""
    poor = await bank.transfer(express(bank, "T1", amount_minor=1000_00))
    request = express(bank, "T2", "carol")
    gate = bank.gates.close("credit", before=True)
    submitted = await bank.start(request)
    await gate.reached.wait()
    await bank.ledger.apply(SetAccountStatus("carol", AccountStatus.CLOSED))
    gate.open.set()
    closed = await bank.outcome(submitted)

    assert (poor.status, poor.reason) == ("rejected", "insufficient_funds")
    assert (closed.status, closed.reason) == ("refunded", "account_closed")
    assert await bank.balances("alice", "carol", "transit:USD") == [100_00, 0, 0]


@only_sqlite
async def test_the_same_id_is_one_transfer_however_it_is_sent(bank: Bank) -> None:
    """Express or not is how it travels, and no part of what is asked."""
    first = await bank.transfer(express(bank))
    again = await bank.transfer(bank.request())
    await bank.forget(bank.request())
    after = await bank.transfer(bank.request())
    other = await bank.start(express(bank, amount_minor=1))

    assert [outcome.replayed for outcome in (first, again, after)] == [False, True, True]
    assert other.differences == ("amount_minor: 2500 -> 1",)
    assert await bank.balances() == [75_00, 25_00, 0]


@pytest.mark.parametrize("site", ["ledger.before_transaction", "ledger.after_commit"])
@pytest.mark.parametrize("leg", ["debit", "credit"])
async def test_a_silent_leg_of_an_express_transfer_is_asked_in_the_ordinary_way(
    bank: Bank, leg: str, site: str
) -> None:
    """After some seconds it goes through the server, which leaves nothing behind however long the silence is."""
    request = express(bank)
    failpoints.arm(f"{site}[{request.transfer_id}/{leg}]=raise@*")
    submitted = await bank.start(request)
    while "activity_task_scheduled_event_attributes" not in await _events(bank, request):
        await bank.attempted(leg, bank.gates.attempts.get(leg, 0) + 1)
    failpoints.arm("")
    outcome = await bank.outcome(submitted)

    assert outcome.status == "settled"
    assert await bank.balances() == [75_00, 25_00, 0]


@pytest.mark.parametrize("leg", ["debit", "credit"])
async def test_a_cancel_of_a_silent_express_transfer_gives_the_money_back(bank: Bank, leg: str) -> None:
    """What did not happen is fenced; no cent is lost, and none comes late."""
    request = express(bank)
    failpoints.arm(f"ledger.before_transaction[{request.transfer_id}/{leg}]=raise@*")
    submitted = await bank.start(request)
    await bank.attempted(leg, 2)
    await bank.cancel(request)
    outcome = await bank.outcome(submitted)
    failpoints.arm("")

    assert outcome.status == ("cancelled" if leg == "debit" else "refunded")
    assert await bank.balances() == [100_00, 0, 0]


async def test_a_reset_of_an_express_transfer_moves_nothing_again(bank: Bank) -> None:
    """The books answer at its first step."""
    request = express(bank)
    await bank.transfer(request)

    outcome = await bank.outcome(await bank.reset(request))

    assert outcome.status == "settled"
    assert await bank.balances() == [75_00, 25_00, 0]


@only_sqlite
async def test_a_worker_that_is_gone_in_the_middle_of_an_express_transfer_is_followed_by_another(
    idle_bank: Bank,
) -> None:
    """Nothing of its task was recorded: the next worker asks for every leg again, and the keys answer."""
    request = express(idle_bank)
    gate = idle_bank.gates.close("credit", before=True)
    async with idle_bank.working():
        submitted = await idle_bank.start(request)
        await gate.reached.wait()
        await idle_bank.terminate(request)
        gate.open.set()
    assert await idle_bank.status(request) in (Status.DEBITED, Status.SETTLED)
    async with idle_bank.working():
        outcome = await idle_bank.transfer(request)

    assert submitted.run_id
    assert outcome.status == "settled"
    assert await idle_bank.balances() == [75_00, 25_00, 0]


@only_sqlite
async def test_an_express_transfer_whose_receiver_is_silent_ends_all_the_same(bank: Bank) -> None:
    """Its notification is left to a workflow of its own, and nobody is called for it."""
    request = express(bank)
    bank.notifier.refusals = 6
    outcome = await bank.transfer(request)
    handle = bank.client.get_workflow_handle(workflow_id(request.transfer_id))
    attention = (await handle.describe()).typed_search_attributes.get(NEEDS_ATTENTION)
    await bank.client.get_workflow_handle(f"notification/{request.transfer_id}/notify/settled").result()

    assert (outcome.status, attention) == ("settled", False)
    assert bank.notifier.keys(request.transfer_id) == [f"{request.transfer_id}/notify/settled"]


@only_sqlite
async def test_an_express_transfer_whose_receiver_hangs_replays(bank: Bank) -> None:
    """
    Found by the storm: a timeout within a workflow task is raised otherwise on replay, and a new worker stood still.
    """
    request = express(bank)
    gate = bank.gates.close("notify", before=True)
    submitted = await bank.start(request)
    await gate.reached.wait()
    outcome = await bank.outcome(submitted)
    history = await bank.client.get_workflow_handle(workflow_id(request.transfer_id)).fetch_history()

    assert outcome.status == "settled"
    await Replayer(workflows=[], plugins=[WorkerPlugin(workflow_runner=sandbox())]).replay_workflow(history)
