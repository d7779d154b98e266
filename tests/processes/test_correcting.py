"""correct, as an operator meets it: payouts of which the rail says otherwise than the books, in both directions."""

from ledger.book import Ledger
from ledger.operation import OpenAccount
from ledger.operations import deposit, hold, refund
from ledger.payouts import contradiction, paid, submission
from ledger.transfer import Transfer
from tests.support.databases import only_sqlite
from tests.support.examples import open_with
from tests.support.processes import Folder

TERMS = {"rail": "bank", "beneficiary": "acct-1"}


def _payout(id: str, source: str) -> Transfer:
    return Transfer(id, source, "bank:USD", 25_00, "USD")


async def _contradicted(url: str) -> None:
    """P1 was given back to Alice, P2 to Bob, and the rail has paid both; P3 of Alice's was settled, and not paid.

    Bob has spent his money. P4 is as its rail says.
    """
    given_back, spent, settled, right = (
        _payout("P1", "alice"), _payout("P2", "bob"), _payout("P3", "alice"), _payout("P4", "alice")
    )  # fmt: skip  # one line of four
    async with Ledger.open(url) as ledger:
        await open_with(ledger, alice=100_00, bob=25_00, carol=0)
        await ledger.apply(OpenAccount("bank:USD", "USD"))
        for each in (given_back, spent, settled, right):
            await ledger.apply_all([hold(each, "payout-v1", TERMS), submission(each)])
        await ledger.apply_all([refund(given_back, "decided_not_paid"), refund(spent, "decided_not_paid")])
        await ledger.apply_all([paid(settled), paid(right)])
        await ledger.apply_all([contradiction(each, True, "pay_1") for each in (given_back, spent)])
        await ledger.apply(contradiction(settled, False, "no_such_payee"))
        gone = Transfer("T1", "bob", "carol", 20_00, "USD")
        await ledger.apply_all([hold(gone, "hold-v1", {"expires_at": 2**50}), deposit("D2", "carol", 1, "USD")])


@only_sqlite
async def test_an_operator_corrects_what_a_rail_contradicts_once(place: Folder, database_url: str) -> None:
    """
    The audit names three payouts, `correct` makes the one movement of each; without money there is none yet. Nobody can
    make a contradiction go away by saying that the rail has returned the payment.
    """
    await _contradicted(database_url)
    await place.worker()
    complaint = await place.starter("audit", "--json")
    before = await place.starter("explain", "P1", "--json")

    taken, taken_again = [await place.starter("correct", "P1", "--json") for _ in range(2)]
    back, back_again = [await place.starter("correct", "P3", "--json") for _ in range(2)]
    spent, nothing = [await place.starter("correct", id, "--json") for id in ("P2", "P4")]
    plain = await place.starter("correct", "T1", "--json")
    forged = await place.starter("reverse", "--id", "bank:ret_1", "--of", "P2", "--json")
    after, shown = await place.starter("explain", "P1", "--json"), await place.starter("explain", "P2")

    assert (complaint.exit, [found["subject"] for found in complaint.json["violations"]]) == (1, ["P1", "P2", "P3"])
    assert [said.exit for said in (taken, taken_again, back, back_again, spent, nothing, plain, forged)] == [
        0, 0, 0, 0, 3, 3, 2, 2
    ]  # fmt: skip  # one line of eight
    assert [(said.json["transfer_id"], said.json["corrects"]) for said in (taken, taken_again)] == [
        ("P1.correction", "P1")
    ] * 2
    assert [(said.json["id"], said.json["amount_minor"]) for said in (back, back_again)] == [
        ("P3.correction", 25_00)
    ] * 2
    assert (taken_again.json["replayed"], back_again.json["replayed"]) == (True, True)
    assert (spent.json["reason"], nothing.json["reason"]) == ("insufficient_funds", "nothing_contradicted")
    assert [said.json["contradicted"]["corrected_by"] for said in (before, after)] == [None, "P1.correction"]
    assert "starter.py correct P2" in shown.output
    assert await place.balances("alice", "bob", "bank:USD") == [50_00, 5_00, 50_00]

    await place.starter("transfer", "--id", "T2", "--from", "alice", "--to", "bob", "--amount", "20.00")
    at_last = await place.starter("correct", "P2", "--json")

    assert (at_last.exit, at_last.json["transfer_id"]) == (0, "P2.correction.2")
    assert await place.balances("alice", "bob", "bank:USD") == [30_00, 0, 75_00]
    await place.audit()
