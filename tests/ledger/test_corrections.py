"""Corrections: a payout that ended otherwise than its rail says is named until one movement has made it true."""

import pytest

from ledger.account import AccountStatus
from ledger.audit import audit
from ledger.book import Ledger
from ledger.corrections import Contradiction, read_contradiction
from ledger.entries import Reversal
from ledger.operation import Outcome, SetAccountStatus
from ledger.operations import capture, credit, debit, hold, refund
from ledger.payouts import Decision, contradiction, decision, paid, submission
from ledger.transfer import Transfer
from tests.ledger.test_payouts import TERMS, open_books, payout, place
from tests.support.examples import a_transfer, balances

ACCOUNTS = ("alice", "bank:USD", "transit:USD")


async def contradicted(ledger: Ledger, accepted: bool, id: str = "P1") -> None:
    """A payout that was given back, or settled, because somebody decided so, and its rail says otherwise."""
    wrong = payout(id)
    await open_books(ledger)
    await ledger.apply_all([place(id), submission(wrong)])
    await ledger.apply(decision(wrong, Decision("not_paid" if accepted else "paid", "carol", "a letter")))
    await ledger.apply(refund(wrong, "decided_not_paid") if accepted else paid(wrong))
    await ledger.apply(contradiction(wrong, accepted, "pay_1" if accepted else "no_such_payee"))


async def standing(ledger: Ledger, id: str = "P1") -> Contradiction:
    """What the books say about it."""
    state = await ledger.transfer(id)
    assert state is not None
    found = await read_contradiction(ledger, state)
    assert found is not None
    return found


async def named(ledger: Ledger) -> list[str]:
    """What the audit names as contradicted; it finds nothing else."""
    violations = (await audit(ledger)).violations
    assert {found.check for found in violations} <= {"contradictions"}
    return [found.subject for found in violations]


async def carry_out(ledger: Ledger, correction: Transfer | Reversal | None) -> Outcome:
    """What the command submits, without its workflow."""
    if isinstance(correction, Reversal):
        return await ledger.apply(correction.operation())
    assert correction is not None
    taken = await ledger.apply(debit(correction))
    return await ledger.apply(credit(correction)) if taken.applied else taken


async def test_what_was_given_back_and_yet_paid_is_taken_once_more(ledger: Ledger) -> None:
    """By the transfer P1.correction; afterwards the audit is content, and nothing else is asked for."""
    await contradicted(ledger, accepted=True)
    before, complained = await standing(ledger), await named(ledger)

    await carry_out(ledger, before.correction)
    after = await standing(ledger)

    assert before == Contradiction("P1/accepted", "pay_1", False, payout("P1.correction"))
    assert (complained, await named(ledger)) == (["P1"], [])
    assert after == Contradiction("P1/accepted", "pay_1", True, before.correction)
    assert await balances(ledger, *ACCOUNTS) == [75_00, 25_00, 0]


async def test_what_was_settled_and_yet_not_paid_is_given_back_by_what_is_left_of_it(ledger: Ledger) -> None:
    """Five dollars came back before, as a reversal of somebody's own; the correction has the other twenty."""
    await contradicted(ledger, accepted=False)
    await ledger.apply(Reversal("R1", "P1", "bank:USD", "alice", 5_00, "USD").operation())
    before, complained = await standing(ledger), await named(ledger)

    await carry_out(ledger, before.correction)
    after = await standing(ledger)

    assert before.correction == Reversal("P1.correction", "P1", "bank:USD", "alice", 20_00, "USD")
    assert (complained, await named(ledger)) == (["P1"], [])
    assert (after.corrected, after.correction) == (True, before.correction)
    assert await balances(ledger, *ACCOUNTS) == [100_00, 0, 0]


async def test_a_correction_that_was_rejected_is_followed_by_another_one(ledger: Ledger) -> None:
    """Alice is frozen: P1.correction is rejected for ever, and never in the way of P1.correction.2."""
    await contradicted(ledger, accepted=True)
    await ledger.apply(SetAccountStatus("alice", AccountStatus.FROZEN))
    rejected = await carry_out(ledger, (await standing(ledger)).correction)
    complained = await named(ledger)
    await ledger.apply(SetAccountStatus("alice", AccountStatus.OPEN))

    second = (await standing(ledger)).correction
    applied = await carry_out(ledger, second)

    assert (rejected.applied, applied.applied, complained) == (False, True, ["P1"])
    assert second == payout("P1.correction.2")
    assert (await standing(ledger)).correction == second
    assert await named(ledger) == []
    assert await balances(ledger, *ACCOUNTS) == [75_00, 25_00, 0]


async def test_a_reversal_that_was_rejected_is_followed_by_another_one(ledger: Ledger) -> None:
    """The bank's account was closed; opened again, it gives the money back."""
    await contradicted(ledger, accepted=False)
    await ledger.apply(SetAccountStatus("bank:USD", AccountStatus.CLOSED))
    rejected = await carry_out(ledger, (await standing(ledger)).correction)
    await ledger.apply(SetAccountStatus("bank:USD", AccountStatus.OPEN))

    applied = await carry_out(ledger, (await standing(ledger)).correction)

    assert (rejected.applied, applied.applied) == (False, True)
    assert await named(ledger) == []
    assert await balances(ledger, *ACCOUNTS) == [100_00, 0, 0]


