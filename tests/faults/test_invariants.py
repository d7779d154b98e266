"""The checkers are checked: silent about runs that were right, and each names what was made wrong.

A real run on a real Temporal server leaves its evidence once for each database; every test spoils a copy of it.
"""

import asyncio
import copy
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.client import Client

from engine.embedded import EmbeddedServer
from engine.plugin import ClientPlugin
from ledger.account import AccountStatus
from ledger.book import Ledger
from ledger.operation import SetAccountStatus
from tests.faults.callers import Asking, ask
from tests.faults.checking import effects, gather, problems
from tests.faults.evidence import Answer, Delivery, Evidence, Execution, Observation, Rows
from tests.faults.invariants import CHECKS, violations
from tests.faults.invariants.batches import chunks_and_books_agree
from tests.faults.spoiled import SPOILED, Spoiled
from tests.support.bank import Bank
from tests.support.databases import DATABASES
from tests.support.examples import open_with
from tests.support.postgres import Postgres
from tests.support.receiver import RememberingNotifier


class _Receiver(RememberingNotifier):
    """Remembers when it got what, too."""

    def __init__(self) -> None:
        super().__init__()
        self.deliveries: list[Delivery] = []

    async def deliver(self, key: str, body: str) -> None:
        """Remember it."""
        await super().deliver(key, body)
        self.deliveries.append(Delivery(key, body, time.monotonic()))


async def _observe(url: str) -> Observation:
    """What an observer adds up from the rows at this instant."""
    rows = (await gather(url)).rows
    sums = {name: sum(row[name] for row in rows.accounts) for name in ("debits_posted", "credits_posted")}
    (transit,) = [row for row in rows.accounts if row["id"] == "transit:USD"]
    held = transit["credits_posted"] - transit["debits_posted"]
    moving = sum(row["amount_minor"] for row in rows.transfers if row["status"] == "debited")
    posted = sum(row["amount_minor"] for row in rows.postings)
    seen = (sums["debits_posted"], sums["credits_posted"], posted, held, moving)
    return Observation(time.monotonic(), *({"USD": amount} for amount in seen))


async def _a_run(url: str, bank: Bank, receiver: _Receiver, early: Answer) -> dict[str, Any]:
    """Every ending, repeats, other content, eight at once on an account that runs dry, and an observer meanwhile."""
    answers = [early]

    async def told(caller: str, name: str, source: str = "alice", to: str = "bob", amount_minor: int = 25_00) -> None:
        answers.append(await ask(bank.submitter, caller, bank.request(name, source, to, amount_minor)))

    for _ in range(2):
        await told("anna", "S")
        await told("bert", "R", amount_minor=9_000_00)
        await told("carl", "E", "bob", "carol", 5_00)
    await told("dora", "S", amount_minor=1)
    seen = [await _observe(url)]
    await asyncio.gather(*(told(f"caller-{n}", f"N{n}", "bob", "carol", 4_00) for n in range(8)))
    gate = bank.gates.close("credit", before=True)
    lost = Asking.now("lost", bank.request("F", destination="carol"))
    submitted = await bank.start(lost.request)
    await gate.reached.wait()
    seen.append(await _observe(url))
    await bank.ledger.apply(SetAccountStatus("carol", AccountStatus.CLOSED))
    gate.open.set()
    await bank.outcome(submitted)
    answers.append(lost.told(5, error="Killed"))
    await told("emil", "F", to="carol")
    await told("emil", "cancelled")
    healed = time.monotonic()
    return {
        "answers": answers, "deliveries": receiver.deliveries, "observations": [*seen, await _observe(url)],
        "healed_at": healed, "terminal_at": time.monotonic(),
    }  # fmt: skip  # the fields of the evidence


@pytest.fixture(scope="module", params=DATABASES)
async def clean(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, temporal_server: EmbeddedServer
) -> AsyncIterator[Evidence]:
    """The evidence of a run in which nothing went wrong. Read it, spoil a copy."""
    postgres: Postgres | None = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    url = postgres.create() if postgres else f"sqlite:///{tmp_path_factory.mktemp('clean')}/books.db"
    client = await Client.connect(temporal_server.address, plugins=[ClientPlugin()])
    receiver = _Receiver()
    async with Ledger.open(url) as ledger:
        await open_with(ledger, alice=100_00, bob=0, carol=0)
        bank = Bank(ledger, client, notifier=receiver)
        asking = Asking.now("lost", bank.request("cancelled"))
        await bank.start(asking.request)
        await bank.cancel(asking.request)  # nobody works on it yet
        early = asking.told(5, error="Killed")
        async with bank.working():
            more = await _a_run(url, bank, receiver, early)
        yield await gather(url, client, task_queue=bank.task_queue, **more)
    if postgres:
        postgres.drop(url)


