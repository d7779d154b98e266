"""Settling many transfers at once: the short way must be the rules' own, and one line's trouble stays its own."""

import asyncio
import copy
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from ledger import book, rules, schema
from ledger.account import Account, AccountStatus, Guard
from ledger.approval import Approval
from ledger.audit import audit
from ledger.book import Ledger
from ledger.books import Books
from ledger.database import reading
from ledger.errors import MalformedRequest
from ledger.limits import NO_LIMITS, NONE, Limits, SetLimits
from ledger.money import MAX_MINOR
from ledger.operation import Operation, Request, Settle
from ledger.operations import approve, batch, cancel, credit, debit
from ledger.rejections import Code
from ledger.settling import settled_at_once, unfold
from ledger.transfer import Status
from tests.support.examples import a_transfer, balances, open_with, status, transfers

SHA256 = "ab" * 32


def settles(count: int, amount_minor: int = 1_00) -> list[Settle]:
    """Lines of a batch that pay Bob."""
    return [Settle(transfer, f"batch b, line {n}") for n, transfer in enumerate(transfers(count, amount_minor))]


LIMITS = [
    Limits(per_transfer_minor=2),
    Limits(per_day_minor=51),
    Limits(approval_above_minor=1, approvals=1),
]
NAMES = ("alice", "bob", "transit:USD", "transit:JPY")


