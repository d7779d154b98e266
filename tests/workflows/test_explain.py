"""explain: what a person is told of one transfer, from Temporal's history and from the books, and what it proves."""

from collections.abc import Callable

from activities.messages import TransferRequest
from cli.explaining import Explanation
from engine.history import runs_of
from engine.submitting import workflow_id
from ledger import operations
from ledger.account import AccountStatus
from ledger.effects import Verdict
from ledger.operation import SetAccountStatus
from ledger.story import read_story
from ledger.transfer import Status
from tests.support.bank import Bank
from tests.support.databases import both_databases


async def explain(bank: Bank, request: TransferRequest) -> Explanation:
    """All about a transfer."""
    runs = await runs_of(bank.client, workflow_id(request.transfer_id))
    return Explanation(request.transfer_id, await read_story(bank.ledger, request.transfer_id), runs)


def told(explanation: Explanation, *sources: str) -> list[str]:
    """What the lines of some sources say."""
    return [line.what for line in explanation.lines if line.source in sources]


def nets(explanation: Explanation) -> dict[str, int]:
    """What the transfer has brought each account."""
    return {effect.account_id: effect.net for effect in explanation.effects}


def details(explanation: Explanation, what: str) -> str | None:
    """What the only line that says this says more."""
    (line,) = [line for line in explanation.lines if line.what == what]
    return line.detail


async def refund_because_bob_is_closed(bank: Bank, request: TransferRequest) -> None:
    """Bob is closed while the money is in transit, and open again afterwards."""
    gate = bank.gates.close("credit", before=True)
    submitted = await bank.start(request)
    await gate.reached.wait()
    await bank.ledger.apply(SetAccountStatus("bob", AccountStatus.CLOSED))
    gate.open.set()
    await bank.outcome(submitted)
    await bank.ledger.apply(SetAccountStatus("bob", AccountStatus.OPEN))


@both_databases
async def test_a_settled_transfer_is_told_from_its_start_to_its_delivery(bank: Bank) -> None:
    """
    The books' lines in the order of their effects, Temporal's around them, and the proof that it moved once.
    """
    request = bank.request()
    await bank.transfer(request)

    explanation = await explain(bank, request)

    assert told(explanation, "ledger", "notify") == [
        "accepted", "debit applied", "25.00 USD  alice → transit:USD", "accepted → debited",
        "credit applied", "25.00 USD  transit:USD → bob", "debited → settled",
        "put in the outbox", "known to be delivered",
    ]  # fmt: skip  # one transaction a line
    assert told(explanation, "temporal") == [
        "Transfer started",
        "debit scheduled", "debit, attempt 1", "debit answered: applied",
        "credit scheduled", "credit, attempt 1", "credit answered: applied",
        "notify scheduled", "notify, attempt 1", "notify answered: done",
        "shows TransferStatus = settled", "workflow completed: settled",
    ]  # fmt: skip  # one activity a line
    instants = [line.at for line in explanation.lines]
    assert instants == sorted(instants)
    legs = {line.key for line in explanation.lines}
    assert legs == {None, *(f"{request.transfer_id}/{leg}" for leg in ("debit", "credit", "notify/settled"))}
    assert nets(explanation) == {"alice": -25_00, "transit:USD": 0, "bob": 25_00}
    assert (explanation.status, explanation.temporal, explanation.verdict) == ("settled", "history", "moved_once")


async def test_a_refunded_transfer_shows_why_and_that_nobody_has_lost_anything(bank: Bank) -> None:
    """
    The rejected credit, the refund, and accounts that are where they were.
    """
    request = bank.request()
    await refund_because_bob_is_closed(bank, request)

    explanation = await explain(bank, request)

    assert details(explanation, "credit rejected: account_closed") == "account bob is closed"
    assert details(explanation, "debited → refunded") == "account_closed: account bob is closed"
    assert "25.00 USD  transit:USD → alice" in told(explanation, "ledger")
    assert "credit answered: rejected account_closed" in told(explanation, "temporal")
    assert nets(explanation) == {"alice": 0, "transit:USD": 0}
    assert (explanation.status, explanation.verdict) == ("refunded", "not_moved")


async def test_a_retried_leg_shows_its_attempts_and_what_the_lost_one_died_of(
    bank: Bank, arm: Callable[[str], None]
) -> None:
    """
    The attempt that raised leaves no event; the next one says what had happened to it.
    """
    request = bank.request()
    arm(f"ledger.before_commit[{request.transfer_id}/debit]=raise@1")
    await bank.transfer(request)

    explanation = await explain(bank, request)

    died_of = details(explanation, "debit, attempt 2")
    assert died_of == "attempt 1: the ledger did not answer: FailpointError: failpoint ledger.before_commit"
    assert told(explanation, "ledger").count("debit applied") == 1
    assert explanation.verdict == "moved_once"


