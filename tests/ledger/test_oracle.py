"""The ledger against its oracle: any sequence of operations must give the same answers and the same balances."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from ledger import operations, payouts
from ledger.account import AccountStatus, Guard
from ledger.book import Ledger
from ledger.errors import OutOfOrder
from ledger.fingerprint import HOLD, PAYOUT
from ledger.limits import Change, SetLimits
from ledger.operation import OpenAccount, Operation, Outcome, Request, SetAccountStatus
from ledger.transfer import Transfer
from tests.ledger.oracle import MAX, OUT_OF_ORDER, Answer, Asked, Oracle
from tests.support.invariants import check_books

T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """One thing to ask of both: of the ledger as a request, of the oracle as a call."""

    request: Request
    ask: Callable[[Oracle], Answer]

    def __repr__(self) -> str:
        return repr(self.request)


def open_account(account: str, currency: str, guard: Guard) -> Step:
    """Open an account."""
    return Step(OpenAccount(account, currency, guard), lambda oracle: oracle.open(account, currency, guard))


def set_status(account: str, status: AccountStatus, version: int | None) -> Step:
    """Set an account's status."""
    request = SetAccountStatus(account, status, version)
    return Step(request, lambda oracle: oracle.set_status(account, status, version))


def deposit(id: str, account: str, amount: int, currency: str) -> Step:
    """Deposit into an account."""
    request = operations.deposit(id, account, amount, currency)
    return Step(request, lambda oracle: oracle.deposit(id, account, amount, currency))


def set_limits(account: str, currency: str, at_once: Change, in_a_day: Change) -> Step:
    """Set one or both of an account's limits."""
    request = SetLimits(account, currency, at_once, in_a_day)
    named = {"at_once": at_once, "in_a_day": in_a_day}
    limits = {name: limit for name, limit in named.items() if limit is not None}
    return Step(request, lambda oracle: oracle.set_limits(account, currency, **limits))


