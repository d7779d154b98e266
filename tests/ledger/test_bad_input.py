"""Every door of the ledger refuses the whole corpus of bad inputs, before anything starts, and so does the database."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.account import AccountStatus
from ledger.errors import MalformedRequest
from ledger.keys import check_account_id, check_id
from ledger.money import check_amount, decimals, parse_amount
from ledger.operation import OpenAccount, Posting, SetAccountStatus
from ledger.operations import deposit
from ledger.transfer import Transfer
from tests.support.corpus import BAD_AMOUNT_TEXTS, BAD_AMOUNTS, BAD_CURRENCIES, BAD_IDS, OWN_ACCOUNTS
from tests.support.raw_sql import taken

Make = Callable[[Any], object]


def refuse(make: Make, values: dict[str, Any]) -> list[str]:
    """The names of the values that a door lets through, or fails on in some other way than a refusal."""
    passed = []
    for name, value in values.items():
        try:
            make(value)
        except MalformedRequest:
            continue
        except Exception as error:
            passed.append(f"{name}: {type(error).__name__}")
        else:
            passed.append(name)
    return passed


# --- amounts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "currency"), BAD_AMOUNT_TEXTS.values(), ids=BAD_AMOUNT_TEXTS.keys())
def test_a_bad_amount_as_text_is_refused(text: str, currency: str) -> None:
    """Never rounded, never guessed at, never a crash."""
    with pytest.raises(MalformedRequest):
        parse_amount(text, currency)


AMOUNT_DOORS: dict[str, Make] = {
    "check_amount": check_amount,
    "Posting": lambda amount: Posting("alice", "bob", amount, "USD"),
    "Transfer": lambda amount: Transfer("T1", "alice", "bob", amount, "USD"),
    "deposit": lambda amount: deposit("D1", "alice", amount, "USD"),
}


@pytest.mark.parametrize("door", AMOUNT_DOORS)
def test_a_bad_amount_is_refused(door: str) -> None:
    """Whole minor units only: no float, no text, no bool, nothing that does not fit."""
    assert refuse(AMOUNT_DOORS[door], BAD_AMOUNTS) == []


# --- ids ------------------------------------------------------------------------------------------------------

ID_DOORS: dict[str, Make] = {
    "check_id": lambda value: check_id(value, "id"),
    "check_account_id": check_account_id,
    "Transfer id": lambda value: Transfer(value, "alice", "bob", 5, "USD"),
    "Transfer source": lambda value: Transfer("T1", value, "bob", 5, "USD"),
    "Transfer destination": lambda value: Transfer("T1", "alice", value, 5, "USD"),
    "deposit id": lambda value: deposit(value, "alice", 5, "USD"),
    "deposit account": lambda value: deposit("D1", value, 5, "USD"),
    "OpenAccount": lambda value: OpenAccount(value, "USD"),
    "SetAccountStatus": lambda value: SetAccountStatus(value, AccountStatus.OPEN),
}


@pytest.mark.parametrize("door", ID_DOORS)
def test_a_bad_id_is_refused(door: str) -> None:
    """An id is 1 to 128 of `A-Z a-z 0-9 . _ : -`, so that no two keys collide and none needs escaping."""
    assert refuse(ID_DOORS[door], BAD_IDS) == []


@pytest.mark.parametrize("id", ["a", "a" * 128, "Order-2024.11_24:7", "0", ".", "-"])
def test_a_good_id_is_taken(id: str) -> None:
    """The shortest, the longest, and every character there is."""
    assert check_account_id(id) == id


@pytest.mark.parametrize("id", OWN_ACCOUNTS)
def test_the_ledgers_own_accounts_are_not_for_callers(id: str) -> None:
    """Nobody pays out of transit or into cash by naming it; a transfer may be called so, an account may not."""
    doors = [door for name, door in ID_DOORS.items() if name not in ("check_id", "Transfer id", "deposit id")]
    for door in doors:
        with pytest.raises(MalformedRequest, match="ledger's own"):
            door(id)
    assert Transfer(id, "alice", "bob", 5, "USD").id == id


def test_a_transfer_to_oneself_is_refused() -> None:
    """It would move nothing, or with a careless update create money."""
    with pytest.raises(MalformedRequest, match="same account"):
        Transfer("T1", "alice", "alice", 5, "USD")
    with pytest.raises(MalformedRequest, match="two accounts"):
        Posting("alice", "alice", 5, "USD")


# --- currencies -----------------------------------------------------------------------------------------------

CURRENCY_DOORS: dict[str, Make] = {
    "decimals": decimals,
    "parse_amount": lambda currency: parse_amount("5", currency),
    "Transfer": lambda currency: Transfer("T1", "alice", "bob", 5, currency),
    "deposit": lambda currency: deposit("D1", "alice", 5, currency),
    "OpenAccount": lambda currency: OpenAccount("alice", currency),
}


@pytest.mark.parametrize("door", CURRENCY_DOORS)
def test_a_bad_currency_is_refused(door: str) -> None:
    """Upper-case codes of ISO 4217 that have a minor unit, and nothing that merely looks like one."""
    assert refuse(CURRENCY_DOORS[door], BAD_CURRENCIES) == []


# --- the database, which trusts nobody ------------------------------------------------------------------------


def _texts(values: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in values.items() if isinstance(value, str)}


@pytest.mark.parametrize("table", ["accounts", "transfers"])
async def test_the_database_refuses_bad_ids(connection: AsyncConnection, table: str) -> None:
    """Whoever writes to it: an id that no key could be made of is in no table."""
    assert await taken(connection, table, [{"id": id} for id in _texts(BAD_IDS).values()]) == []


@pytest.mark.parametrize("table", ["accounts", "transfers"])
async def test_the_database_refuses_bad_currencies(connection: AsyncConnection, table: str) -> None:
    """It knows what a code looks like, though not which ones the standard has."""
    looks_like_one = {"unknown", "gold", "no currency", "for tests"}
    bad = [code for name, code in _texts(BAD_CURRENCIES).items() if name not in looks_like_one]
    assert await taken(connection, table, [{"currency": code} for code in bad]) == []


@pytest.mark.parametrize("table", ["postings", "transfers"])
async def test_the_database_refuses_bad_amounts(connection: AsyncConnection, table: str) -> None:
    """Zero, negative, too large, and whatever is no number. (A bool and a whole float are integers to a database.)"""
    integers = {"true", "false", "a float", "text"}
    if connection.dialect.name == "postgresql":
        integers.add("a float with a fraction")  # the driver hands over its whole part
    else:
        integers.add("an amount as people write it")  # SQLite reads the text 25.00 as 25, even in a STRICT table
    bad = [amount for name, amount in BAD_AMOUNTS.items() if name not in integers]
    assert await taken(connection, table, [{"amount_minor": amount} for amount in bad]) == []
