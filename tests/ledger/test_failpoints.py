"""Failpoints: a fault that was planned happens where and when it was planned, and its record is there to prove it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger import failpoints
from ledger.book import Ledger
from ledger.failpoints import FailpointError, parse, passing
from ledger.operations import deposit
from tests.support.examples import balance, open_with
from tests.support.postgres import run

ROOT = Path(__file__).parents[2]
Arm = Callable[[str], None]


def test_plans_are_read_from_one_text() -> None:
    """Site, key, fate, seconds and the passages that fire; spaces and empty parts do not matter."""
    text = """
        ledger.after_commit[T1/credit]=kill@3; activity.before_completion=stall:5@2;;
        ledger.before_commit=raise@*; ledger.before_commit=raise@2+; notify.before_delivery=raise;
    """

    assert [(p.site, p.fate, p.key, p.seconds, [n for n in range(1, 5) if p.fires_at(n)]) for p in parse(text)] == [
        ("ledger.after_commit", "kill", "T1/credit", 0, [3]),
        ("activity.before_completion", "stall", None, 5, [2]),
        ("ledger.before_commit", "raise", None, 0, [1, 2, 3, 4]),
        ("ledger.before_commit", "raise", None, 0, [2, 3, 4]),
        ("notify.before_delivery", "raise", None, 0, [1]),
    ]


def test_nothing_is_armed_by_an_empty_text() -> None:
    """The variable unset and the variable empty are the same."""
    assert parse("") == parse("  ; ") == []


@pytest.mark.parametrize(
    "text",
    [
        "ledger.no_such_site=kill",
        "ledger.after_commit",
        "ledger.after_commit=explode",
        "ledger.after_commit=kill@first",
        "ledger.after_commit=kill@0",
        "ledger.after_commit[]=kill",
        "ledger.after_commit=kill@1 extra",
        "ledger.after_commit=kill, ledger.before_commit=kill",
    ],
)
def test_a_plan_that_cannot_fire_is_an_error(text: str) -> None:
    """An unknown site or a typing mistake would silently prove nothing."""
    with pytest.raises(ValueError, match="cannot read"):
        parse(text)


@pytest.mark.parametrize("text", ["ledger.after_commit=stall", "ledger.after_commit=stall:5.5.5"])
def test_a_stall_says_for_how_long(text: str) -> None:
    """A stall of no length stalls nothing, and must not be taken for one that did."""
    with pytest.raises(ValueError, match="cannot read"):
        parse(text)


async def test_nothing_happens_unless_armed() -> None:
    """In production every site is passed for nothing."""
    for site in failpoints.SITES:
        await passing(site, ["T1/debit"])


async def test_only_the_nth_passage_fires(arm: Arm) -> None:
    """The first two pass, the third fires, the fourth passes again."""
    arm("ledger.before_commit=raise@3")

    fired = [await _fires("ledger.before_commit") for _ in range(4)]

    assert fired == [False, False, True, False]


async def test_a_star_fires_every_time(arm: Arm) -> None:
    """For faults that do not go away."""
    arm("ledger.before_commit=raise@*")

    assert [await _fires("ledger.before_commit") for _ in range(3)] == [True, True, True]


async def test_a_plus_fires_from_then_on(arm: Arm) -> None:
    """For a process that comes through once and never again."""
    arm("ledger.before_commit=raise@2+")

    assert [await _fires("ledger.before_commit") for _ in range(4)] == [False, True, True, True]


async def test_a_key_counts_only_its_own_passages(arm: Arm) -> None:
    """Passages by other keys neither fire nor count; a batch passes for each of its keys at once."""
    arm("ledger.before_commit[T1/debit]=raise@2")

    assert not await _fires("ledger.before_commit", "T2/debit")
    assert not await _fires("ledger.before_commit", "T1/debit")
    assert not await _fires("ledger.before_commit")
    assert await _fires("ledger.before_commit", "T9/debit", "T1/debit")


async def test_several_plans_of_one_site_fire_at_consecutive_passages(arm: Arm) -> None:
    """Each counts every passage, also one at which another raises before its turn has come."""
    arm("ledger.before_commit=raise@1; ledger.before_commit=raise@2; ledger.before_commit=raise@3")

    assert [await _fires("ledger.before_commit") for _ in range(4)] == [True, True, True, False]


async def test_a_passage_counts_while_another_plan_stalls_it(arm: Arm) -> None:
    """Who comes by during a stall is the next one, whatever the order of the plans."""
    arm("ledger.before_commit=stall:0.2@1; ledger.before_commit=raise@2")

    stalled = asyncio.create_task(_fires("ledger.before_commit"))
    await asyncio.sleep(0)

    assert await _fires("ledger.before_commit")
    assert not await stalled


async def test_another_site_does_not_fire(arm: Arm) -> None:
    """A plan belongs to its site."""
    arm("ledger.before_commit=raise@*")

    assert not await _fires("ledger.after_commit")


async def test_arming_counts_from_zero(arm: Arm) -> None:
    """What was passed before does not count, and what was armed before is gone."""
    arm("ledger.before_commit=raise@2")
    await _fires("ledger.before_commit")

    arm("ledger.before_commit=raise@2")

    assert [await _fires("ledger.before_commit") for _ in range(2)] == [False, True]


async def test_what_fires_is_written_down(arm: Arm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line of JSON for each that fired, and none for those that did not."""
    log = tmp_path / "fired.jsonl"
    monkeypatch.setenv(failpoints.LOG, str(log))
    arm("ledger.before_commit[T1/debit]=raise; ledger.after_commit=raise@7")

    await _fires("ledger.before_commit", "T1/debit")
    await _fires("ledger.after_commit")

    (line,) = [json.loads(line) for line in log.read_text().splitlines()]
    assert (line["site"], line["key"], line["fate"], line["pid"]) == (
        "ledger.before_commit",
        "T1/debit",
        "raise",
        os.getpid(),
    )