async def test_a_correction_that_somebody_made_twice_is_named(ledger: Ledger) -> None:
    """The command never does; two transfers by hand took the money once too often. Others' ids count for nothing."""
    await contradicted(ledger, accepted=True, id="P_1")
    other = a_transfer("P_1.correction", "bob", "alice", 1)
    await carry_out(ledger, other)
    await carry_out(ledger, payout("PX1.correction.2"))
    is_next, complained = (await standing(ledger, "P_1")).correction, await named(ledger)

    await carry_out(ledger, payout("P_1.correction.2"))
    corrected = await named(ledger)
    await carry_out(ledger, payout("P_1.correction.3"))

    assert is_next == payout("P_1.correction.2")
    assert (complained, corrected, await named(ledger)) == (["P_1"], [], ["P_1"])


async def test_what_only_looks_like_a_correction_is_none(ledger: Ledger) -> None:
    """Alice picks the ids: a hold of the same of which a cent is captured, and another payout over the bank."""
    await contradicted(ledger, accepted=True)
    held, paid_out = payout("P1.correction"), payout("P1.correction.2")
    await ledger.apply_all([hold(held, "hold-v1", {"expires_at": 2**50}), capture(held, 1)])
    await ledger.apply_all([hold(paid_out, "payout-v1", TERMS), submission(paid_out), paid(paid_out)])
    before, complained = await standing(ledger), await named(ledger)

    await carry_out(ledger, before.correction)

    assert (before.corrected, before.correction, complained) == (False, payout("P1.correction.3"), ["P1"])
    assert (await standing(ledger)).corrected
    assert await named(ledger) == []
    assert await balances(ledger, *ACCOUNTS) == [49_99, 50_01, 0]


def given_back_by_the_rail(of: str = "P1", by: str = "bank:ret_1", amount_minor: int = 25_00) -> Reversal:
    """What a return is in the books."""
    return Reversal(by, of, "bank:USD", "alice", amount_minor, "USD")


async def test_what_the_rail_has_given_back_is_not_taken_again(ledger: Ledger) -> None:
    """P1 was refunded when its return came, which was rejected: whatever the rail says after that, she owes nothing."""
    await contradicted(ledger, accepted=True)
    await ledger.apply(given_back_by_the_rail(by="R1").operation())  # somebody else's try
    await ledger.apply(given_back_by_the_rail(amount_minor=1, by="bank:ret_0").operation())
    before = await standing(ledger)
    came_back = await ledger.apply(given_back_by_the_rail().operation())

    found = await standing(ledger)

    assert (came_back.code, before.corrected, before.correction) == ("not_settled", False, payout("P1.correction"))
    assert found == Contradiction("P1/accepted", "pay_1", True, None)
    assert await named(ledger) == []
    assert await balances(ledger, *ACCOUNTS) == [100_00, 0, 0]


async def test_a_correction_that_crossed_the_return_is_given_back_itself(ledger: Ledger) -> None:
    """The return was recorded while the money was being taken: the command gives it back, once."""
    await contradicted(ledger, accepted=True)
    correction = (await standing(ledger)).correction
    await ledger.apply(given_back_by_the_rail().operation())
    await carry_out(ledger, correction)
    before, complained = await standing(ledger), await named(ledger)

    await carry_out(ledger, before.correction)
    after = await standing(ledger)

    back = given_back_by_the_rail("P1.correction", "P1.correction.correction")
    assert (before.corrected, before.correction, complained) == (False, back, ["P1"])
    assert (after.corrected, await named(ledger)) == (True, [])
    assert await balances(ledger, *ACCOUNTS) == [100_00, 0, 0]


async def test_a_return_of_the_correction_leaves_nothing_to_correct(ledger: Ledger) -> None:
    """The money was taken again, and then the rail gave it back: not a second time."""
    await contradicted(ledger, accepted=True)
    await carry_out(ledger, (await standing(ledger)).correction)
    await ledger.apply(given_back_by_the_rail("P1.correction").operation())

    assert (await standing(ledger)).corrected
    assert await named(ledger) == []
    assert await balances(ledger, *ACCOUNTS) == [100_00, 0, 0]


@pytest.mark.parametrize(
    ("end", "counts"), [("", True), (".2", True), (".17", True)]
    + [(it, False) for it in (".1", ".02", ".", ".x", ".2x", "s", ".correction")],
)  # fmt: skip  # those that count in one line
async def test_the_audit_and_the_command_have_one_rule_for_ids(ledger: Ledger, end: str, counts: bool) -> None:
    """Made by hand: either both take it for the correction, or neither does."""
    await contradicted(ledger, accepted=True)
    by_hand = payout(f"P1.correction{end}")
    await carry_out(ledger, by_hand)

    found = await standing(ledger)

    assert (found.corrected, found.correction == by_hand) == (counts, counts)
    assert await named(ledger) == ([] if counts else ["P1"])


async def test_without_a_contradiction_there_is_nothing_to_correct(ledger: Ledger) -> None:
    """A payout that ended as its rail says, one that is on its way, and what is no payout."""
    await open_books(ledger)
    settled, under_way, plain = payout("P1"), payout("P2"), a_transfer("T1")
    await ledger.apply_all([place("P1"), submission(settled), paid(settled), place("P2"), submission(under_way)])
    await ledger.apply_all([debit(plain), credit(plain)])

    states = [await ledger.transfer(id) for id in ("P1", "P2", "T1")]

    assert [state and await read_contradiction(ledger, state) for state in states] == [None, None, None]
    assert await named(ledger) == []


async def test_what_other_reversals_gave_back_needs_no_correction(ledger: Ledger) -> None:
    """The rail has returned it meanwhile."""
    await contradicted(ledger, accepted=False)
    await ledger.apply(Reversal("bank:ret_1", "P1", "bank:USD", "alice", 25_00, "USD").operation())

    found = await standing(ledger)

    assert (found.corrected, found.correction) == (True, None)
    assert await named(ledger) == []
