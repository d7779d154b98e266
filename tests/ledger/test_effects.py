"""What postings prove, by themselves; and which rows of the books belong to one transfer's story."""

from dataclasses import replace

import pytest

from engine.timeline import merge
from ledger.account import AccountStatus
from ledger.book import Ledger
from ledger.effects import Verdict, effects, judge
from ledger.operation import Posting, SetAccountStatus
from ledger.operations import credit, debit, deposit, refund
from ledger.story import read_story
from ledger.transfer import Status, TransferState
from tests.support.examples import a_transfer, open_with

DEBITED = TransferState(a_transfer(amount_minor=100), Status.DEBITED, 2)
ENDED = replace(DEBITED, status=Status.SETTLED)


def usd(debit_account_id: str, credit_account_id: str, amount_minor: int = 100) -> Posting:
    """A posting in dollars."""
    return Posting(debit_account_id, credit_account_id, amount_minor, "USD")


TAKEN, GIVEN, RETURNED = usd("alice", "transit:USD"), usd("transit:USD", "bob"), usd("transit:USD", "alice")


@pytest.mark.parametrize(
    ("state", "postings", "verdict"),
    [
        pytest.param(None, [], Verdict.NOT_MOVED, id="the books do not know it"),
        pytest.param(ENDED, [], Verdict.NOT_MOVED, id="nothing was posted"),
        pytest.param(DEBITED, [TAKEN], Verdict.IN_TRANSIT, id="taken"),
        pytest.param(ENDED, [TAKEN], Verdict.WRONG, id="ended with money in transit"),
        pytest.param(ENDED, [TAKEN, GIVEN], Verdict.MOVED_ONCE, id="taken and given"),
        pytest.param(ENDED, [TAKEN, RETURNED], Verdict.NOT_MOVED, id="taken and returned"),
        pytest.param(ENDED, [TAKEN, GIVEN, TAKEN, GIVEN], Verdict.WRONG, id="taken and given twice"),
        pytest.param(ENDED, [TAKEN, GIVEN, RETURNED], Verdict.WRONG, id="given and returned"),
        pytest.param(
            ENDED, [TAKEN, usd("transit:USD", "bob", 60), usd("transit:USD", "carol", 40)], Verdict.MOVED_ONCE,
            id="given to two",
        ),
        pytest.param(
            DEBITED, [TAKEN, usd("transit:USD", "bob", 60)], Verdict.IN_TRANSIT, id="given to the first of two"
        ),
        pytest.param(ENDED, [usd("alice", "bob", 99)], Verdict.WRONG, id="less than was asked"),
        pytest.param(ENDED, [replace(TAKEN, currency="EUR"), GIVEN], Verdict.WRONG, id="another currency"),
    ],
)  # fmt: skip  # one case a line
def test_the_postings_alone_prove_whether_the_money_moved(
    state: TransferState | None, postings: list[Posting], verdict: Verdict
) -> None:
    """Whatever the legs are called, and whatever the status says but for having ended."""
    assert judge(state, effects(postings)) is verdict


def test_effects_add_up_to_nothing() -> None:
    """Debits and credits of every account it touched, in the order in which it did."""
    found = effects([TAKEN, GIVEN, RETURNED])

    assert [(it.account_id, it.debits, it.credits, it.net) for it in found] == [
        ("alice", 100, 100, 0),
        ("transit:USD", 200, 100, -100),
        ("bob", 0, 100, 100),
    ]
    assert sum(it.net for it in found) == 0


async def test_a_story_is_told_of_one_transfer_only(ledger: Ledger) -> None:
    """A deposit and an account of the same id have keys that begin in the same way, a longer id nearly so."""
    await open_with(ledger, alice=100_00, bob=0, T1=0)
    await ledger.apply_all([deposit("T1", "bob", 5_00, "USD"), SetAccountStatus("T1", AccountStatus.FROZEN, number=1)])
    others = [a_transfer(id) for id in ("T10", "T1.", "T1:x")]
    await ledger.apply_all([debit(transfer) for transfer in [a_transfer(), *others]])

    story = await read_story(ledger, "T1")

    assert story is not None
    assert [entry.key for entry in story.entries] == ["T1/debit"]
    assert list(story.postings) == [Posting("alice", "transit:USD", 25_00, "USD")]
    assert await read_story(ledger, "T2") is None


async def test_what_was_written_at_one_instant_is_told_in_the_order_of_its_effects(ledger: Ledger) -> None:
    """A debit and its refund in one commit: the life, each entry with its posting and fence, then the outbox."""
    await open_with(ledger, alice=100_00, bob=0)
    await ledger.apply_all([debit(a_transfer()), refund(a_transfer(), "asked"), credit(a_transfer())])

    lines = merge(await read_story(ledger, "T1"), ())

    assert len({line.at for line in lines}) == 1
    assert [line.what for line in lines] == [
        "accepted", "debit applied", "25.00 USD  alice → transit:USD", "accepted → debited",
        "refund applied", "25.00 USD  transit:USD → alice", "credit fenced: it will never apply", "debited → refunded",
        "put in the outbox",
    ]  # fmt: skip  # one entry a line
