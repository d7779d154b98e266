"""Settings through their workflow: what comes late does not undo what came after it."""

import asyncio

from activities.messages import AccountChange
from ledger.account import AccountStatus
from ledger.operation import SetAccountStatus
from ledger.operations import deposit
from tests.support.bank import PATIENCE, Bank
from tests.support.databases import both_databases


async def change(bank: Bank, account_id: str, status: AccountStatus, expected_version: int | None = None) -> str:
    """Change an account as the starter does; the outcome's code, or its kind."""
    asked = AccountChange(account_id=account_id, status=status, expected_version=expected_version)
    outcome = await bank.submitter.set_account(asked, PATIENCE)
    return outcome.code or outcome.kind


async def status(bank: Bank, account_id: str) -> AccountStatus:
    """What an account is."""
    account = await bank.ledger.account(account_id)
    assert account is not None
    return account.status


async def test_an_attempt_that_comes_late_does_not_undo_a_later_setting(bank: Bank) -> None:
    """
    What a worker would write that thaws long after its attempt was given up: the freeze, after the account was opened.
    """
    await change(bank, "alice", AccountStatus.FROZEN)
    await change(bank, "alice", AccountStatus.OPEN)

    await bank.ledger.apply(SetAccountStatus("alice", AccountStatus.FROZEN, number=1))

    assert await status(bank, "alice") is AccountStatus.OPEN
    assert await bank.ledger.next_setting("alice") == 3


@both_databases
async def test_a_busy_account_can_be_frozen(bank: Bank) -> None:
    """
    Between the look and the setting there are always postings; they take no numbers, so nobody looks twice.
    """
    gate = bank.gates.close("set_account_status", before=True)
    freezing = asyncio.create_task(change(bank, "alice", AccountStatus.FROZEN))
    await gate.reached.wait()
    await bank.ledger.apply_all([deposit(f"D{number}", "alice", 1, "USD") for number in range(20)])
    gate.open.set()

    assert await freezing == "applied"
    assert bank.gates.attempts["next_setting"] == 1
    assert await status(bank, "alice") is AccountStatus.FROZEN


async def test_whoever_was_overtaken_looks_again_and_has_the_last_word(bank: Bank) -> None:
    """
    Somebody else took the number in between with another status: the later of the two is what holds.
    """
    gate = bank.gates.close("set_account_status", before=True)
    freezing = asyncio.create_task(change(bank, "alice", AccountStatus.FROZEN))
    await gate.reached.wait()
    await bank.ledger.apply(SetAccountStatus("alice", AccountStatus.CLOSED, number=1))
    gate.open.set()

    assert await freezing == "applied"
    assert bank.gates.attempts["next_setting"] == 2
    assert await status(bank, "alice") is AccountStatus.FROZEN


async def test_an_expected_version_is_still_the_callers_condition(bank: Bank) -> None:
    """
    A number makes it safe from latecomers; the version says what the caller has seen.
    """
    assert await change(bank, "alice", AccountStatus.FROZEN, expected_version=99) == "version_conflict"
    assert await change(bank, "alice", AccountStatus.FROZEN, expected_version=2) == "applied"
    assert await change(bank, "nobody", AccountStatus.FROZEN) == "account_not_found"