async def test_a_leg_that_does_not_answer_shows_how_often_it_was_tried(bank: Bank, arm: Callable[[str], None]) -> None:
    """
    While the money is in transit: the attempts of now, which no event of the history tells.
    """
    request = bank.request()
    arm(f"ledger.before_commit[{request.transfer_id}/credit]=raise@*")
    submitted = await bank.start(request)
    await bank.attempted("credit", 3)

    explanation = await explain(bank, request)
    arm("")
    await bank.outcome(submitted)

    (waiting,) = [line for line in explanation.lines if line.what.endswith("no answer yet")]
    assert waiting.key == f"{request.transfer_id}/credit"
    assert "the ledger did not answer" in (waiting.detail or "")
    assert nets(explanation) == {"alice": -25_00, "transit:USD": 25_00}
    assert (explanation.status, explanation.verdict) == ("debited", "in_transit")


async def test_a_cancel_shows_its_reason_and_the_fence_that_a_late_credit_meets(bank: Bank) -> None:
    """
    The refund and the fence come in one transaction; what comes late under the fenced key leaves no trace.
    """
    request = bank.request()
    gate = bank.gates.close("credit", before=True)
    submitted = await bank.start(request)
    await gate.reached.wait()
    await bank.submitter.cancel(request.transfer_id, "changed\x1b[2Jmind")
    await bank.outcome(submitted)
    late = await bank.ledger.apply(operations.credit(request.as_transfer()))

    explanation = await explain(bank, request)

    assert late.fenced
    assert details(explanation, "cancel requested") == "changed [2Jmind"
    assert "credit: told to stop" in told(explanation, "temporal")
    assert told(explanation, "ledger")[4:] == [
        "refund applied", "25.00 USD  transit:USD → alice", "credit fenced: it will never apply", "debited → refunded"
    ]  # fmt: skip  # one transaction
    (fence,) = [line for line in explanation.lines if line.what.startswith("credit fenced")]
    assert (fence.key, fence.detail) == (f"{request.transfer_id}/credit", f"fenced by {request.transfer_id}/refund")
    assert (nets(explanation), explanation.verdict) == ({"alice": 0, "transit:USD": 0}, "not_moved")


async def test_after_a_reset_both_runs_are_told_and_the_second_ones_debit_is_a_replay(bank: Bank) -> None:
    """
    What the reset copied into the new run is told once, and the books have nothing new.
    """
    request = bank.request()
    first = await bank.start(request)
    await bank.outcome(first)
    second = await bank.reset(request)
    await bank.outcome(second)

    explanation = await explain(bank, request)

    lines = told(explanation, "temporal")
    assert lines.count("Transfer started") == 1
    assert details(explanation, f"reset: begins again as run {(second.run_id or '')[:8]}") == "a test"
    assert lines.count("debit answered: applied") == 1
    assert lines.count("debit answered: applied, replayed: nothing moved now") == 1
    assert {line.run_id for line in explanation.lines} == {None, first.run_id, second.run_id}
    assert told(explanation, "ledger").count("25.00 USD  alice → transit:USD") == 1
    assert explanation.verdict == "moved_once"


async def test_what_temporal_has_forgotten_is_told_from_the_books(bank: Bank) -> None:
    """
    The ledger's part is whole, and so is the proof.
    """
    request = bank.request()
    await bank.transfer(request)
    before = await explain(bank, request)
    await bank.forget(request)

    explanation = await explain(bank, request)

    assert explanation.temporal == "forgotten"
    assert explanation.lines == [line for line in before.lines if line.source != "temporal"]
    assert (explanation.effects, explanation.verdict) == (before.effects, Verdict.MOVED_ONCE)


async def test_what_the_books_do_not_know_yet_is_told_from_temporal(idle_bank: Bank) -> None:
    """
    No worker has taken it: it is accepted, and nothing has moved.
    """
    request = idle_bank.request()
    submitted = await idle_bank.start(request)

    explanation = await explain(idle_bank, request)

    assert told(explanation, "temporal") == ["Transfer started"]
    assert (explanation.status, explanation.verdict, explanation.effects) == (Status.ACCEPTED, "not_moved", [])
    async with idle_bank.working():
        await idle_bank.outcome(submitted)


async def test_a_transfer_terminated_in_transit_and_finished_by_another_run_is_one_story(bank: Bank) -> None:
    """
    The run that was ended, why, and the run that went on with the same keys.
    """
    request = bank.request()
    gate = bank.gates.close("credit", before=True)
    submitted = await bank.start(request)
    await gate.reached.wait()
    await bank.client.get_workflow_handle(submitted.workflow_id).terminate(reason="an operator's mistake")
    gate.open.set()
    await bank.transfer(request)

    explanation = await explain(bank, request)

    assert details(explanation, "workflow terminated") == "an operator's mistake"
    assert told(explanation, "temporal").count("Transfer started") == 2
    assert told(explanation, "ledger").count("debit applied") == 1
    assert explanation.verdict == "moved_once"
