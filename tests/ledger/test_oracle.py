"""The ledger against its oracle: any sequence of operations must give the same answers and the same balances."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from ledger.account import Guard
from ledger.book import Ledger
from ledger.errors import OutOfOrder
from ledger.operation import Operation, Outcome, Request
from tests.ledger.oracle import OUT_OF_ORDER, Answer, Asked
from tests.ledger.oracle_entries import EntriesOracle, Reversible
from tests.ledger.oracle_entry_steps import DESK, PARTS, enter, entry_steps, given_back, mistaken, usual_entry
from tests.ledger.oracle_steps import (
    BEGINNINGS,
    ENDS,
    USUALLY,
    Step,
    deposit,
    deposit_steps,
    leg,
    open_account,
    settings_steps,
    transfer_steps,
    usual,
)
from tests.support.invariants import check_books

T = TypeVar("T")

STEPS = st.one_of(transfer_steps(), transfer_steps(), deposit_steps(), settings_steps(), entry_steps(), entry_steps())


class LedgerAndOracle(RuleBasedStateMachine):
    """Both, side by side. Subclasses say where the ledger's database is."""

    new_database: Callable[[], str]

    def __init__(self) -> None:
        super().__init__()
        self.oracle = EntriesOracle()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.ledger = self._run(self.stack.enter_async_context(Ledger.open(type(self).new_database())))
        first = dict.fromkeys(("alice", "bob", "fx:USD"), "USD") | dict.fromkeys(("dora", "fx:JPY"), "JPY")
        opened = {id: id.rpartition(":")[2] for id in DESK} | {"erin": "USD"} | first
        self._ask([open_account(id, opened[id], Guard.DEBITS_MUST_NOT_EXCEED_CREDITS) for id in opened])
        self._ask([deposit(f"D-{id.replace(':', '-')}", id, 50, first[id]) for id in first])

    @rule(step=STEPS)
    def one(self, step: Step) -> None:
        """One operation, in a batch of its own."""
        self._ask([step])

    @rule(steps=st.lists(STEPS, min_size=2, max_size=8))
    def many(self, steps: list[Step]) -> None:
        """Several operations at once, which meet in one batch."""
        self._ask(steps)

    @precondition(lambda self: self.on_the_way())
    @rule(data=st.data(), legs=ENDS)
    def end(self, data: st.DataObject, legs: list[str]) -> None:
        """One or two legs of a transfer whose money is in transit, which is where the races are."""
        asked = data.draw(st.sampled_from(self.on_the_way()))
        self._ask([leg(name, asked) for name in legs])

    @rule(asked=st.integers(20, 99).map(usual), first=st.sampled_from(BEGINNINGS), legs=ENDS, at_once=st.booleans())
    def live(self, asked: Asked, first: str, legs: list[str], at_once: bool) -> None:
        """A new transfer's whole life, leg by leg or all in one batch."""
        steps = [leg(name, asked) for name in (first, *legs)]
        for batch in [steps] if at_once else [[step] for step in steps]:
            self._ask(batch)

    @rule(number=st.integers(20, 99), parts=PARTS, at_once=st.booleans())
    def entered(self, number: int, parts: list[int], at_once: bool) -> None:
        """A new entry, and parts of it come back, one by one or all in one batch."""
        entry = usual_entry(number)
        back = given_back(entry, parts, self._next_reversal()) if isinstance(entry, Reversible) else []
        for batch in [[enter(entry), *back]] if at_once else [[step] for step in (enter(entry), *back)]:
            self._ask(batch)

    @precondition(lambda self: self.oracle.reversible())
    @rule(data=st.data(), parts=PARTS, usually=USUALLY)
    def give_back(self, data: st.DataObject, parts: list[int], usually: bool) -> None:
        """Parts of something come back, at once, until there is nothing left; or of what it never was."""
        of = data.draw(st.sampled_from(self.oracle.reversible()))
        self._ask(given_back(of if usually else mistaken(of), parts, self._next_reversal()))

    def _next_reversal(self) -> int:
        return 1000 + sum(key.endswith("/reversal") for key in self.oracle.said)

    def on_the_way(self) -> list[Asked]:
        """The transfers that are debited and not ended."""
        return [asked for asked, status in self.oracle.transfers.values() if status == "debited"]

    def teardown(self) -> None:
        """Close the books."""
        self._run(self.stack.aclose())
        self.loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def _ask(self, steps: Sequence[Step]) -> None:
        expected = [step.ask(self.oracle) for step in steps]
        requests = [step.request for step in steps]
        if OUT_OF_ORDER in [answer.kind for answer in expected]:
            with pytest.raises(OutOfOrder):
                self._run(self.ledger.apply_all(requests))
        else:
            outcomes = self._run(self.ledger.apply_all(requests))
            assert [_said(*pair) for pair in zip(requests, outcomes, strict=True)] == expected
        self._run(self._compare())

    async def _compare(self) -> None:
        snapshot = await check_books(self.ledger.engine)
        accounts = {id: [*vars(account).values()] for id, account in self.oracle.accounts.items()}
        assert {row["id"]: [row[name] for name in ACCOUNT] for row in snapshot.accounts} == accounts
        assert {row["key"]: (row["outcome"], row["code"]) for row in snapshot.operations} == {
            key: (kind, code) for key, (_, _, kind, code) in self.oracle.said.items()
        }
        statuses = {id: status for id, (_, status) in self.oracle.transfers.items()}
        assert {row["id"]: row["status"] for row in snapshot.transfers} == statuses
        parts = {row["id"]: row["captured_minor"] for row in snapshot.transfers if row["captured_minor"] is not None}
        assert parts == self.oracle.captured
        assert {row["key"] for row in snapshot.notifications if row["transfer_id"] is None} == self.oracle.told()


def _said(request: Request, outcome: Outcome) -> Answer:
    status = outcome.state.status if outcome.state and isinstance(request, Operation) else None
    return Answer(outcome.kind, outcome.code, outcome.replayed, status)


ACCOUNT = (
    "currency", "guard", "status", "version", "debits_posted", "credits_posted", "per_transfer_minor", "per_day_minor"
)  # fmt: skip  # one line of the table's picture each
"""The columns of an account, in the order of the oracle's fields."""

EXAMPLES = {"quick": (45, 25), "thorough": (1500, 60)}
"""How many sequences of how many steps each profile plays, on each database."""


@pytest.mark.timeout(3600)
def test_the_ledger_agrees_with_its_oracle(new_database: Callable[[], str]) -> None:
    """After every step of any sequence, every outcome, balance, key and status is the oracle's, and the books hold."""
    examples, steps = EXAMPLES[os.environ.get("HYPOTHESIS_PROFILE", "quick")]
    machine = type("LedgerAndOracle", (LedgerAndOracle,), {"new_database": staticmethod(new_database)})
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=steps))
