"""explain and statement as scripts and people meet them: exit status, JSON, CSV, and what is told without Temporal."""

import csv
import io

import pytest

from tests.processes.conftest import open_accounts
from tests.support.databases import only_sqlite
from tests.support.processes import Folder

TRANSFER = ("transfer", "--id", "T1", "--from", "alice", "--to", "bob", "--amount", "25.00")
NEVER = "127.0.0.1:9"


async def test_a_script_reads_the_whole_story_of_a_transfer(running: Folder) -> None:
    """
    One JSON object: the timeline with its money, the effect on every account, and what that proves.
    """
    await running.starter(*TRANSFER)

    said = await running.starter("explain", "T1", "--json")

    assert said.exit == 0
    assert list(said.json) == ["transfer_id", "status", "temporal", "timeline", "effects", "verdict"]
    assert [said.json[name] for name in ("status", "temporal", "verdict")] == ["settled", "history", "moved_once"]
    assert {line["source"] for line in said.json["timeline"]} == {"temporal", "ledger", "notify"}
    money = [line for line in said.json["timeline"] if "amount_minor" in line]
    assert [(line["key"], line["debit_account_id"], line["credit_account_id"]) for line in money] == [
        ("T1/debit", "alice", "transit:USD"),
        ("T1/credit", "transit:USD", "bob"),
    ]
    assert {effect["account_id"]: effect["net_minor"] for effect in said.json["effects"]} == {
        "alice": -25_00,
        "transit:USD": 0,
        "bob": 25_00,
    }


async def test_without_temporal_the_books_tell_it_and_say_so(running: Folder) -> None:
    """
    Exit 0 all the same: the proof needs the postings only. Of what the books do not know, nothing is claimed.
    """
    await running.starter(*TRANSFER)
    running.temporal_address = NEVER

    said, shown = await running.starter("explain", "T1", "--json"), await running.starter("explain", "T1")
    unknown = await running.starter("explain", "T9", "--json")

    assert (said.exit, said.json["temporal"], said.json["verdict"]) == (0, "not_reachable", "moved_once")
    assert {line["source"] for line in said.json["timeline"]} == {"ledger", "notify"}
    assert shown.exit == 0
    assert "Temporal does not answer" in shown.output
    assert (unknown.exit, unknown.json["status"]) == (5, "unknown")


@only_sqlite
async def test_what_nobody_knows_is_exit_3_and_a_wrong_id_exit_2(running: Folder) -> None:
    """
    As `status` does.
    """
    unknown, malformed = await running.starter("explain", "T9", "--json"), await running.starter("explain", "no/id")

    assert (unknown.exit, unknown.json["reason"]) == (3, "transfer_not_found")
    assert malformed.exit == 2


@only_sqlite
async def test_people_see_the_money_its_keys_and_the_proof(running: Folder) -> None:
    """
    A refused transfer is told with exit 0: it was asked what happened, and it says so.
    """
    await running.starter(*TRANSFER)
    await running.starter("transfer", "--id", "T2", "--from", "alice", "--to", "bob", "--amount", "500")

    settled, rejected = await running.starter("explain", "T1"), await running.starter("explain", "T2")

    lines = settled.output.splitlines()
    assert lines[0] == "T1  settled  25.00 USD  alice → bob"
    assert any("25.00 USD  alice → transit:USD" in line and "T1/debit" in line for line in lines)
    assert lines[-1] == "The money moved once."
    assert rejected.exit == 0
    assert "account alice has 75.00 USD, 500.00 USD needed" in " ".join(rejected.output.split())
    assert rejected.output.splitlines()[-1] == "No money moved."


@only_sqlite
async def test_before_a_worker_takes_it_temporal_alone_tells_it(place: Folder) -> None:
    """
    The books do not know it yet, and say so.
    """
    worker = await place.worker()
    await open_accounts(place)
    worker.terminate()
    await worker.wait()
    await place.starter(*TRANSFER, "--no-wait")

    said, shown = await place.starter("explain", "T1", "--json"), await place.starter("explain", "T1")

    assert (said.exit, said.json["status"], said.json["verdict"]) == (0, "accepted", "not_moved")
    assert [line["what"] for line in said.json["timeline"]] == ["Transfer started"]
    assert "The books do not know it yet." in shown.output


async def test_a_statement_of_a_period_adds_up_in_every_format(running: Folder) -> None:
    """
    Opening, lines and closing as JSON; the same lines as CSV; the balance at an instant beside them.
    """
    await running.starter(*TRANSFER)
    whole = (await running.starter("statement", "alice", "--json")).json
    cut = whole["lines"][1]["recorded_at"]

    before = (await running.starter("statement", "alice", "--to", cut, "--format", "json")).json
    after = (await running.starter("statement", "alice", "--from", cut, "--json")).json
    as_of = (await running.starter("balance", "alice", "--as-of", cut, "--json")).json
    sheet = await running.starter("statement", "alice", "--format", "csv")

    assert (whole["from"], whole["to"], before["to"]) == (None, None, after["from"])
    assert [(it["opening_balance_minor"], it["closing_balance_minor"]) for it in (whole, before, after)] == [
        (0, 75_00),
        (0, 100_00),
        (100_00, 75_00),
    ]
    assert before["lines"] + after["lines"] == whole["lines"]
    assert as_of == {"account_id": "alice", "currency": "USD", "balance_minor": 100_00, "as_of": before["to"]}
    rows = list(csv.DictReader(io.StringIO(sheet.output)))
    assert [(row["operation_key"], row["change"], row["balance_after_minor"]) for row in rows] == [
        ("D1/deposit", "100.00", "10000"),
        ("T1/debit", "-25.00", "7500"),
    ]


@only_sqlite
@pytest.mark.parametrize(
    "arguments",
    [
        ("statement", "alice", "--from", "yesterday"),
        ("statement", "alice", "--to", "2026-07-01T12:00:00"),
        ("statement", "alice", "--from", "2026-07-02", "--to", "2026-07-01T23:59:59Z"),
        ("balance", "alice", "--as-of", "2026-02-30"),
    ],
    ids=["no instant", "no zone", "reversed", "no such day"],
)
async def test_an_instant_that_is_none_is_one_clear_line_and_exit_2(place: Folder, arguments: tuple[str, ...]) -> None:
    """
    A time without a zone would mean something else on every machine; nothing is guessed.
    """
    said = await place.starter(*arguments)

    assert (said.exit, said.output) == (2, "")
    assert len(said.errors.splitlines()) == 1
    assert said.errors.startswith("malformed: ")
