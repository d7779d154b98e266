"""Holds as workflows: captured, voided or expired, whatever races and whoever dies."""

import asyncio
import time

import pytest

from activities.terms import Decision, HoldRequest
from engine.deciding import decide
from engine.results import KeyReused
from ledger.errors import MalformedRequest
from ledger.transfer import Status
from tests.support.bank import PATIENCE, Bank
from tests.support.databases import both_databases, only_sqlite

DAY = 24 * 3600
CAPTURE = Decision(captures=20_00)
VOID = Decision(reason="the guest left early")


def held(bank: Bank, name: str = "H1", for_seconds: float = 30 * DAY) -> HoldRequest:
    """25.00 USD from Alice to Bob are to be held for so long."""
    expires_at = time.time_ns() // 1000 + round(for_seconds * 1_000_000)
    return HoldRequest(**bank.request(name).model_dump(), expires_at=expires_at)


async def test_a_part_of_a_hold_is_captured(bank: Bank) -> None:
    """Bob has it, Alice has the rest, and the outcome says how much."""
    request = held(bank)
    submitted = await bank.start(request)
    await bank.reaches(request, Status.DEBITED)
    before = await bank.balances()

    taken = await decide(bank.submitter, request.transfer_id, CAPTURE, PATIENCE)
    outcome = await bank.outcome(submitted)

    assert (before, taken) == ([75_00, 0, 25_00], True)
    assert (outcome.status, outcome.captured_minor) == ("settled", 20_00)
    assert await bank.balances() == [80_00, 20_00, 0]


async def test_a_hold_is_voided(bank: Bank) -> None:
    """Alice has it all, and the reason is on record."""
    request = held(bank)
    submitted = await bank.start(request)

    taken = await decide(bank.submitter, request.transfer_id, VOID, PATIENCE)
    outcome = await bank.outcome(submitted)

    assert (taken, outcome.status, outcome.reason, outcome.detail) == (True, "refunded", "voided", VOID.reason)
    assert await bank.balances() == [100_00, 0, 0]


async def test_a_hold_expires(bank: Bank) -> None:
    """Nobody decides; the durable timer gives it back, also when another worker has to."""
    outcome = await bank.transfer(held(bank, for_seconds=2))

    assert (outcome.status, outcome.reason) == ("refunded", "expired")
    assert await bank.balances() == [100_00, 0, 0]


@both_databases
async def test_of_twenty_decisions_at_once_one_is_taken(bank: Bank) -> None:
    """Captures of different amounts and voids race; the books have the one that was taken, once."""
    request = held(bank)
    submitted = await bank.start(request)
    decisions = [Decision(captures=100 * n) for n in range(1, 11)] + [Decision(reason=f"void {n}") for n in range(10)]

    taken = await asyncio.gather(
        *(decide(bank.submitter, request.transfer_id, decision, PATIENCE) for decision in decisions)
    )
    outcome = await bank.outcome(submitted)

    ended = {decision.captures for decision, was in zip(decisions, taken, strict=True) if was}
    assert ended == {outcome.captured_minor}
    captured = outcome.captured_minor or 0
    assert await bank.balances() == [100_00 - captured, captured, 0]


async def test_a_cancel_gives_a_hold_back(bank: Bank) -> None:
    """Cancelling is for every kind of transfer: its money is still in transit, so it is not too late."""
    request = held(bank)
    submitted = await bank.start(request)
    await bank.reaches(request, Status.DEBITED)
    await bank.cancel(request)

    outcome = await bank.outcome(submitted)

    assert (outcome.status, outcome.reason) == ("refunded", "cancelled")
    assert not await decide(bank.submitter, request.transfer_id, CAPTURE, PATIENCE)
    assert await bank.balances() == [100_00, 0, 0]


async def test_a_hold_that_was_terminated_is_swept_and_still_waits_for_its_decision(bank: Bank) -> None:
    """The sweep knows from the books that it is a hold, and until when: it is not paid out as a transfer would be."""
    request = held(bank)
    await bank.start(request)
    await bank.reaches(request, Status.DEBITED)
    await bank.terminate(request)

    swept = await bank.sweep()
    between = await bank.balances()
    submitted = await bank.start(request)
    taken = await decide(bank.submitter, request.transfer_id, CAPTURE, PATIENCE)
    outcome = await bank.outcome(submitted)

    assert (swept.restarted, between, taken) == (1, [75_00, 0, 25_00], True)
    assert (outcome.status, outcome.captured_minor) == ("settled", 20_00)
    assert await bank.balances() == [80_00, 20_00, 0]


async def test_a_reset_after_a_capture_tells_the_same_outcome(bank: Bank) -> None:
    """Temporal forgets that it was decided; the books do not, and nothing moves again."""
    request = held(bank)
    submitted = await bank.start(request)
    await decide(bank.submitter, request.transfer_id, CAPTURE, PATIENCE)
    await bank.outcome(submitted)

    outcome = await bank.outcome(await bank.reset(request))

    assert (outcome.status, outcome.captured_minor) == ("settled", 20_00)
    assert await bank.balances() == [80_00, 20_00, 0]


@only_sqlite
async def test_a_hold_after_retention_answers_from_the_books_and_other_terms_are_key_reused(bank: Bank) -> None:
    """The outcome of the hold to its owner; to a plain transfer or another expiry that the id is used."""
    request = held(bank)
    submitted = await bank.start(request)
    await decide(bank.submitter, request.transfer_id, CAPTURE, PATIENCE)
    await bank.outcome(submitted)
    await bank.forget(request)

    again = await bank.transfer(request)
    await bank.forget(request)
    with pytest.raises(KeyReused, match="kind: hold -> transfer"):
        await bank.transfer(bank.request("H1"))
    with pytest.raises(KeyReused, match="expires_at"):
        await bank.transfer(request.model_copy(update={"expires_at": request.expires_at + 1}))

    assert (again.status, again.captured_minor, again.replayed) == ("settled", 20_00, True)
    assert await bank.balances() == [80_00, 20_00, 0]


@only_sqlite
async def test_more_than_is_held_cannot_be_captured_and_the_hold_goes_on(bank: Bank) -> None:
    """The validator refuses it before anything is recorded; a possible decision is then taken."""
    request = held(bank)
    submitted = await bank.start(request)

    with pytest.raises(MalformedRequest):
        await decide(bank.submitter, request.transfer_id, Decision(captures=25_01), PATIENCE)
    await decide(bank.submitter, request.transfer_id, CAPTURE, PATIENCE)

    assert (await bank.outcome(submitted)).captured_minor == 20_00
    assert not await decide(bank.submitter, request.transfer_id, VOID, PATIENCE)
    assert not await decide(bank.submitter, "nobody-knows-this", VOID, PATIENCE)
    assert await bank.balances() == [80_00, 20_00, 0]


@only_sqlite
async def test_a_hold_under_the_id_of_a_plain_transfer_is_told_so(bank: Bank) -> None:
    """As long as Temporal remembers the transfer, and after that by the books."""
    await bank.transfer(bank.request("H1"))

    at_once = await bank.start(held(bank))
    await bank.forget(held(bank))
    with pytest.raises(KeyReused, match="kind: transfer -> hold"):
        await bank.transfer(held(bank))

    assert at_once.differences == ("kind: transfer -> hold",)
    assert await bank.balances() == [75_00, 25_00, 0]
