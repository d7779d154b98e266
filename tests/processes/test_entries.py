"""split, exchange, reverse and set-balance as scripts meet them: exit status, one JSON object, and balances."""

from tests.support.databases import only_sqlite
from tests.support.processes import Folder

PAY = ("transfer", "--id", "T1", "--from", "alice", "--to", "bob", "--amount", "25.00")
SPLIT = ("split", "--id", "S1", "--from", "alice", "--amount", "10.00", "--to", "bob=rest", "--json")


@only_sqlite
async def test_a_split_is_paid_once_and_the_same_command_again_is_told_the_same(running: Folder) -> None:
    """
    0 both times; 4 with other shares; 2 for shares that do not come to the whole.
    """
    await running.starter("open-account", "fees", "--currency", "USD")
    first = await running.starter(*SPLIT, "--to", "fees=2.5%")
    again = await running.starter(*SPLIT, "--to", "fees=2.5%")
    other = await running.starter(*SPLIT, "--to", "fees=3%")
    wrong = await running.starter(*SPLIT[:-3], "--to", "bob=50%", "--json")

    assert [said.exit for said in (first, again, other, wrong)] == [0, 0, 4, 2]
    assert (first.json["status"], first.json["shares"]) == ("settled", "bob/975 fees/25")
    assert again.json == first.json | {"replayed": True}
    assert other.json["detail"] == "shares: bob/975 fees/25 -> bob/970 fees/30"
    assert await running.balances("alice", "bob", "fees") == [90_00, 9_75, 25]
    assert (await running.starter("status", "S1", "--json")).json == again.json
    late = await running.starter("cancel", "S1", "--json")
    assert (late.exit, late.json["cancel"], late.json["status"]) == (0, "too_late", "settled")
    told = await running.starter("explain", "S1", "--json")
    assert (told.exit, told.json["kind"], told.json["verdict"]) == (0, "split", "moved_once")
    assert {line["source"] for line in told.json["timeline"]} == {"temporal", "ledger", "notify"}


@only_sqlite
async def test_a_transfer_is_reversed_in_parts_but_never_beyond_what_it_was(running: Folder) -> None:
    """
    Without an amount it is all of it, which is too much when a part has come back already: 3, and why.
    """
    await running.starter(*PAY)
    part = await running.starter("reverse", "--id", "R1", "--of", "T1", "--amount", "5.00", "--json")
    all_of_it = await running.starter("reverse", "--id", "R2", "--of", "T1", "--json")
    unknown = await running.starter("reverse", "--id", "R3", "--of", "T9", "--json")
    too_much = await running.starter("reverse", "--id", "R4", "--of", "T1", "--amount", "25.01", "--json")

    assert [said.exit for said in (part, all_of_it, unknown, too_much)] == [0, 3, 3, 2]
    assert (all_of_it.json["reason"], unknown.json["reason"]) == ("exceeds_original", "transfer_not_found")
    assert await running.balances("alice", "bob") == [80_00, 20_00]


@only_sqlite
async def test_a_split_is_reversed_in_parts_under_ids_of_their_own(running: Folder) -> None:
    """
    The amount is what comes back to who paid; 2 for an id that names a transfer as well, until it is said which.
    """
    await running.starter("open-account", "fees", "--currency", "USD")
    await running.starter(*SPLIT, "--to", "fees=2.5%")
    part = await running.starter("reverse", "--id", "R1", "--of", "S1", "--amount", "4.00", "--json")
    again = await running.starter("reverse", "--id", "R1", "--of", "S1", "--amount", "4.00", "--json")
    await running.starter("transfer", "--id", "S1", "--from", "alice", "--to", "bob", "--amount", "1.00")
    which = await running.starter("reverse", "--id", "R2", "--of", "S1", "--json")
    of_a_reversal = await running.starter("reverse", "--id", "R2", "--of", "R1", "--json")
    too_much = await running.starter("reverse", "--id", "R2", "--of", "S1", "--kind", "split", "--json")

    assert [said.exit for said in (part, again, which, of_a_reversal, too_much)] == [0, 0, 2, 3, 3]
    assert (part.json["reverses"], again.json["replayed"]) == ("S1/split", True)
    assert too_much.json["reason"] == "exceeds_original"
    assert await running.balances("alice", "bob", "fees") == [93_00, 6_85, 15]


@only_sqlite
async def test_an_account_is_brought_to_a_balance_and_stays_there(running: Folder) -> None:
    """
    A second command under another id finds nothing to move; 0 is a balance, too.
    """
    for id in ("B1", "B2"):
        said = await running.starter("set-balance", "alice", "--id", id, "--to", "60", "--with", "bob", "--json")
        assert (said.exit, said.json["status"]) == (0, "settled")
        assert await running.balances("alice", "bob") == [60_00, 40_00]

    await running.starter("set-balance", "alice", "--id", "B3", "--to", "0", "--with", "bob")

    assert await running.balances("alice", "bob") == [0, 100_00]


@only_sqlite
async def test_dollars_are_sold_for_euros_at_the_rate_of_a_quote(running: Folder) -> None:
    """
    Through the desk's accounts; a quote that is over is a rejection, an instant without a zone is malformed.
    """
    for id, currency, *money in (
        ("yves", "EUR"),
        ("fx:USD", "USD"),
        ("fx:EUR", "EUR", "--deposit", "50", "--deposit-id", "D9"),
        ("fx-spread:EUR", "EUR"),
    ):
        assert (await running.starter("open-account", id, "--currency", currency, *money)).exit == 0
    sell = ("exchange", "--from", "alice", "--to", "yves", "--amount", "10.00", "--currency", "USD", "--into", "EUR")
    offer = ("--quote", "Q1", "--rate", "0.9215", "--middle-rate", "0.93", "--json")

    sold = await running.starter(*sell, *offer, "--id", "X1", "--expires", "2999-01-01T00:00:00Z")
    late = await running.starter(*sell, *offer, "--id", "X2", "--expires", "2020-01-01T00:00:00+01:00")
    wrong = await running.starter(*sell, *offer, "--id", "X3", "--expires", "2999-01-01T00:00:00")

    assert [said.exit for said in (sold, late, wrong)] == [0, 3, 2]
    assert late.json["reason"] == "quote_expired"
    assert await running.balances("alice", "yves", "fx:USD", "fx:EUR", "fx-spread:EUR") == [
        90_00,
        9_21,
        10_00,
        40_70,
        9,
    ]
