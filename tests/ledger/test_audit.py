"""The audit is silent about honest books, and names what is wrong with all others: the rule, and the row.

Divergences are made as a bug or an attacker would: in the database itself, with its triggers and foreign keys
out of the way, and put back afterwards.
"""

import asyncio
import json
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger import schema
from ledger.account import AccountStatus, Guard
from ledger.audit import CHECKS, AuditReport, CurrencyTotals, TransitTotals, audit
from ledger.audit.check import VIOLATIONS_SHOWN
from ledger.audit.triggers import expected
from ledger.book import Ledger
from ledger.database import reading
from ledger.errors import OutOfOrder
from ledger.operation import OpenAccount, Operation, SetAccountStatus
from ledger.operations import cancel, credit, debit, deposit, refund
from ledger.reader import Reader
from ledger.transfer import Transfer
from tests.support.databases import only_postgresql, only_sqlite
from tests.support.examples import a_transfer, open_with

# --- honest books ---------------------------------------------------------------------------------------------


async def a_story(ledger: Ledger) -> None:
    """One transfer of each kind: S1 and E1 settled, F1 and F2 refunded, R1 rejected, C1 cancelled, D1 on its way."""
    await open_with(ledger, alice=500_00, bob=0, carol=0)
    await open_with(ledger, "EUR", anna=300_00, bert=0)
    settled, european = a_transfer("S1"), a_transfer("E1", "anna", "bert", 10_00, "EUR")
    for operation in (debit(settled), credit(settled), debit(european), credit(european)):
        await ledger.apply(operation)
    given_back, refused = a_transfer("F1"), a_transfer("F2", destination="carol")
    await ledger.apply_all([debit(given_back), refund(given_back, "cancelled", 'by Zoë: "no"\n'), debit(refused)])
    await ledger.apply(SetAccountStatus("carol", AccountStatus.FROZEN))
    await ledger.apply_all(
        [credit(refused), refund(refused, "account_frozen"), debit(a_transfer("R1", "bob", "alice", 9_000_00))]
    )
    await ledger.apply_all(
        [cancel(a_transfer("C1"), "cancelled"), debit(a_transfer("C1")), refund(settled, "too late")]
    )
    await ledger.apply_all([debit(a_transfer("D1", amount_minor=7_00)), deposit("lost", "nobody", 1, "USD")])


def _send_back(transfer: Transfer) -> Operation:
    return refund(transfer, "sent back", "ça va")


def _call_off(transfer: Transfer) -> Operation:
    return cancel(transfer, "changed mind")


async def a_random_history(ledger: Ledger, seed: int, steps: int) -> None:
    """Legs of 400 transfers in any order, in batches of any size, between accounts that freeze and thaw."""
    dice = random.Random(seed)
    await ledger.apply(OpenAccount("equity", "USD", Guard.NONE))
    await open_with(ledger, alice=300_00, bob=50_00, carol=0)
    await open_with(ledger, "EUR", anna=300_00, bert=0)
    dollars, euros = ["alice", "bob", "carol", "equity"], ["anna", "bert"]
    names = [*dollars, *euros, "nobody"]
    pairs = [dice.sample(dice.choice([dollars, dollars, euros, names]), 2) for _ in range(400)]
    asked = [
        a_transfer(f"T{n}", source, destination, dice.randint(1, 30_00), "EUR" if source in euros else "USD")
        for n, (source, destination) in enumerate(pairs)
    ]
    legs: list[Callable[[Transfer], Operation]] = [*[debit] * 5, *[credit] * 4, _send_back, _call_off]
    for step in range(steps):
        if dice.random() < 0.2:
            status = dice.choice([*AccountStatus, *[AccountStatus.OPEN] * 4])
            await ledger.apply(SetAccountStatus(dice.choice(names), status))
        batch: list[Operation] = [dice.choice(legs)(dice.choice(asked)) for _ in range(dice.randint(1, 16))]
        batch.append(
            deposit(f"in-{step % 40}", dice.choice(names), dice.randint(1, 20_00), dice.choice(["USD", "EUR"]))
        )
        try:
            await ledger.apply_all(batch)
        except OutOfOrder:
            continue  # its neighbours are in the books all the same


@pytest.mark.parametrize("seed", range(3))
async def test_an_honest_history_of_any_kind_is_clean(ledger: Ledger, seed: int) -> None:
    """Whatever order legs, retries, refusals and freezes come in, the audit raises no false alarm."""
    await a_random_history(ledger, seed, steps=150)

    report = await audit(ledger)

    assert report.violations == ()
    assert report.ok
    assert all(report.transfers[status] for status in ("debited", "settled", "refunded", "rejected", "cancelled"))
    assert all(report.operations.values())
    assert [line.currency for line in report.currencies] == ["EUR", "USD"]


