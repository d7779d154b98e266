"""cancel as scripts meet it: its answer, its exit status, and what it says when nobody can answer."""

from temporalio.client import Client

from engine.embedded import EmbeddedServer
from tests.processes.conftest import open_accounts
from tests.support.databases import only_sqlite
from tests.support.processes import Folder

TRANSFER = ("transfer", "--id", "T1", "--from", "alice", "--to", "bob", "--amount", "25.00")
FIELDS = ["transfer_id", "status", "reason", "replayed", "amount_minor", "currency", "from", "to", "run_id", "ui_url"]


@only_sqlite
async def test_a_cancel_has_an_answer(running: Folder) -> None:
    """
    Too late for a settled transfer, and an unknown id is said to be one.
    """
    await running.starter(*TRANSFER)

    late = await running.starter("cancel", "T1", "--reason", "oops", "--json")
    unknown = await running.starter("cancel", "T9", "--json")

    assert (late.exit, late.json["status"], late.json["cancel"]) == (0, "settled", "too_late")
    assert (unknown.exit, unknown.json["reason"]) == (3, "transfer_not_found")


@only_sqlite
async def test_a_cancel_of_a_transfer_that_nobody_works_on_says_how_to_finish_it(
    place: Folder, temporal_server: EmbeddedServer
) -> None:
    """
    Debited, then terminated by an operator: not "nobody has heard of it", which would invite paying again.
    """
    worker = await place.worker(armed="ledger.before_transaction[T1/credit]=kill")
    await open_accounts(place)
    await place.starter(*TRANSFER, "--no-wait")
    await worker.wait()
    client = await Client.connect(temporal_server.address, namespace=place.more["TEMPORAL_NAMESPACE"])
    await client.get_workflow_handle("transfer/T1").terminate("an operator's mistake")

    cancelled = await place.starter("cancel", "T1", "--json")
    await place.worker()
    again = await place.starter(*TRANSFER, "--json")

    assert (cancelled.exit, cancelled.json["status"]) == (5, "unknown")
    assert "submit it again with the same id" in cancelled.json["reason"]
    assert (again.exit, again.json["status"]) == (0, "settled")
    assert await place.balances("alice", "bob") == [75_00, 25_00]


@only_sqlite
async def test_a_cancel_in_time_gives_the_money_back(place: Folder) -> None:
    """
    The money is in transit and the credit does not answer: cancelling refunds it, and the credit is fenced.
    """
    await place.worker(armed="ledger.before_transaction[T1/credit]=raise@*")
    await place.starter("open-account", "alice", "--currency", "USD", "--deposit", "100", "--deposit-id", "D1")
    await place.starter("open-account", "bob", "--currency", "USD")
    await place.starter(*TRANSFER, "--no-wait")
    await place.reaches("T1", "debited")

    said = await place.starter("cancel", "T1", "--reason", "oops", "--json")

    assert (said.exit, said.json["status"], said.json["cancel"]) == (3, "refunded", "refunded")
    assert (said.json["reason"], said.json["detail"]) == ("cancelled", "oops")
    assert await place.balances("alice", "bob") == [100_00, 0]