async def _fires(site: str, *keys: str) -> bool:
    try:
        await passing(site, keys)
    except FailpointError:
        return True
    return False


CHILD = """
import asyncio, sys
from ledger.book import Ledger
from ledger.operations import deposit

async def main():
    async with Ledger.open(sys.argv[1]) as ledger:
        await ledger.apply(deposit("D1", "alice", 500, "USD"))

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("site", "recorded"),
    [("ledger.before_transaction", False), ("ledger.before_commit", False), ("ledger.after_commit", True)],
)
def test_a_killed_process_has_written_down_what_killed_it(
    database_url: str, tmp_path: Path, site: str, recorded: bool
) -> None:
    """The record is synced before the kill. And the money: the key, asked again, tells whether it had moved."""
    log = tmp_path / "fired.jsonl"
    run(_open_account(database_url))
    armed = {failpoints.ENVIRONMENT: f"{site}[D1/deposit]=kill", failpoints.LOG: str(log)}

    child = subprocess.run([sys.executable, "-c", CHILD, database_url], cwd=ROOT, env=os.environ | armed, check=False)

    assert child.returncode == -signal.SIGKILL
    assert [json.loads(line)["site"] for line in log.read_text().splitlines()] == [site]
    assert run(_ask_again(database_url)) == (recorded, 500)


async def _open_account(url: str) -> None:
    async with Ledger.open(url) as ledger:
        await open_with(ledger, alice=0)


async def _ask_again(url: str) -> tuple[bool, int]:
    async with Ledger.open(url) as ledger:
        outcome = await ledger.apply(deposit("D1", "alice", 500, "USD"))
        return outcome.replayed, await balance(ledger, "alice")


def test_a_mistyped_variable_stops_the_process() -> None:
    """A worker that was meant to fail and cannot must not run as if nothing had been planned."""
    armed = {failpoints.ENVIRONMENT: "ledger.after_comit=kill"}

    child = subprocess.run(
        [sys.executable, "-c", "import ledger.failpoints"],
        cwd=ROOT,
        env=os.environ | armed,
        capture_output=True,
        text=True,
        check=False,
    )

    assert child.returncode != 0
    assert "cannot read 'ledger.after_comit=kill'" in child.stderr
