"""The starter as scripts meet it: exit status, one JSON object, and a sentence for people."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from engine.settings import ROOT
from tests.support.databases import only_sqlite
from tests.support.processes import Folder

TRANSFER = ("transfer", "--id", "T1", "--from", "alice", "--to", "bob", "--amount", "25.00")
FIELDS = ["transfer_id", "status", "reason", "replayed", "amount_minor", "currency", "from", "to", "run_id", "ui_url"]


async def test_a_transfer_settles_and_the_same_command_again_is_told_the_same(running: Folder) -> None:
    """
    Exit 0 both times; the second answer is the recorded one, and nothing moves.
    """
    first = await running.starter(*TRANSFER, "--json")
    again = await running.starter(*TRANSFER, "--json")

    assert (first.exit, again.exit) == (0, 0)
    assert [name for name in first.json if name in FIELDS] == FIELDS
    assert (first.json["status"], first.json["replayed"]) == ("settled", False)
    assert again.json == first.json | {"replayed": True}
    assert await running.balances("alice", "bob") == [75_00, 25_00]


@only_sqlite
async def test_every_way_a_transfer_can_end_has_its_exit_status(running: Folder) -> None:
    """
    0 settled, 2 malformed, 3 a business answer, 4 another content under the id.
    """
    pay = ("transfer", "--from", "alice", "--to", "bob", "--json")
    settled = await running.starter(*pay, "--id", "T1", "--amount", "25.00")
    reused = await running.starter(*pay, "--id", "T1", "--amount", "99.00")
    rejected = await running.starter(*pay, "--id", "T2", "--amount", "100.01")
    malformed = await running.starter(*pay, "--id", "T3", "--amount", "25.001")

    assert [said.exit for said in (settled, reused, rejected, malformed)] == [0, 4, 3, 2]
    assert (reused.json["status"], reused.json["detail"]) == ("key_reused", "amount_minor: 2500 -> 9900")
    assert (rejected.json["status"], rejected.json["reason"]) == ("rejected", "insufficient_funds")
    assert malformed.json["status"] == "malformed"
    assert (await running.starter("status", "T2", "--json")).exit == 3
    assert (await running.starter("status", "T3", "--json")).json["reason"] == "transfer_not_found"
    assert await running.balances("alice", "bob") == [75_00, 25_00]


@only_sqlite
async def test_what_people_see_has_the_outcome_in_its_first_line(running: Folder) -> None:
    """
    Without --json: the id, how it ended and the amount first, then the details.
    """
    said = await running.starter(*TRANSFER)

    assert said.output.splitlines()[0] == "T1  settled  25.00 USD"
    assert said.errors == ""


@only_sqlite
async def test_an_accepted_transfer_need_not_be_waited_for(running: Folder) -> None:
    """
    --no-wait answers at once with 0; the same command later tells how it ended.
    """
    accepted = await running.starter(*TRANSFER, "--no-wait", "--json")
    await running.reaches("T1", "settled")
    later = await running.starter(*TRANSFER, "--no-wait", "--json")

    assert (accepted.exit, accepted.json["status"]) == (0, "accepted")
    assert (later.exit, later.json["status"], later.json["replayed"]) == (0, "settled", True)


@only_sqlite
async def test_without_a_worker_the_outcome_is_unknown_and_the_same_command_later_tells_it(place: Folder) -> None:
    """
    Exit 5 means: run the same command again. It is never a refusal.
    """
    worker = await place.worker()
    await place.starter("open-account", "alice", "--currency", "USD", "--deposit", "100", "--deposit-id", "D1")
    await place.starter("open-account", "bob", "--currency", "USD")
    worker.terminate()
    await worker.wait()

    unknown = await place.starter(*TRANSFER, "--timeout", "1", "--json")
    await place.worker()
    known = await place.starter(*TRANSFER, "--json")

    assert (unknown.exit, unknown.json["status"]) == (5, "unknown")
    assert (known.exit, known.json["status"]) == (0, "settled")
    assert await place.balances("alice", "bob") == [75_00, 25_00]


@only_sqlite
async def test_temporal_that_is_not_there_is_exit_5_and_says_what_to_do(place: Folder) -> None:
    """
    Not reachable is unknown: nothing is claimed about the money.
    """
    place.temporal_address = "127.0.0.1:9"

    said = await place.starter(*TRANSFER, "--json")

    assert said.exit == 5
    assert "make up" in said.json["reason"]


@only_sqlite
async def test_books_that_are_not_there_are_exit_5_and_say_what_to_do(place: Folder) -> None:
    """
    A balance cannot be told without a ledger, and the starter never makes one.
    """
    place.ledger_url = f"sqlite:///{place.path}/none.db"

    said = await place.starter("balance", "alice", "--json")

    assert said.exit == 5
    assert "make up" in said.json["reason"]
    assert not (place.path / "none.db").exists()


@only_sqlite
@pytest.mark.parametrize("command", ["status", "cancel"])
async def test_a_transfer_is_not_unknown_because_its_books_are_missing(running: Folder, command: str) -> None:
    """
    Temporal has forgotten it and the ledger is not where the settings say: that is no answer, least of all "not found".
    """
    running.ledger_url = f"sqlite:///{running.path}/elsewhere.db"

    said = await running.starter(command, "T9", "--json")

    assert (said.exit, said.json["status"]) == (5, "unknown")
    assert "there is no ledger" in said.json["reason"]


@only_sqlite
async def test_a_caller_killed_before_it_hears_the_answer_asks_again(running: Folder) -> None:
    """
    Killed right after the start: the same command finds the same transfer.
    """
    killed = await running.starter(*TRANSFER, "--json", armed="starter.after_start=kill")
    again = await running.starter(*TRANSFER, "--json")

    assert killed.exit == -signal.SIGKILL
    assert again.json["status"] == "settled"
    assert await running.balances("alice", "bob") == [75_00, 25_00]


@only_sqlite
async def test_opening_an_account_again_is_no_error_and_a_deposit_counts_once(running: Folder) -> None:
    """
    Set, not add; and a deposit has an id of its own, like everything that adds.
    """
    again = ("open-account", "alice", "--currency", "USD", "--deposit", "100", "--deposit-id", "D1", "--json")

    same = await running.starter(*again)
    other_currency = await running.starter("open-account", "alice", "--currency", "EUR", "--json")
    other_deposit = await running.starter(*again[:5], "7", *again[6:])
    without_id = await running.starter("open-account", "carol", "--currency", "USD", "--deposit", "7", "--json")

    assert (same.exit, same.json["replayed"], same.json["deposit"]["replayed"]) == (0, True, True)
    assert (other_currency.exit, other_currency.json["reason"]) == (3, "account_differs")
    assert "currency: USD -> EUR" in other_currency.json["detail"]
    assert other_deposit.exit == 4
    assert without_id.exit == 2
    assert await running.balances("alice") == [100_00]


@only_sqlite
async def test_a_setting_with_an_expected_version_holds_only_at_that_version(running: Folder) -> None:
    """
    A versioned write: refused when anything has changed the account meanwhile, repeated without effect.
    """
    version = (await running.starter("balance", "bob", "--json")).json["version"]
    freeze = ("set-account", "bob", "--status", "frozen", "--json", "--expected-version")

    frozen = await running.starter(*freeze, str(version))
    again = await running.starter(*freeze, str(version))
    stale = await running.starter(
        "set-account", "bob", "--status", "open", "--expected-version", str(version), "--json"
    )
    rejected = await running.starter(*TRANSFER, "--json")

    assert [said.exit for said in (frozen, again, stale, rejected)] == [0, 0, 3, 3]
    assert stale.json["reason"] == "version_conflict"
    assert rejected.json["reason"] == "account_frozen"


async def test_balance_statement_and_audit_say_what_the_contract_says(running: Folder) -> None:
    """
    The fields that scripts read, and numbers that add up.
    """
    await running.starter(*TRANSFER)

    balance = (await running.starter("balance", "alice", "--json")).json
    statement = (await running.starter("statement", "alice", "--json")).json
    audit = await running.audit()

    assert balance == {
        "account_id": "alice",
        "currency": "USD",
        "balance_minor": 75_00,
        "debits_posted": 25_00,
        "credits_posted": 100_00,
        "status": "open",
        "version": balance["version"],
        "per_transfer_minor": None,
        "per_day_minor": None,
        "approval_above_minor": None,
        "approvals": None,
        "held_minor": 0,
        "posted_minor": 75_00,
    }
    assert [line["change_minor"] for line in statement["lines"]] == [100_00, -25_00]
    assert [line["balance_after_minor"] for line in statement["lines"]] == [100_00, 75_00]
    assert list(audit) == ["ok", "currencies", "transit", "transfers", "operations", "violations"]
    assert (audit["ok"], audit["transfers"]["settled"]) == (True, 1)
    for command in (["balance", "alice"], ["statement", "alice"], ["audit"], ["status", "T1"]):
        assert (await running.starter(*command)).exit == 0
    assert (await running.starter("balance", "nobody", "--json")).exit == 3


@only_sqlite
async def test_an_answer_that_cannot_be_written_keeps_its_exit_status(running: Folder) -> None:
    """
    A full disk says nothing about the money: settled is still 0, and a wrong id still 2.
    """
    settled = await running.start("starter.py", *TRANSFER, "--json", log=Path("/dev/full"))
    malformed = await running.start("starter.py", "status", "no/id", "--json", log=Path("/dev/full"))

    assert [await settled.wait(), await malformed.wait()] == [0, 2]
    assert await running.balances("alice", "bob") == [75_00, 25_00]


@pytest.mark.parametrize("arguments", [[], ["--help"], ["transfer", "--help"], ["nonsense"], ["transfer"]])
@only_sqlite
async def test_help_and_usage_errors_need_nothing_that_runs(place: Folder, arguments: list[str]) -> None:
    """
    Help is exit 0, wrong usage exit 2, both at once and without a server.
    """
    place.temporal_address = "127.0.0.1:9"

    said = await place.starter(*arguments)

    assert said.exit == (0 if "--help" in arguments else 2)
    assert "Usage: starter.py" in said.output + said.errors


@only_sqlite
async def test_ten_processes_with_one_id_move_the_money_once(running: Folder) -> None:
    """
    Ten callers that know nothing of each other: ten times exit 0, one effect.
    """
    said = await asyncio.gather(*(running.starter(*TRANSFER, "--json") for _ in range(10)))

    assert {(answer.exit, answer.json["status"]) for answer in said} == {(0, "settled")}
    assert await running.balances("alice", "bob") == [75_00, 25_00]


@only_sqlite
async def test_an_installation_without_the_demo_says_so(place: Folder) -> None:
    """
    The docker image has none: one line and status 2, not a traceback.
    """
    hidden = (
        "import sys, starter; sys.modules['demo'] = None; sys.argv = ['starter.py', 'demo']; sys.exit(starter.main())"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", hidden, cwd=ROOT, env=place.environment(), stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()

    assert process.returncode == 2
    assert errors.decode() == "starter.py: the demo is not part of this installation\n"
