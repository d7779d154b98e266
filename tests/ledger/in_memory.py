"""Books in memory, made by hand, for tests of the rules without any database."""

from ledger.account import Account, Guard
from ledger.books import Books
from ledger.errors import OutOfOrder
from ledger.operation import Operation, Outcome, Request
from ledger.rules import decide


def books_with(**balances: int) -> Books:
    """Dollar accounts with these balances, paid in from cash."""
    cash = Account("cash:USD", "USD", Guard.CREDITS_MUST_NOT_EXCEED_DEBITS, debits_posted=sum(balances.values()))
    accounts = [Account("transit:USD", "USD", Guard.DEBITS_MUST_NOT_EXCEED_CREDITS), cash]
    for id, balance in balances.items():
        accounts.append(Account(id, "USD", Guard.DEBITS_MUST_NOT_EXCEED_CREDITS, credits_posted=balance))
    return Books(accounts={account.id: account for account in accounts})


def ask(books: Books, *requests: Request) -> list[Outcome]:
    """Run requests as one batch in which nothing is out of order."""
    answers = decide(requests, books)
    outcomes = [answer for answer in answers if isinstance(answer, Outcome)]
    assert len(outcomes) == len(answers), answers
    return outcomes


def is_out_of_order(books: Books, operation: Operation) -> bool:
    """Whether an operation is an accident, of which the books remember nothing."""
    before = (dict(books.operations), len(books.changes.postings), len(books.changes.events))
    (answer,) = decide([operation], books)
    after = (dict(books.operations), len(books.changes.postings), len(books.changes.events))
    assert before == after
    return isinstance(answer, OutOfOrder)


def balances(books: Books) -> list[int]:
    """Alice's, Bob's and the transit account's balance."""
    return [books.accounts[id].balance for id in ("alice", "bob", "transit:USD")]
