"""Conversations: what the ledger says to PostgreSQL for one transfer (or deposit), and what must come out of it.

Each is asked, operation by operation, until it is answered, as an activity is; then everything is asked once more.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import asyncpg
from sqlalchemy import make_url

from ledger.book import Ledger
from ledger.errors import OutcomeUnknown
from ledger.operation import Operation, Outcome
from ledger.operations import credit, debit, deposit, refund
from tests.support.examples import a_transfer, balances, open_with

ATTEMPTS = 20
"""How often an operation is asked before it counts as stuck: one fault costs one attempt, or two."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Conversation:
    """Operations in their order, made for two accounts and an id, and what both accounts hold at the end."""

    name: str
    operations: Callable[[str, str, str], Sequence[Operation]]
    alice: int
    bob: int
    postings: int


def _transfer(alice: str, bob: str, id: str) -> Sequence[Operation]:
    transfer = a_transfer(id, alice, bob)
    return debit(transfer), credit(transfer)


def _refund(alice: str, bob: str, id: str) -> Sequence[Operation]:
    transfer = a_transfer(id, alice, bob)
    return debit(transfer), refund(transfer, "cancelled")


def _rejection(alice: str, bob: str, id: str) -> Sequence[Operation]:
    return (debit(a_transfer(id, alice, bob, amount_minor=100_01)),)


def _deposit(alice: str, bob: str, id: str) -> Sequence[Operation]:
    return (deposit(id, alice, 25_00, "USD"),)


CONVERSATIONS = (
    Conversation("transfer", _transfer, alice=75_00, bob=25_00, postings=2),
    Conversation("refund", _refund, alice=100_00, bob=0, postings=2),
    Conversation("rejection", _rejection, alice=100_00, bob=0, postings=0),
    Conversation("deposit", _deposit, alice=125_00, bob=0, postings=1),
)


@dataclass
class Talk:
    """One conversation, held once."""

    conversation: Conversation
    books: Ledger
    """The same books without a proxy in the way, to look at."""
    alice: str = ""
    bob: str = ""
    operations: Sequence[Operation] = ()
    first: list[Outcome] = field(default_factory=list)
    unknown: int = 0

    async def prepare(self) -> None:
        """Open two accounts that nobody else uses: Alice's with 100.00 USD, Bob's with nothing."""
        number = next(_numbers)
        self.alice, self.bob = f"alice-{number}", f"bob-{number}"
        await open_with(self.books, "USD", **{self.alice: 100_00, self.bob: 0})
        self.operations = self.conversation.operations(self.alice, self.bob, f"T{number}")

    async def hold(self, ledger: Ledger) -> list[str]:
        """Ask everything until it is answered, and then once more, undisturbed. Returns what was wrong."""
        self.first = [await self._answer(ledger, operation) for operation in self.operations]
        problems = []
        for operation, first in zip(self.operations, self.first, strict=True):
            again = await self.books.apply(operation)
            if not again.replayed or (again.kind, again.code) != (first.kind, first.code):
                problems.append(f"{operation.key} was {first.kind} {first.code}, and then {again}")
        return problems

    async def _answer(self, ledger: Ledger, operation: Operation) -> Outcome:
        for _ in range(ATTEMPTS):
            try:
                return await ledger.apply(operation)
            except OutcomeUnknown:
                self.unknown += 1
        raise TimeoutError(f"{operation.key} was not answered in {ATTEMPTS} attempts")

    async def wrong(self) -> list[str]:
        """What is wrong in the rows: balances, one row per key, each posting once."""
        problems = []
        expected = [self.conversation.alice, self.conversation.bob]
        if (found := await balances(self.books, self.alice, self.bob)) != expected:
            problems.append(f"the balances are {found}, not {expected}")
        keys = [operation.key for operation in self.operations]
        connection = await asyncpg.connect(plain(self.books.engine.url.render_as_string(hide_password=False)))
        try:
            recorded = await connection.fetch("SELECT key, outcome, code FROM operations WHERE key = ANY($1)", keys)
            posted = await connection.fetchval("SELECT count(*) FROM postings WHERE operation_key = ANY($1)", keys)
        finally:
            await connection.close()
        answers = {(key, str(first.kind), first.code) for key, first in zip(keys, self.first, strict=False)}
        if {(row["key"], row["outcome"], row["code"]) for row in recorded} != answers:
            problems.append(f"the answers were {answers}, the books have {[tuple(row) for row in recorded]}")
        if posted != self.conversation.postings:
            problems.append(f"there are {posted} postings, not {self.conversation.postings}")
        return problems


def plain(url: str) -> str:
    """A database's URL as asyncpg itself takes it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
