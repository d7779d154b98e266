"""The audit is silent about honest books, and its report says exactly what they hold, however much that is.

Books that diverge have a file of their own: test_audit_divergences.py.
"""

import asyncio
import json

import pytest

from ledger.audit import CurrencyTotals, TransitTotals, audit
from ledger.audit.check import VIOLATIONS_SHOWN
from ledger.book import Ledger
from ledger.operations import credit, debit
from ledger.reader import Reader
from tests.ledger.histories import a_random_history, a_story
from tests.ledger.tampering import named, tamper
from tests.support.examples import a_transfer, open_with


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
    paid_in, huge = 2**62 + 2**61, 2**61 - 1  # the transit account's turnover of two transfers is 4 * huge
    await open_with(ledger, alice=paid_in, bob=0, carol=0)
    for transfer in (a_transfer("T1", "alice", "bob", huge), a_transfer("T2", "bob", "carol", huge)):
        assert (await ledger.apply(debit(transfer))).applied
        assert (await ledger.apply(credit(transfer))).applied

    report = await audit(ledger)

    assert report.violations == ()
    assert report.currencies == (CurrencyTotals("USD", 5, paid_in + 4 * huge, paid_in + 4 * huge, paid_in),)


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
        await tamper(ledger.engine, f"UPDATE postings SET amount_minor = {2**63 - 1} WHERE currency = 'USD'")
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