async def test_books_without_a_single_row_are_clean(ledger: Ledger) -> None:
    """An auditor may come before the first customer."""
    report = await audit(ledger)

    assert report.ok
    assert report.currencies == ()
    assert set(report.transfers.values()) == set(report.operations.values()) == {0}


async def test_the_report_says_what_was_posted_is_held_and_is_on_its_way(ledger: Ledger) -> None:
    """The figures are those that one adds up by hand from the story."""
    await a_story(ledger)

    report = await audit(ledger)

    posted = 500_00 + 6 * 25_00 + 7_00  # the deposit, three transfers of two postings each, and the one on its way
    assert report.currencies == (
        CurrencyTotals("EUR", 3, 320_00, 320_00, 300_00),
        CurrencyTotals("USD", 8, posted, posted, 500_00),
    )
    assert report.transit == (TransitTotals("EUR", 0, 0, 0), TransitTotals("USD", 7_00, 7_00, 1))
    assert {status: count for status, count in report.transfers.items() if count} == {
        "debited": 1, "settled": 2, "refunded": 2, "rejected": 1, "cancelled": 1,
    }  # fmt: skip  # one line


async def test_the_report_is_json_with_the_names_of_its_contract(ledger: Ledger) -> None:
    """What `as_json` returns goes through JSON unchanged."""
    await a_story(ledger)
    report = await audit(ledger)

    said = json.loads(json.dumps(report.as_json()))

    assert list(said) == ["ok", "currencies", "transit", "transfers", "operations", "violations"]
    assert said["transit"][1] == {"currency": "USD", "balance_minor": 7_00, "open_minor": 7_00, "open_transfers": 1}
    assert said["violations"] == []


async def test_a_read_only_reader_can_audit_books_that_are_open_for_writing(ledger: Ledger, database_url: str) -> None:
    """The audit needs no right to write and takes no lock."""
    await a_story(ledger)

    async with Reader.open_read_only(database_url) as reader:
        report = await audit(reader)

    assert report.ok


async def test_books_are_clean_at_every_instant_while_money_moves(ledger: Ledger) -> None:
    """One audit sees one instant: with commits going on all the time, nothing ever seems to be missing."""
    await open_with(ledger, alice=500_00, bob=0)

    async def move(n: int) -> None:
        transfer = a_transfer(f"T{n}", amount_minor=1_00)
        await ledger.apply(debit(transfer))
        await ledger.apply(credit(transfer))

    moving = [asyncio.create_task(move(n)) for n in range(100)]
    reports = [await audit(ledger) for _ in range(5)]
    await asyncio.gather(*moving)

    assert [report.violations for report in reports] == [()] * 5


async def test_sums_past_64_bits_are_exact(ledger: Ledger) -> None:
    """Each account's totals fit into 64 bits, the sum over accounts does not: not one minor unit is lost."""
    huge = 2**62 - 1
    await open_with(ledger, alice=2**62, bob=0, carol=0)
    for transfer in (a_transfer("T1", "alice", "bob", huge), a_transfer("T2", "bob", "carol", huge)):
        assert (await ledger.apply(debit(transfer))).applied
        assert (await ledger.apply(credit(transfer))).applied

    report = await audit(ledger)

    assert report.violations == ()
    assert report.currencies == (CurrencyTotals("USD", 5, 2**62 + 4 * huge, 2**62 + 4 * huge, 2**62),)


async def test_one_unit_too_many_is_found_in_sums_past_64_bits(database_url: str) -> None:
    """Where a floating sum would round, the audit still sees the difference of one, in totals of 2^63-1."""
    async with Ledger.open(database_url) as ledger:
        await open_with(ledger, alice=2**63 - 1, bob=0)
        await tamper(ledger.engine, "UPDATE accounts SET debits_posted = 1 WHERE id = 'alice'")
        await tamper(ledger.engine, "UPDATE accounts SET credits_posted = 2 WHERE id = 'bob'")
        report = await audit(ledger)

    assert named(report) == {("account_totals", "alice"), ("account_totals", "bob"), ("conservation", "USD")}
    assert report.violations[0].detail.startswith(f"the accounts have {2**63} debits and {2**63 + 1} credits")


