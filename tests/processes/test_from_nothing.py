"""Every command in a Python of its own, as a shell starts it: it finds by itself all that it needs.

The other tests of this folder fork their starters from a process that has imported everything (`Folder.forked`).
"""

import asyncio
from collections.abc import Sequence

import pytest
from typer.main import get_group

from cli.app import command_line
from tests.support.databases import only_sqlite
from tests.support.processes import Folder, Said, hear

QUOTE = ("--currency", "USD", "--into", "EUR", "--quote", "Q1", "--rate", "0.9215")
FROM, PAY = ("--from", "alice"), ("--from", "alice", "--to", "bob", "--amount", "1.00")
SOON = ("--expires", "2999-01-01T00:00:00Z")
TOLD: list[tuple[Sequence[str], int]] = [
    (("transfer", "--id", "T1", *PAY), 0),
    (("status", "T1"), 0),
    (("explain", "T1"), 0),
    (("cancel", "T9"), 3),
    (("open-account", "carol", "--currency", "USD"), 0),
    (("set-account", "bob", "--status", "open"), 0),
    (("set-limits", "bob", "--per-transfer", "9.00"), 0),
    (("balance", "alice"), 0),
    (("statement", "alice"), 0),
    (("hold", "--id", "H1", *PAY, *SOON), 0),
    (("capture", "H9"), 3),
    (("void", "H9"), 3),
    (("approve", "T9", "--by", "bea", *PAY), 3),
    (("deny", "T9", "--by", "bea", "--reason", "no"), 3),
    (("payout", "--id", "P1", *FROM, "--amount", "1.00", "--rail", "bank", "--beneficiary", "b-1"), 3),
    (("decide", "P9", "--not-paid", "nobody knows it", "--by", "bea"), 3),
    (("correct", "P9"), 3),
    (("batch", "payments.csv", "--id", "B1"), 0),
    (("split", "--id", "S1", *FROM, "--amount", "1.00", "--to", "bob=rest"), 0),
    (("exchange", "--id", "X1", *FROM, "--to", "yves", "--amount", "1.00", *QUOTE, *SOON), 3),
    (("reverse", "--id", "R1", "--of", "T1"), 0),
    (("set-balance", "dora", "--id", "Z1", "--to", "1", "--with", "bob"), 3),
    (("audit",), 0),
    (("sweep",), 0),
    (("recurring", "create", "rent", *PAY, "--cron", "0 9 1 * *"), 0),
]
"""Each command, and its exit status."""


async def _say(place: Folder, command: Sequence[str]) -> Said:
    return await hear(await place.start("starter.py", *command, "--json"))


@only_sqlite
@pytest.mark.timeout(300)
async def test_every_command_runs_in_a_python_of_its_own(running: Folder) -> None:
    """
    None of them is missing here, each has the answer it is known for, and the books are right.
    """
    (running.path / "payments.csv").write_text("transfer_id,from,to,amount,currency\nL1,alice,bob,1.00,USD\n")
    slots = asyncio.Semaphore(3)

    async def say(command: Sequence[str]) -> Said:
        async with slots:
            return await _say(running, command)

    said = [await say(TOLD[0][0]), *await asyncio.gather(*(say(command) for command, _ in TOLD[1:]))]

    assert {command[0] for command, _ in TOLD} == set(get_group(command_line(lambda _: 0)).commands) - {"demo"}
    assert [each for (_, exit), each in zip(TOLD, said, strict=True) if each.exit != exit] == []
    assert await running.balances("alice", "bob") == [97_00, 2_00]
    assert (await running.audit())["ok"]
