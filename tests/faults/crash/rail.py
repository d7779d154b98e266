"""A rail whose bank keeps its books in a file: it outlives the workers that ask it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rails.bank_books import BankBooks
from rails.rail import Accepted, Answer, NoAnswer, NotKnown, Payment, Rail, Rejected

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


class ByAnyName(Mapping[str, Rail]):
    """One rail under every name, so that each case has a clearing account of its own; some names are silent."""

    def __init__(self, rail: Rail, silent: str) -> None:
        """A rail is silent if its name begins with `silent`."""
        self._rail, self._silent = rail, silent

    def __getitem__(self, name: str) -> Rail:
        return SilentRail() if name.startswith(self._silent) else self._rail

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def paid(path: str, key: str) -> list[int]:
    """What the bank has paid under a key, in minor units: more than one is once too often."""
    books = BankBooks(Path(path), KEY_WINDOW_SECONDS)
    try:
        carried_out = [payment for payment in books.payments() if payment["status"] == "accepted"]
        return [payment["amount_minor"] for payment in carried_out if payment["key"] == key]
    finally:
        books.close()
