"""Bugs that cost real systems money, between Temporal and the books. Those of the books alone are in tests/ledger."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from engine.settings import ROOT
from ledger.book import Ledger
from ledger.operations import deposit
from tests.support.bank import Bank
from tests.support.databases import only_sqlite
from tests.support.examples import balances, open_with
from workflows.search_attributes import TRANSFER_STATUS


@only_sqlite
async def test_formance_1607_keys_survive_a_backup_and_its_restore(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    """
    Formance lost its keys on restore, so that old requests applied again. Here they are rows like any others.
    """
    url = new_database()
    async with Ledger.open(url) as ledger:
        await open_with(ledger, alice=100_00)
        await ledger.apply(deposit("D9", "alice", 5_00, "USD"))
    with (
        closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as books,
        closing(sqlite3.connect(tmp_path / "restored.db")) as restored,
    ):
        books.backup(restored)

    async with Ledger.open(f"sqlite:///{tmp_path}/restored.db") as ledger:
        again = await ledger.apply(deposit("D9", "alice", 5_00, "USD"))
        other = await ledger.apply(deposit("D9", "alice", 6_00, "USD"))

        assert (again.applied, again.replayed, other.key_reused) == (True, True, True)
        assert await balances(ledger, "alice") == [105_00]


async def test_dbos_769_a_collected_id_does_not_replay_an_old_result_for_other_content(bank: Bank) -> None:
    """
    DBOS gave a new request the result of a forgotten one. Here the books compare the content before they answer.
    """
    request = bank.request()
    await bank.outcome(await bank.start(request))
    await bank.forget(request)
    other = request.model_copy(update={"amount_minor": 9_00})

    with pytest.raises(Exception, match="amount_minor: 2500 -> 900"):
        await bank.outcome(await bank.start(other))
    await bank.forget(request)
    again = await bank.outcome(await bank.start(request))

    assert (again.status, again.replayed) == ("settled", True)
    assert await bank.balances() == [75_00, 25_00, 0]


def test_temporal_3667_and_9132_nothing_decides_by_the_retry_state() -> None:
    """
    The retry state of a timeout was wrong for years. Only a recorded rejection leads to a refund.
    """
    sources = [path.read_text() for folder in ("workflows", "activities") for path in (ROOT / folder).rglob("*.py")]

    assert len(sources) > 5
    assert not [source for source in sources if "retry_state" in source]


async def test_temporal_3667_and_9132_an_attempt_that_times_out_after_its_commit_is_no_rejection(
    bank: Bank, arm: Callable[[str], None]
) -> None:
    """
    The debit is in the books, and its answer comes too late: it is asked again, and the transfer settles.
    """
    request = bank.request()
    arm(f"activity.before_completion[{request.transfer_id}/debit]=stall:7")

    outcome = await bank.outcome(await bank.start(request))

    assert outcome.status == "settled"
    assert await bank.balances() == [75_00, 25_00, 0]


async def test_mojaloop_460_nobody_is_told_settled_before_the_credit_is_in_the_books(bank: Bank) -> None:
    """
    Mojaloop told payees "committed" while the payer's side was not final. Here books, index and outside wait.
    """
    request = bank.request()
    gate = bank.gates.close("credit", before=True)
    submitted = await bank.start(request)
    await gate.reached.wait()

    described = await bank.client.get_workflow_handle(submitted.workflow_id).describe()
    before = (await bank.status(request), described.typed_search_attributes[TRANSFER_STATUS])
    told_before = bank.notifier.keys(request.transfer_id)
    gate.open.set()
    outcome = await bank.outcome(submitted)

    assert (before, told_before) == (("debited", "accepted"), [])
    assert outcome.status == "settled"
    assert bank.notifier.keys(request.transfer_id) == [f"{request.transfer_id}/notify/settled"]