def leg(name: str, asked: Asked, version: int | None = None) -> Step:
    """One leg of a transfer."""
    transfer = Transfer(asked.id, asked.source, asked.destination, asked.amount, asked.currency)
    match name:
        case "hold":
            request = operations.hold(transfer, HOLD, {"expires_at": 1})
            return Step(request, lambda oracle: oracle.debit(asked, terms=("hold", 1)))
        case "payout":
            request = operations.hold(transfer, PAYOUT, {"rail": "bank", "beneficiary": "acct-1"})
            return Step(request, lambda oracle: oracle.debit(asked, terms=("payout", "bank", "acct-1")))
        case "capture" | "capture a part":
            part = asked.amount if name == "capture" else max(asked.amount // 3, 1)
            return Step(operations.capture(transfer, part), lambda oracle: oracle.credit(asked, part))
        case "submit":
            return Step(payouts.submission(transfer), lambda oracle: oracle.note("submit", asked))
        case "recall":
            return Step(payouts.recall(transfer, "asked"), lambda oracle: oracle.recall(asked))
        case "paid":
            return Step(payouts.paid(transfer), lambda oracle: oracle.paid(asked))
        case "decide paid" | "decide not_paid":
            decided = name.removeprefix("decide ")
            request = payouts.decision(transfer, payouts.Decision(decided, "carol", "a letter"))
            return Step(request, lambda oracle: oracle.note("decision", asked, (decided, "carol", "a letter")))
        case "contradict":
            request = payouts.contradiction(transfer, accepted=True, word="pay_1")
            return Step(request, lambda oracle: oracle.note("accepted", asked, whenever=True))
        case "debit":
            return Step(operations.debit(transfer, version), lambda oracle: oracle.debit(asked, version))
        case "credit":
            return Step(operations.credit(transfer), lambda oracle: oracle.credit(asked))
        case "refund":
            return Step(operations.refund(transfer, "asked"), lambda oracle: oracle.refund(asked))
        case _:
            return Step(operations.cancel(transfer, "asked"), lambda oracle: oracle.cancel(asked))


ACCOUNTS = st.sampled_from(["alice", "bob", "carol"])
ROUTES = [("alice", "bob"), ("bob", "alice"), ("alice", "carol"), ("carol", "alice"), ("carol", "bob")]
GUARDS = st.sampled_from([Guard.DEBITS_MUST_NOT_EXCEED_CREDITS] * 6 + [*Guard])
STATUSES = st.sampled_from([AccountStatus.OPEN] * 3 + [*AccountStatus])
VERSIONS = st.one_of([st.none()] * 5 + [st.integers(1, 8)])
AT_ONCE: st.SearchStrategy[Change] = st.sampled_from([None, None, "none", 9, 10, 1000])
IN_A_DAY: st.SearchStrategy[Change] = st.sampled_from([None, "none", 20, 25, 1000])
CURRENCIES = st.sampled_from(["USD", "JPY"])
USUALLY = st.integers(0, 9).map(bool)


def settings_steps() -> st.SearchStrategy[Step]:
    """Open an account, or set its status."""
    currencies = st.sampled_from(["USD", "USD", "USD", "JPY"])
    limits = st.tuples(ACCOUNTS, currencies, AT_ONCE, IN_A_DAY).filter(lambda limit: limit[2:] != (None, None))
    return (
        st.builds(open_account, ACCOUNTS, currencies, GUARDS)
        | st.builds(set_status, ACCOUNTS, STATUSES, VERSIONS)
        | limits.map(lambda limit: set_limits(*limit))
    )


@st.composite
def deposit_steps(draw: st.DrawFn) -> Step:
    """Deposit under one of a few ids, mostly the same amount to the same account."""
    number = draw(st.integers(1, 12))
    account, amount, currency = ROUTES[number % 5][0], 30, "USD"
    if not draw(USUALLY):
        account, amount, currency = draw(ACCOUNTS), draw(st.sampled_from([5, MAX - 100])), draw(CURRENCIES)
    return deposit(f"D{number}", account, amount, currency)


def usual(number: int) -> Asked:
    """The content that a transfer mostly has."""
    return Asked(f"T{number}", *ROUTES[number % 5], 10, "USD")


@st.composite
def transfer_steps(draw: st.DrawFn) -> Step:
    """Any leg of one of a few transfers, whose content is mostly the same each time."""
    number = draw(st.integers(1, 12))
    asked = usual(number)
    if not draw(USUALLY):
        route = draw(st.sampled_from(ROUTES))
        asked = Asked(f"T{number}", *route, draw(st.sampled_from([11, MAX - 100])), draw(CURRENCIES))
    if draw(st.integers(0, 2)):
        usually = draw(USUALLY)
        return leg(BEGINNINGS[number % 3] if usually else draw(st.sampled_from(BEGINNINGS)), asked, draw(VERSIONS))
    return leg(draw(st.sampled_from(LEGS)), asked, draw(VERSIONS))


BEGINNINGS = ("debit", "hold", "payout")
"""How a transfer's money is taken, most often by its number."""

BY_HAND = ("decide paid", "decide not_paid", "contradict")
LEGS = ("credit", "refund", "cancel", "capture", "capture a part", "submit", "recall", "paid", *BY_HAND)
ENDS = st.lists(st.sampled_from([*LEGS, "credit", "refund", "submit"]), min_size=1, max_size=4)
STEPS = st.one_of(transfer_steps(), transfer_steps(), deposit_steps(), settings_steps())


class LedgerAndOracle(RuleBasedStateMachine):
    """Both, side by side. Subclasses say where the ledger's database is."""

    new_database: Callable[[], str]

    def __init__(self) -> None:
        super().__init__()
        self.oracle = Oracle()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.ledger = self._run(self.stack.enter_async_context(Ledger.open(type(self).new_database())))
        self._ask([open_account(account, "USD", Guard.DEBITS_MUST_NOT_EXCEED_CREDITS) for account in ("alice", "bob")])
        self._ask([deposit(f"D-{account}", account, 50, "USD") for account in ("alice", "bob")])

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


def _said(request: Request, outcome: Outcome) -> Answer:
    status = outcome.state.status if outcome.state and isinstance(request, Operation) else None
    return Answer(outcome.kind, outcome.code, outcome.replayed, status)


ACCOUNT = (
    "currency", "guard", "status", "version", "debits_posted", "credits_posted", "per_transfer_minor", "per_day_minor"
)  # fmt: skip  # one line of the table's picture each
"""The columns of an account, in the order of the oracle's fields."""

EXAMPLES = {"quick": (30, 25), "thorough": (1500, 60)}
"""How many sequences of how many steps each profile plays, on each database."""


@pytest.mark.timeout(3600)
def test_the_ledger_agrees_with_its_oracle(new_database: Callable[[], str]) -> None:
    """After every step of any sequence, every outcome, balance, key and status is the oracle's, and the books hold."""
    examples, steps = EXAMPLES[os.environ.get("HYPOTHESIS_PROFILE", "quick")]
    machine = type("LedgerAndOracle", (LedgerAndOracle,), {"new_database": staticmethod(new_database)})
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=steps))