async def test_amounts_that_no_total_can_hold_are_reported_and_break_nothing(database_url: str) -> None:
    """Books can be so wrong that their own sums overflow; the audit still ends, and says the true sums."""
    async with Ledger.open(database_url) as ledger:
        await a_story(ledger)
        await tamper(ledger.engine, _set("postings", f"amount_minor = {2**63 - 1}", "currency = 'USD'"))
        report = await audit(ledger)

    details = {violation.subject: violation.detail for violation in report.violations if violation.check == "guards"}
    assert {"alice", "bob", "transit:USD"} >= details.keys() >= {"alice"}
    assert f"the postings are {8 * (2**63 - 1)}" in report.violations[0].detail


async def test_many_violations_are_counted_and_not_listed(database_url: str) -> None:
    """A report stays readable: a hundred of each kind, and how many more there are."""
    async with Ledger.open(database_url) as ledger:
        await open_with(ledger, alice=500_00, bob=0)
        await ledger.apply_all([debit(a_transfer(f"T{n}", amount_minor=1)) for n in range(VIOLATIONS_SHOWN + 7)])
        await tamper(ledger.engine, "UPDATE transfers SET status = 'accepted'")
        report = await audit(ledger)

    states = [violation for violation in report.violations if violation.check == "states"]
    assert len(states) == VIOLATIONS_SHOWN + 1
    assert states[-1].subject == "*"
    assert states[-1].detail == "7 more like these"


# --- books that diverge ---------------------------------------------------------------------------------------

_COPY = (
    "debit_account_id, credit_account_id, amount_minor, currency, "
    "debit_balance_after, credit_balance_after, recorded_at"
)


def _posting(key: str, like: str, position: int = 0) -> str:
    """A copy of the posting of one key under another key."""
    return (
        f"INSERT INTO postings (operation_key, position, {_COPY}) "
        f"SELECT '{key}', {position}, {_COPY} FROM postings WHERE operation_key = '{like}'"
    )


def _operation(key: str, like: str) -> str:
    """A copy of one operation under another key."""
    columns = "fingerprint, fingerprint_recipe, outcome, code, detail, transfer_id, recorded_at"
    return f"INSERT INTO operations (key, {columns}) SELECT '{key}', {columns} FROM operations WHERE key = '{like}'"


def _set(table: str, change: str, where: str) -> str:
    return f"UPDATE {table} SET {change} WHERE {where}"


@dataclass(frozen=True)
class Divergence:
    """One way of being wrong: a sentence, the rule that it breaks, the row it is about, and how it is made."""

    sentence: str
    check: str
    subject: str
    statements: tuple[str, ...]


def _wrong(sentence: str, check: str, subject: str, *statements: str) -> Divergence:
    return Divergence(sentence, check, subject, statements)


S1_CREDIT, S1_DEBIT = "operation_key = 'S1/credit'", "operation_key = 'S1/debit'"

