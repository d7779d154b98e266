"""A rail whose bank keeps its books in a file: it outlives the workers that ask it."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ledger.reader import Reader
from rails.bank_books import BankBooks
from rails.rail import Accepted, Answer, NoAnswer, NotKnown, Payment, Rail, Rejected, valid_seconds

KEY_WINDOW_SECONDS = 24 * 3600.0


class FileRail:
    """Pays once per key."""

    name = "any"
    key_window_seconds = KEY_WINDOW_SECONDS
    look_up_misses_nothing = True

    def __init__(self, path: str) -> None:
        self._books = BankBooks(Path(path), KEY_WINDOW_SECONDS)

    async def submit(self, payment: Payment) -> Answer:
        """See Rail."""
        asked = {
            "amount_minor": payment.amount_minor,
            "currency": payment.currency,
            "beneficiary": payment.beneficiary,
        }
        refusal = ("account_closed", "") if payment.beneficiary.startswith("closed") else None
        return _answer(self._books.pay(payment.key, asked, refusal))

    async def look_up(self, payment: Payment) -> Answer | NotKnown:
        """See Rail."""
        found = self._books.find(payment.key)
        return NotKnown() if found is None else _answer(found)

    async def aclose(self) -> None:
        """See Rail."""
        self._books.close()


class SilentRail:
    """Pays nothing and says nothing, and its keys do not live for long: what became of a payment, a person must say."""

    name = "silent"
    key_window_seconds = 1.0
    look_up_misses_nothing = False

    async def submit(self, payment: Payment) -> Answer:
        """See Rail."""
        raise NoAnswer("lost on its way there", retry_after_seconds=0.1)

    async def look_up(self, payment: Payment) -> Answer | NotKnown:
        """See Rail."""
        raise NoAnswer("lost on its way there", retry_after_seconds=0.1)

    async def aclose(self) -> None:
        """Nothing to give back."""


def _answer(payment: dict[str, Any]) -> Answer:
    return Accepted(payment["reference"]) if payment["status"] == "accepted" else Rejected(payment["code"])


class LateRail(SilentRail):
    """Silent until a person has decided about a payment; by the last look-up it has paid it, and says so.

    It has heard of it if it may have been asked, also if whoever was to ask it was killed in that moment.
    """

    def __init__(self, bank: Rail, books: Reader) -> None:
        self._bank, self._books = bank, books

    async def look_up(self, payment: Payment) -> Answer | NotKnown:
        """See Rail. Who had looked for a decision before it was there hears nothing."""
        decided_at = await self._books.recorded_at(payment.key.replace("/submit", "/decision"))
        if decided_at is None or time.time() < decided_at / 1_000_000 + 1.5 * valid_seconds(self):
            raise NoAnswer("lost on its way there", retry_after_seconds=0.1)
        return await self._bank.submit(payment)


class ByAnyName(Mapping[str, Rail]):
    """One rail under every name, so that each case has a clearing account of its own; some names have another one."""

    def __init__(self, rail: Rail, others: Mapping[str, Rail]) -> None:
        """A rail is another one if its name begins with that one's."""
        self._rail, self._others = rail, others

    def __getitem__(self, name: str) -> Rail:
        return next((rail for other, rail in self._others.items() if name.startswith(other)), self._rail)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def paid(path: str, key: str) -> list[int]:
    """What the bank has paid under a key, in minor units: more than one is once too often."""
    carried_out = [payment for payment in payments(path) if payment["status"] == "accepted"]
    return [payment["amount_minor"] for payment in carried_out if payment["key"] == key]


def payments(path: str) -> list[dict[str, Any]]:
    """Everything that the bank has answered for good."""
    books = BankBooks(Path(path), KEY_WINDOW_SECONDS)
    try:
        return list(books.payments())
    finally:
        books.close()