@st.composite
def books(draw: st.DrawFn) -> Books:
    """Accounts of every kind, some of them empty, full, closed, foreign or not there."""
    made = Books()
    for name in NAMES:
        if draw(st.integers(0, 9)) == 0:
            continue
        is_transit = name.startswith("transit")
        guard = Guard.DEBITS_MUST_NOT_EXCEED_CREDITS if is_transit else draw(st.sampled_from([*Guard]))
        currency = name[-3:] if is_transit else draw(st.sampled_from(["USD", "USD", "USD", "JPY"]))
        state = AccountStatus.OPEN if is_transit else draw(st.sampled_from([AccountStatus.OPEN] * 4 + [*AccountStatus]))
        credits = draw(st.sampled_from([0, 1, 50, 10_000, MAX_MINOR // 2, MAX_MINOR - 3, MAX_MINOR]))
        debits = draw(st.sampled_from([0, credits, max(credits - 2, 0)]))
        if guard is Guard.CREDITS_MUST_NOT_EXCEED_DEBITS:
            debits, credits = credits, debits
        limits = NO_LIMITS if is_transit else draw(st.sampled_from([NO_LIMITS] * 3 + LIMITS))
        made.accounts[name] = Account(name, currency, guard, state, 7, debits, credits, limits)
    return made


@st.composite
def requests(draw: st.DrawFn) -> list[Settle | Operation]:
    """A few lines, and other operations of the same transfers before or between them."""
    asked: list[Settle | Operation] = []
    for line in range(draw(st.integers(1, 6))):
        source, destination = draw(st.sampled_from([("alice", "bob"), ("bob", "alice"), ("alice", "carol")]))
        amount = draw(st.sampled_from([1, 2, 50, MAX_MINOR]))
        transfer = a_transfer(f"T{draw(st.integers(1, 3))}", source, destination, amount)
        make = draw(st.sampled_from([None, None, None, debit, cancel]))
        if make is debit:
            asked.append(debit(transfer))
        elif make is cancel:
            asked.append(cancel(transfer, "asked"))
        else:
            asked.append(Settle(transfer, f"batch b, line {line}"))
    return asked


@given(books(), requests())
def test_settling_at_once_changes_the_books_as_the_rules_would_have(
    made: Books, asked: list[Settle | Operation]
) -> None:
    """
    The same answers and the same rows, in the same order, with and without the short way.
    """
    by_the_rules = copy.deepcopy(made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rules, "settled_at_once", lambda request, books: None)
        expected = rules.decide(asked, by_the_rules)

    answers = rules.decide(asked, made)

    assert [repr(answer) for answer in answers] == [repr(answer) for answer in expected]
    assert [made.recorded(key) for key in by_the_rules.operations] == list(by_the_rules.operations.values())
    unfold(made.changes)
    assert made.changes.postings == by_the_rules.changes.postings
    for name in ("operations", "events", "notifications"):
        assert sorted(getattr(made.changes, name)) == sorted(getattr(by_the_rules.changes, name))
    assert (made.accounts, made.transfers) == (by_the_rules.accounts, by_the_rules.transfers)
    assert (made.changes.begun, made.changes.changed) == (by_the_rules.changes.begun, by_the_rules.changes.changed)


async def test_the_database_makes_the_rows_that_the_rules_would_have_written(ledger: Ledger, tmp_path: Path) -> None:
    """
    A bulk with everything in it, in books that write at once and in books that ask the rules: the same rows, in order.
    """
    first, second, third = some = settles(3)
    asked: list[Request] = [debit(a_transfer("lone")), *some]
    asked += [Settle(a_transfer("odd", amount_minor=7), 'by Zoë: "no"\\\n'), credit(a_transfer("lone"))]
    asked += [Settle(a_transfer("too-much", amount_minor=9_999_00), "batch b, line 8"), debit(second.transfer)]
    asked += [Settle(a_transfer("back", "bob", "alice", 3), "batch b, line 9"), first, third]
    await open_with(ledger, alice=1000_00, bob=0)
    async with Ledger.open(f"sqlite:///{tmp_path}/by-the-rules.db") as other:
        await open_with(other, alice=1000_00, bob=0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rules, "settled_at_once", lambda request, books: None)
            expected = await other.apply_many(asked)

        answers = await ledger.apply_many(asked)

        assert answers == expected
        assert await rows(ledger) == await rows(other)
    assert (await audit(ledger)).violations == ()


async def test_what_refers_to_a_line_of_the_same_commit_finds_it(ledger: Ledger) -> None:
    """
    A cancel that is too late has an answer of its own under the line's transfer.
    """
    await open_with(ledger, alice=1000_00, bob=0)
    line, *others = settles(3)

    _, *_, refused = await ledger.apply_many([line, *others, cancel(line.transfer, "asked")])

    assert refused.code == Code.ALREADY_DEBITED
    assert await balances(ledger, "alice", "bob", "transit:USD") == [997_00, 3_00, 0]
    assert (await audit(ledger)).violations == ()


async def test_many_postings_of_others_among_a_bulk_keep_their_place(ledger: Ledger) -> None:
    """
    Every second line is a leg of its own: the ledger's sequence is the order in which they were decided.
    """
    await open_with(ledger, alice=1000_00, bob=0)
    legs, lines = [debit(a_transfer(f"leg-{n}", amount_minor=1_00)) for n in range(12)], settles(12)

    await ledger.apply_many([request for pair in zip(legs, lines, strict=True) for request in pair])

    posted = [key for key, *_ in (await rows(ledger))["postings"]][-36:]
    assert posted == [
        key
        for leg, line in zip(legs, lines, strict=True)
        for key in (leg.key, f"{line.transfer.id}/debit", f"{line.transfer.id}/credit")
    ]
    assert (await audit(ledger)).violations == ()


async def rows(ledger: Ledger) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, in the order of its key, without the instants and the ledger's own numbers."""
    found = {}
    async with reading(ledger.engine) as connection:
        for name, table in schema.metadata.tables.items():
            kept = [column for column in table.columns if column.name != "sequence" or name == "transfer_events"]
            kept = [column for column in kept if not column.name.endswith("_at")]
            result = await connection.execute(select(*kept).order_by(*table.primary_key.columns))
            found[name] = [tuple(row) for row in result]
    return found


def test_what_is_plainly_well_goes_the_short_way() -> None:
    """
    Else the property above would compare the rules with themselves.
    """
    made = Books()
    for name in ("alice", "bob", "transit:USD"):
        made.accounts[name] = Account(name, "USD", Guard.DEBITS_MUST_NOT_EXCEED_CREDITS, credits_posted=100_00)

    outcome = settled_at_once(Settle(a_transfer(), "batch b, line 2"), made)

    assert outcome is not None
    assert [made.accounts[name].balance for name in ("alice", "bob", "transit:USD")] == [75_00, 125_00, 100_00]


async def test_a_bulk_keeps_limits_and_the_threshold_of_approval(ledger: Ledger) -> None:
    """
    Within a day Alice pays three of five lines; and not one of what somebody must approve of, until somebody has.
    """
    await open_with(ledger, alice=1000_00, bob=0)
    await ledger.apply(SetLimits("alice", "USD", per_day_minor=3_50, number=1))
    limited = await ledger.apply_many(settles(5))
    await ledger.apply(SetLimits("alice", "USD", per_day_minor=NONE, approval_above_minor=50, approvals=1, number=2))
    lines = [Settle(a_transfer(f"A{n}", amount_minor=1_00), "batch c, line 1") for n in range(2)]
    await ledger.apply(approve(Approval(debit(lines[1].transfer).intent, "carol", "alice")))
    unapproved, approved = await ledger.apply_many(lines)

    assert [outcome.applied for outcome in limited] == [True] * 3 + [False] * 2
    assert {outcome.code for outcome in limited[3:]} == {Code.LIMIT_EXCEEDED}
    assert (unapproved.code, approved.applied) == (Code.APPROVAL_REQUIRED, True)
    assert await balances(ledger, "alice", "bob") == [996_00, 4_00]
    assert (await audit(ledger)).violations == ()


async def test_a_bulk_moves_each_line_once_and_tells_its_own_lines_from_others(ledger: Ledger) -> None:
    """
    Asked again, every line is a replay with the mark of who moved it; a line moved by others has none.
    """
    await open_with(ledger, alice=1000_00, bob=0)
    lines = settles(40)
    await ledger.apply_all([debit(lines[7].transfer)])
    await ledger.apply_all([debit(lines[9].transfer)])
    await ledger.apply_all([credit(lines[9].transfer)])

    first = await ledger.apply_many(lines)
    again = await ledger.apply_many(lines)

    assert await balances(ledger, "alice", "bob", "transit:USD") == [960_00, 40_00, 0]
    assert all(answer.replayed for answer in again)
    for answers in (first, again):
        marks = [answer.state.detail if answer.state else "?" for answer in answers]
        assert marks == [None if n == 9 else f"batch b, line {n}" for n in range(40)]


async def test_a_line_that_is_rejected_leaves_the_others_alone(ledger: Ledger) -> None:
    """
    Too little money, a closed account, an id with other content: each has its own answer, for ever.
    """
    await open_with(ledger, alice=3_00, bob=0)
    lines = settles(5)
    other = Settle(a_transfer(lines[0].transfer.id, amount_minor=9_00), "batch b, line 9")

    answers = await ledger.apply_many([*lines, other])
    await open_with(ledger, carol=0)
    again = await ledger.apply_many([*lines, other])

    assert await balances(ledger, "alice", "bob", "transit:USD") == [0, 3_00, 0]
    kinds = ["applied"] * 3 + ["rejected"] * 2 + ["key_reused"]
    assert [answer.kind for answer in answers] == [answer.kind for answer in again] == kinds
    state = again[3].state
    assert state is not None
    assert (state.reason, state.detail) == (
        "insufficient_funds",
        "account alice has 0.00 USD, 1.00 USD needed (batch b, line 3)",
    )


async def test_a_lone_request_does_not_wait_for_a_whole_bulk(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    It goes with the next piece that is committed, not behind the last one.
    """
    await open_with(ledger, alice=100_000_00, bob=0)
    monkeypatch.setattr(book, "PIECE", 50)
    lines = settles(book.PIECE * 20, 1)
    bulk = asyncio.create_task(ledger.apply_many(lines))
    await asyncio.sleep(0)

    await ledger.apply(debit(a_transfer("alone")))

    assert await status(ledger, lines[-1].transfer.id) is None
    await bulk
    assert await status(ledger, lines[-1].transfer.id) is Status.SETTLED


async def test_a_file_belongs_to_a_batch_for_ever(ledger: Ledger) -> None:
    """
    The same file again is a replay; another one is key_reused, and names what differs.
    """
    first = await ledger.apply(batch("b", SHA256, 7))
    again = await ledger.apply(batch("b", SHA256, 7))
    other = await ledger.apply(batch("b", "cd" * 32, 7))

    assert (first.applied, first.replayed, again.replayed) == (True, False, True)
    assert other.key_reused
    assert other.detail == f"sha256: {SHA256} -> {'cd' * 32}"


@pytest.mark.parametrize("make", [
    lambda: batch("b", "short", 7), lambda: batch("b", SHA256.upper(), 7), lambda: batch("b/c", SHA256, 7),
    lambda: batch("b", SHA256, -1), lambda: batch("b", SHA256, True),
])  # fmt: skip  # a list of ways to be wrong
def test_a_batch_that_names_no_file_is_malformed(make: Callable[[], Operation]) -> None:
    """
    Its id, its SHA-256 and its number of lines are checked before anything is asked.
    """
    with pytest.raises(MalformedRequest):
        make()