DIVERGENCES = [
    _wrong("an account's total is off by one", "account_totals", "bob",
           _set("accounts", "credits_posted = credits_posted + 1", "id = 'bob'")),
    _wrong("a currency's totals do not add up", "conservation", "EUR",
           _set("accounts", "debits_posted = debits_posted - 1", "id = 'transit:EUR'")),
    _wrong("an account's version was turned back", "account_versions", "alice",
           _set("accounts", "version = 2", "id = 'alice'")),
    _wrong("a posting is gone from the account's sums", "account_totals", "bob",
           f"DELETE FROM postings WHERE {S1_CREDIT}"),
    _wrong("a posting is gone, and its operation is still applied", "operations_have_postings", "S1/credit",
           f"DELETE FROM postings WHERE {S1_CREDIT}"),
    _wrong("a posting is gone from the running balances after it", "running_balances", "alice",
           f"DELETE FROM postings WHERE {S1_DEBIT}"),
    _wrong("a posting moves one unit more than was asked", "postings_match_transfers", "S1/credit",
           _set("postings", "amount_minor = amount_minor + 1", S1_CREDIT)),
    _wrong("a posting moves money to somebody else", "postings_match_transfers", "S1/credit",
           _set("postings", "credit_account_id = 'carol'", S1_CREDIT)),
    _wrong("a refund goes to somebody else", "postings_match_transfers", "F1/refund",
           _set("postings", "credit_account_id = 'bob'", "operation_key = 'F1/refund'")),
    _wrong("a posting was written again under a rejected key", "postings_have_operations", "R1/debit",
           _posting("R1/debit", like="S1/debit")),
    _wrong("a posting was written again under its own key", "operations_have_postings", "S1/credit",
           _posting("S1/credit", like="S1/credit", position=1)),
    _wrong("a fenced key has moved money", "postings_have_operations", "F1/credit",
           _posting("F1/credit", like="S1/credit")),
    _wrong("an applied cancel has moved money", "operations_have_postings", "C1/cancel",
           _posting("C1/cancel", like="S1/debit")),
    _wrong("a running balance on the debit side is false", "running_balances", "transit:USD",
           _set("postings", "debit_balance_after = debit_balance_after - 1", S1_CREDIT)),
    _wrong("a running balance on the credit side is false", "running_balances", "bob",
           _set("postings", "credit_balance_after = credit_balance_after + 1", S1_CREDIT)),
    _wrong("a running balance of an asset is false", "running_balances", "cash:USD",
           _set("postings", "debit_balance_after = -debit_balance_after", "operation_key = 'first-alice/deposit'")),
    _wrong("an account was below its guard for a while", "guards", "alice",
           _set("postings", "amount_minor = 100000000", S1_DEBIT)),
    _wrong("transit holds less than is on its way", "transit", "transit:USD",
           _set("transfers", "amount_minor = amount_minor + 1", "id = 'D1'")),
    _wrong("a transfer on its way was lost from sight", "transit", "transit:USD",
           _set("transfers", "status = 'rejected'", "id = 'D1'")),
    _wrong("a transfer is settled without a credit", "states", "D1",
           _set("transfers", "status = 'settled'", "id = 'D1'")),
    _wrong("a transfer was both credited and refunded", "states", "S1",
           "DELETE FROM operations WHERE key = 'S1/refund'",
           _operation("S1/refund", like="S1/credit"), _posting("S1/refund", like="F1/refund")),
    _wrong("a refunded transfer was credited as well", "states", "F1",
           "UPDATE operations SET outcome = 'applied', code = NULL WHERE key = 'F1/credit'"),
    _wrong("a cancelled transfer lost its fence", "states", "C1",
           "DELETE FROM operations WHERE key = 'C1/debit'"),
    _wrong("a posting's operation is gone", "postings_have_operations", "S1/credit",
           "DELETE FROM operations WHERE key = 'S1/credit'"),
    _wrong("a transfer is gone, and its keys are still there", "keys", "S1/debit",
           "DELETE FROM transfers WHERE id = 'S1'"),
    _wrong("money moved under a key of no known kind", "keys", "S1/bonus",
           _operation("S1/bonus", like="S1/credit"), _posting("S1/bonus", like="S1/credit")),
    _wrong("a key belongs to another transfer than it says", "keys", "S1/credit",
           _set("operations", "transfer_id = 'F1'", "key = 'S1/credit'")),
    _wrong("an operation was asked something else than its transfer says", "fingerprints", "S1/credit",
           _set("operations", "fingerprint = replace(fingerprint, '2500', '2501')", "key = 'S1/credit'")),
    _wrong("a fence was asked something else than its transfer says", "fingerprints", "F1/credit",
           _set("operations", "fingerprint = replace(fingerprint, 'bob', 'carol')", "key = 'F1/credit'")),
    _wrong("a fingerprint is of an unknown recipe", "fingerprints", "lost/deposit",
           _set("operations", "fingerprint_recipe = 'v0'", "key = 'lost/deposit'")),
    _wrong("a deposit brought more than was asked", "deposits", "first-alice/deposit",
           _set("operations", "fingerprint = replace(fingerprint, '50000', '40000')", "key = 'first-alice/deposit'")),
    _wrong("a deposit came out of a customer's account", "deposits", "first-alice/deposit",
           _set("postings", "debit_account_id = 'bob'", "operation_key = 'first-alice/deposit'")),
    _wrong("a fence was put by nobody", "fences", "F1/credit",
           _set("operations", "code = 'R1/debit'", "key = 'F1/credit'")),
    _wrong("a posting is in another currency than its accounts", "posting_accounts", "S1/credit",
           _set("postings", "currency = 'EUR'", S1_CREDIT)),
    _wrong("a posting's account does not exist", "posting_accounts", "S1/credit",
           _set("postings", "credit_account_id = 'ghost'", S1_CREDIT)),
    _wrong("an account changed its currency", "posting_accounts", "S1/credit",
           _set("accounts", "currency = 'EUR'", "id = 'bob'")),
    _wrong("a transfer was credited before it was debited", "debit_first", "S1",
           _posting("S1/debit", like="S1/debit", position=1),
           f"DELETE FROM postings WHERE {S1_DEBIT} AND position = 0", _set("postings", "position = 0", S1_DEBIT)),
    _wrong("an event in the middle is gone", "event_chain", "S1",
           "DELETE FROM transfer_events WHERE transfer_id = 'S1' AND sequence = 2"),
    _wrong("the last event is gone", "last_event", "S1",
           "DELETE FROM transfer_events WHERE transfer_id = 'S1' AND sequence = 3"),
    _wrong("all events of a transfer are gone", "last_event", "S1",
           "DELETE FROM transfer_events WHERE transfer_id = 'S1'"),
    _wrong("an event does not begin where the one before it ended", "event_chain", "S1",
           _set("transfer_events", "from_status = 'accepted', to_status = 'rejected'",
                "transfer_id = 'S1' AND sequence = 3")),
    _wrong("a life does not begin with being accepted", "event_chain", "S1",
           _set("transfer_events", "to_status = 'scheduled'", "transfer_id = 'S1' AND sequence = 1")),
    _wrong("an event was brought by another transfer's operation", "event_operations", "S1",
           _set("transfer_events", "operation_key = 'E1/credit'", "transfer_id = 'S1' AND sequence = 3")),
    _wrong("an event to settled was brought by a debit", "event_operations", "S1",
           _set("transfer_events", "operation_key = 'S1/debit'", "transfer_id = 'S1' AND sequence = 3")),
    _wrong("a transfer's reason is not its last event's", "last_event", "F1",
           _set("transfers", "reason = 'bad luck'", "id = 'F1'")),
    _wrong("a settled transfer has acquired a reason", "last_event", "S1",
           _set("transfers", "reason = ''", "id = 'S1'")),
    _wrong("a transfer's version was turned back", "last_event", "S1",
           _set("transfers", "version = 2", "id = 'S1'")),
    _wrong("a posting claims another instant than its operation", "same_instant", "S1/credit",
           _set("postings", "recorded_at = recorded_at - 1", S1_CREDIT)),
    _wrong("a fence claims another instant than who put it", "same_instant", "F1/credit",
           _set("operations", "recorded_at = recorded_at - 1", "key = 'F1/credit'")),
    _wrong("the notification of an ending is missing", "endings_are_notified", "R1",
           "DELETE FROM notifications WHERE transfer_id = 'R1'"),
    _wrong("a transfer on its way is said to be settled", "notifications_have_endings", "D1/notify/settled",
           "INSERT INTO notifications (key, transfer_id, body, recorded_at) "
           "SELECT 'D1/notify/settled', 'D1', body, recorded_at FROM notifications WHERE key = 'S1/notify/settled'"),
    _wrong("a settled transfer is said to be refunded too", "notifications_have_endings", "S1/notify/refunded",
           "INSERT INTO notifications (key, transfer_id, body, recorded_at) "
           "SELECT 'S1/notify/refunded', 'S1', body, recorded_at FROM notifications WHERE key = 'S1/notify/settled'"),
    _wrong("a notification tells another amount", "notification_bodies", "S1/notify/settled",
           _set("notifications", "body = replace(body, '2500', '9900')", "key = 'S1/notify/settled'")),
    _wrong("a notification's text was changed beyond ASCII", "notification_bodies", "F1/notify/refunded",
           _set("notifications", r"body = replace(body, 'Zo\u00eb', 'Zo\u00e9')", "key = 'F1/notify/refunded'")),
    _wrong("a notification is no JSON", "notification_bodies", "S1/notify/settled",
           _set("notifications", "body = '{'", "key = 'S1/notify/settled'")),
]  # fmt: skip  # a table: what is wrong, who must say so about what, and how it is made


