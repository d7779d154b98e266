"""The examples of most tests: Alice pays Bob in dollars. Amounts are minor units: 25_00 is 25.00 USD."""

from ledger.book import Ledger
from ledger.operation import OpenAccount
from ledger.operations import deposit
from ledger.reader import Reader
from ledger.transfer import Status, Transfer


def a_transfer(
    id: str = "T1", source: str = "alice", destination: str = "bob", amount_minor: int = 25_00, currency: str = "USD"
) -> Transfer:
    """A transfer; by default 25.00 USD from Alice to Bob."""
    return Transfer(id, source, destination, amount_minor, currency)


def transfers(count: int, amount_minor: int = 10_00, source: str = "alice", destination: str = "bob") -> list[Transfer]:
    """Many transfers of the same amount, each with its own id."""
    return [a_transfer(f"{source}-{destination}-{n}", source, destination, amount_minor) for n in range(count)]


async def open_with(ledger: Ledger, currency: str = "USD", **balances: int) -> None:
    """Open accounts and bring them to these balances by one deposit each."""
    await ledger.apply_all([OpenAccount(account_id, currency) for account_id in balances])
    funded = {account_id: amount for account_id, amount in balances.items() if amount}
    await ledger.apply_all([deposit(f"first-{id}", id, amount, currency) for id, amount in funded.items()])


async def balance(books: Reader, account_id: str) -> int:
    """The balance of an account that exists."""
    account = await books.account(account_id)
    assert account is not None, account_id
    return account.balance


async def balances(books: Reader, *account_ids: str) -> list[int]:
    """The balances of several accounts."""
    return [await balance(books, account_id) for account_id in account_ids]


async def status(books: Reader, transfer_id: str) -> Status | None:
    """Where a transfer is; None if the books have never heard of it."""
    state = await books.transfer(transfer_id)
    return None if state is None else state.status
