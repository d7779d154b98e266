"""Load: accounts with money in them, and transfers between them."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from ledger import operations
from ledger.book import Ledger
from ledger.operation import OpenAccount, Operation
from ledger.transfer import Transfer

AWAY = 7
"""How far the account that is paid is from the one that pays."""

_runs = itertools.count()


@dataclass(slots=True)
class Load:
    """A set of accounts, and an endless supply of transfers between them.

    `currencies` are taken in turn; `hot` is an account that every transfer pays to; `scattered` ids have no order, as
    random UUIDs have none, where others rise.
    """

    accounts: int = 1000
    currencies: tuple[str, ...] = ("USD",)
    hot: str | None = None
    scattered: bool = False
    paid_in: int = 10**12
    name: str = field(default_factory=lambda: f"load{next(_runs)}")
    made: int = 0

    async def open(self, ledger: Ledger) -> None:
        """Open the accounts, and pay plenty into each."""
        named = [(self.account(index), self.currency(index)) for index in range(self.accounts)]
        await ledger.apply_all([OpenAccount(account, currency) for account, currency in named])
        await ledger.apply_all(
            [operations.deposit(f"{account}-in", account, self.paid_in, currency) for account, currency in named]
        )

    def transfers(self, count: int) -> list[Transfer]:
        """New transfers: each account pays one that is some way off, of the same currency."""
        numbers = range(self.made, self.made + count)
        self.made += count
        return [self._transfer(number) for number in numbers]

    def account(self, index: int) -> str:
        """The id of the account with this number."""
        return f"{self.name}-{index % self.accounts}"

    def currency(self, index: int) -> str:
        """The currency of the account with this number."""
        return self.currencies[index % self.accounts % len(self.currencies)]

    def _transfer(self, number: int) -> Transfer:
        away = AWAY * len(self.currencies)  # a multiple of the currencies: both accounts have the same one
        source, destination = self.account(number), self.account(number + away)
        if self.hot is not None and self.hot != source:
            destination = self.hot
        return Transfer(self._transfer_id(number), source, destination, 1, self.currency(number))

    def _transfer_id(self, number: int) -> str:
        if not self.scattered:
            return f"{self.name}-t{number}"
        return f"fill-{10**10 + (number + 2**31) * 2654435761 % 2**32}"  # among those of bench/filling.py


def legs(transfers: Sequence[Transfer]) -> tuple[list[Operation], list[Operation]]:
    """The debits and the credits of transfers: two operations each."""
    return [operations.debit(transfer) for transfer in transfers], [
        operations.credit(transfer) for transfer in transfers
    ]


async def together(ledger: Ledger, asked: Sequence[Operation]) -> float:
    """Ask everything at the same time, each by a caller of its own. Returns operations a second."""
    began = time.perf_counter()
    outcomes = await asyncio.gather(*(ledger.apply(operation) for operation in asked))
    taken = time.perf_counter() - began
    assert all(outcome.applied and not outcome.replayed for outcome in outcomes)
    return len(asked) / taken


async def one_by_one(ledger: Ledger, asked: Sequence[Operation]) -> float:
    """Ask one thing after the other. Returns operations a second."""
    began = time.perf_counter()
    for operation in asked:
        await ledger.apply(operation)
    return len(asked) / (time.perf_counter() - began)


async def round_of(ledger: Ledger, load: Load, count: int) -> float:
    """One turn: `count` debits together, then their credits together. Returns operations a second."""
    debits, credits = legs(load.transfers(count))
    first, second = await together(ledger, debits), await together(ledger, credits)
    return 2 / (1 / first + 1 / second)