@pytest.mark.parametrize("divergence", DIVERGENCES, ids=lambda divergence: divergence.sentence.replace(" ", "_"))
async def test_the_audit_names_a_divergence(database_url: str, divergence: Divergence) -> None:
    """Each divergence is named by the rule that it breaks, with the account, key or transfer it is about."""
    async with Ledger.open(database_url) as ledger:
        await a_story(ledger)
        assert (await audit(ledger)).violations == ()
        await tamper(ledger.engine, *divergence.statements)
        report = await audit(ledger)

    assert not report.ok
    assert (divergence.check, divergence.subject) in named(report)
    assert "triggers" not in {violation.check for violation in report.violations}


def test_every_rule_of_the_audit_has_a_divergence_that_it_names() -> None:
    """A rule that nothing here breaks would be a rule that nobody knows to work."""
    rules = {check.name for check in CHECKS} | {"conservation", "transit"}

    assert {divergence.check for divergence in DIVERGENCES} | {"triggers"} == rules
    assert len(CHECKS) == len({check.name for check in CHECKS})


# --- the triggers themselves ------------------------------------------------------------------------------------


async def test_the_audit_expects_exactly_the_triggers_that_the_migrations_make(ledger: Ledger) -> None:
    """A migration that adds a trigger fails here until the audit asks for it."""
    dialect = ledger.engine.dialect.name
    asked = {
        "sqlite": "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname, CAST(CAST(tgrelid AS regclass) AS text) FROM pg_trigger WHERE NOT tgisinternal",
    }
    async with reading(ledger.engine) as connection:
        made = {row[0]: row[1] for row in await connection.execute(text(asked[dialect]))}

    assert made == expected(dialect)