async def test_a_run_in_which_nothing_went_wrong_violates_nothing(clean: Evidence) -> None:
    """No false alarm: every kind of ending, repeats, a reused id, an account that ran dry, and a refused rush."""
    assert violations(clean) == []
    assert {transfer["status"] for transfer in clean.rows.transfers} == {"settled", "rejected", "refunded", "cancelled"}
    assert {answer.exit_status for answer in clean.answers} == {0, 3, 4, 5}
    assert len(clean.executions) == len(clean.rows.transfers)
    assert effects(clean) == {"transfers": 13, "lost": 0, "doubled": 0, "stuck": 0, "contradictory": 0}


@pytest.mark.parametrize("spoiled", SPOILED, ids=lambda spoiled: spoiled.sentence.replace(" ", "_"))
async def test_what_was_made_wrong_is_named(clean: Evidence, spoiled: Spoiled) -> None:
    """Each change behind everybody's back is named by the invariant that it breaks."""
    evidence = copy.deepcopy(clean)
    spoiled.spoil(evidence)

    named = {violation.invariant for violation in violations(evidence)}

    assert spoiled.invariant in named, named
    assert problems(evidence)


def test_every_invariant_has_two_ways_of_being_violated_that_it_names() -> None:
    """A checker that nothing here breaks would be a checker that nobody knows to work."""
    ways = [spoiled.invariant for spoiled in SPOILED]

    assert {name for name in CHECKS if ways.count(name) < 2} == set()
    assert set(ways) == set(CHECKS)


def test_a_chunk_and_the_books_must_know_the_same_lines() -> None:
    """
    A chunk that says settled of what is not, or of what another has moved, and a line without a chunk, are told.
    """

    def a_line(number: int, status: str = "settled", reason: str | None = None, batch: str = "B") -> dict[str, Any]:
        return {"id": f"L{number}", "status": status, "reason": reason, "detail": f"batch {batch}, line {number}"}

    def told(rows: list[dict[str, Any]], *otherwise: tuple[int, str, str | None, bool]) -> list[str]:
        result = {"lines": 2, "otherwise": [list(each) for each in otherwise]}
        chunk = Execution("batch/B/2-3", "run", "Chunk", "COMPLETED", result)
        return list(chunks_and_books_agree(Evidence(Rows(transfers=rows), executions=[chunk])))

    rejected = a_line(3, "rejected", "insufficient_funds")
    assert told([a_line(2), a_line(3)]) == []
    assert told([a_line(2), rejected], (1, "rejected", "insufficient_funds", False)) == []
    assert told([a_line(2)], (1, "settled", None, True)) == []
    assert len(told([a_line(2)])) == 1
    assert len(told([a_line(2), rejected])) == 1
    assert len(told([a_line(2), a_line(3)], (1, "settled", None, True))) == 1
    assert len(told([a_line(2), a_line(3), a_line(4)])) == 1
    assert len(told([a_line(2), a_line(3), a_line(3)])) == 1
    assert len(told([a_line(2), a_line(3), a_line(3, batch="C")])) == 1


def test_an_occurrence_and_the_books_must_tell_the_same_ending() -> None:
    """
    An occurrence that completed with another ending than its transfer's is told.
    """
    transfer = {"id": "rent.2026-12-01T090000Z", "status": "settled", "reason": None, "detail": None, "version": 0}
    ending = {"transfer_id": transfer["id"], "status": "settled", "reason": None, "detail": None}

    def told(result: dict[str, Any]) -> list[str]:
        runs = [
            Execution("recurring/rent-2026-12-01T09:00:00Z", "run", "Occurrence", "COMPLETED", result),
            Execution(f"transfer/{transfer['id']}", "run", "Transfer", "COMPLETED", ending),
        ]
        return CHECKS["I11"](Evidence(Rows(transfers=[transfer]), executions=runs))

    assert told(ending) == []
    assert len(told(ending | {"status": "rejected"})) == 1
    assert len(told(ending | {"transfer_id": "rent.2026-12-02T090000Z"})) == 1


def test_a_counted_setting_of_an_account_belongs_to_no_transfer() -> None:
    """
    A change of an account has a key without a transfer; one that names another account is told.
    """
    setting = {
        "key": "alice/setting/1",
        "outcome": "applied",
        "transfer_id": None,
        "fingerprint": '{"account": "alice", "status": "frozen"}',
    }
    strange = setting | {"key": "bob/setting/1"}

    assert CHECKS["I4"](Evidence(Rows(operations=[setting]))) == []
    assert len(CHECKS["I4"](Evidence(Rows(operations=[strange])))) == 1