async def test_a_dropped_trigger_is_named(database_url: str) -> None:
    """The rows are still right; nothing keeps them so."""
    async with Ledger.open(database_url) as ledger:
        on_table = " ON postings" if ledger.engine.dialect.name == "postgresql" else ""
        await run_raw(ledger.engine, f"DROP TRIGGER postings_never_deleted{on_table}")
        report = await audit(ledger)

    assert named(report) == {("triggers", "postings_never_deleted")}


@only_postgresql
async def test_a_disabled_trigger_is_named(database_url: str) -> None:
    """A trigger that is there and does not fire is no trigger."""
    async with Ledger.open(database_url) as ledger:
        await run_raw(ledger.engine, "ALTER TABLE operations DISABLE TRIGGER operations_never_changed")
        report = await audit(ledger)

    assert named(report) == {("triggers", "operations_never_changed")}


@only_postgresql
async def test_a_trigger_function_that_refuses_nothing_is_named(database_url: str) -> None:
    """All triggers share one function: without its exception none of them stands."""
    hollow = "CREATE OR REPLACE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
    async with Ledger.open(database_url) as ledger:
        await run_raw(ledger.engine, hollow)
        report = await audit(ledger)

    assert named(report) == {("triggers", name) for name in expected("postgresql")}


@only_sqlite
async def test_a_trigger_that_refuses_nothing_is_named(database_url: str) -> None:
    """A trigger of the right name that does something else is no trigger."""
    hollow = "CREATE TRIGGER postings_never_changed BEFORE UPDATE ON postings BEGIN SELECT 1; END"
    async with Ledger.open(database_url) as ledger:
        await run_raw(ledger.engine, "DROP TRIGGER postings_never_changed", hollow)
        report = await audit(ledger)

    assert named(report) == {("triggers", "postings_never_changed")}


# --- how divergences are made -----------------------------------------------------------------------------------


def named(report: AuditReport) -> set[tuple[str, str]]:
    """Which rules a report says are broken, and by what."""
    return {(violation.check, violation.subject) for violation in report.violations}


async def tamper(engine: AsyncEngine, *statements: str) -> None:
    """Change the books behind the ledger's back: triggers, checks and foreign keys do not see it."""
    if engine.dialect.name == "postgresql":
        await _tamper_postgresql(engine, statements)
    else:
        _tamper_sqlite(engine, statements)


def _tamper_sqlite(engine: AsyncEngine, statements: tuple[str, ...]) -> None:
    assert engine.url.database is not None
    with closing(sqlite3.connect(engine.url.database, uri=True, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("BEGIN IMMEDIATE")
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        dropped = [f"DROP TRIGGER {name}" for name, _ in triggers]
        for statement in (*dropped, *statements, *(sql for _, sql in triggers), "COMMIT"):
            connection.execute(statement)


async def _tamper_postgresql(engine: AsyncEngine, statements: tuple[str, ...]) -> None:
    tables = list(schema.metadata.tables)
    keys = "SELECT CAST(conrelid AS regclass), conname FROM pg_constraint WHERE contype = 'f'"
    async with engine.begin() as connection:
        foreign = [
            f"ALTER TABLE {table} DROP CONSTRAINT {name}" for table, name in await connection.execute(text(keys))
        ]
        disabled = [f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in tables]
        enabled = [f"ALTER TABLE {table} ENABLE TRIGGER USER" for table in tables]
        for statement in (*foreign, *disabled, *statements, *enabled):
            await connection.exec_driver_sql(statement)


async def run_raw(engine: AsyncEngine, *statements: str) -> None:
    """Run statements as they are, on the database itself."""
    async with engine.begin() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)
