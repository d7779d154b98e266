"""What `Ledger.apply` promises, on both databases: once per key, whoever asks at the same time, whatever breaks."""

from collections import Counter
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError

from ledger.account import AccountStatus
from ledger.book import Ledger
from ledger.errors import MalformedRequest, OutOfOrder
from ledger.operation import MarkDelivered, OpenAccount, Outcome, SetAccountStatus
from ledger.operations import credit, debit, deposit, refund
from ledger.reader import Reader
from ledger.rejections import Code
from ledger.transfer import Status
from tests.support.examples import a_transfer, balance, balances, open_with, status, transfers
from tests.support.invariants import check_books


class Commits:
    """Counts the commits of an engine."""

    def __init__(self, engine: Engine) -> None:
        self.count = 0
        event.listen(engine, "commit", self._counted)

    def _counted(self, _connection: object) -> None:
        self.count += 1


def kinds(outcomes: list[Outcome]) -> Counter[tuple[str, bool]]:
    """How many outcomes of each kind, first told or told again."""
    return Counter((outcome.code or outcome.kind.value, outcome.replayed) for outcome in outcomes)


# --- many at once ---------------------------------------------------------------------------------------------


async def test_five_concurrent_debits_of_ten_leave_fifty(ledger: Ledger) -> None:
    """The lost update that every naive balance has: here five debits of 10 on 100 leave 50."""
    await open_with(ledger, alice=100_00, bob=0)

    outcomes = await ledger.apply_all([debit(transfer) for transfer in transfers(5)])

    assert all(outcome.applied for outcome in outcomes)
    assert await balances(ledger, "alice", "transit:USD") == [50_00, 50_00]


async def test_concurrent_debits_stop_at_zero(ledger: Ledger) -> None:
    """Of thirty debits of 10 on 100, ten apply and twenty are told why not."""
    await open_with(ledger, alice=100_00, bob=0)

    outcomes = await ledger.apply_all([debit(transfer) for transfer in transfers(30)])

    assert kinds(outcomes) == {("applied", False): 10, ("insufficient_funds", False): 20}
    assert await balances(ledger, "alice", "transit:USD") == [0, 100_00]


async def test_fifty_concurrent_debits_under_one_key_move_the_money_once(ledger: Ledger) -> None:
    """One is applied, 49 are told the same again."""
    await open_with(ledger, alice=100_00, bob=0)

    outcomes = await ledger.apply_all([debit(a_transfer(amount_minor=10_00))] * 50)

    assert kinds(outcomes) == {("applied", False): 1, ("applied", True): 49}
    assert await balances(ledger, "alice", "transit:USD") == [90_00, 10_00]


async def test_a_storm_in_both_directions_conserves_the_money(ledger: Ledger) -> None:
    """Alice pays Bob while Bob pays Alice, a hundred times each, every leg asked twice."""
    await open_with(ledger, alice=100_00, bob=100_00)
    storm = transfers(100, 3_00) + transfers(100, 2_00, source="bob", destination="alice")

    debited = await ledger.apply_all([debit(transfer) for transfer in storm for _ in range(2)])
    on_the_way = [transfer for transfer, outcome in zip(storm, debited[::2], strict=True) if outcome.applied]
    credited = await ledger.apply_all([credit(transfer) for transfer in on_the_way for _ in range(2)])

    assert kinds(credited) == {("applied", False): len(on_the_way), ("applied", True): len(on_the_way)}
    assert sum(await balances(ledger, "alice", "bob")) == 200_00
    assert await balance(ledger, "transit:USD") == 0


async def test_fifty_first_touches_of_a_currency_open_it_once(ledger: Ledger) -> None:
    """The currency's own accounts do not exist yet when fifty accounts are opened and paid into at once."""
    names = [f"account-{n}" for n in range(50)]

    await ledger.apply_all([OpenAccount(name, "CHF") for name in names])
    outcomes = await ledger.apply_all([deposit(f"D-{name}", name, 1_00, "CHF") for name in names])

    assert kinds(outcomes) == {("applied", False): 50}
    assert await balances(ledger, "cash:CHF", "transit:CHF") == [50_00, 0]


async def test_many_operations_meet_in_one_commit(ledger: Ledger) -> None:
    """What is asked at the same time is committed together: that is what makes durability cheap."""
    await open_with(ledger, alice=1_000_00, bob=0)
    commits = Commits(ledger.writer.sync_engine)

    await ledger.apply_all([debit(transfer) for transfer in transfers(100)])

    assert commits.count == 1


async def test_a_lone_operation_waits_for_nobody(ledger: Ledger) -> None:
    """Asked one after the other, each is a commit of its own."""
    await open_with(ledger, alice=100_00, bob=0)
    commits = Commits(ledger.writer.sync_engine)

    for transfer in transfers(3):
        await ledger.apply(debit(transfer))

    assert commits.count == 3


async def test_a_commit_takes_no_more_than_its_limit(database_url: str) -> None:
    """Ninety-five at once with a limit of ten are ten commits."""
    async with Ledger.open(database_url, batch_limit=10) as ledger:
        await open_with(ledger, alice=1_000_00, bob=0)
        commits = Commits(ledger.writer.sync_engine)

        outcomes = await ledger.apply_all([debit(transfer) for transfer in transfers(95)])

        assert kinds(outcomes) == {("applied", False): 95}
        assert commits.count == 10
        await check_books(ledger.engine)


async def test_neighbours_of_every_kind_get_their_own_answers(ledger: Ledger) -> None:
    """In one batch: applied, rejected, fenced, reused and told again, each to its own caller, in order."""
    await open_with(ledger, alice=100_00, bob=0)
    refunded = a_transfer("T1")
    await ledger.apply_all([debit(refunded), refund(refunded, "asked")])

    outcomes = await ledger.apply_all(
        [
            debit(a_transfer("T2")),
            debit(a_transfer("T3", amount_minor=900_00)),
            credit(refunded),
            debit(a_transfer("T1", amount_minor=1)),
            debit(refunded),
        ]
    )

    assert [outcome.kind for outcome in outcomes] == ["applied", "rejected", "fenced", "key_reused", "applied"]
    assert [outcome.replayed for outcome in outcomes] == [False, False, True, False, True]


async def test_an_accident_is_raised_to_its_own_caller_only(ledger: Ledger) -> None:
    """A credit out of order raises; the debit beside it is in the books."""
    await open_with(ledger, alice=100_00, bob=0)

    with pytest.raises(OutOfOrder, match="the books know no transfer 'T2'"):
        await ledger.apply_all([debit(a_transfer("T1")), credit(a_transfer("T2"))])

    assert await status(ledger, "T1") is Status.DEBITED
    assert await status(ledger, "T2") is None


# --- what is kept ---------------------------------------------------------------------------------------------


async def test_a_restart_keeps_everything(database_url: str) -> None:
    """Closed and opened again, the books have the same balances, and every key gives its recorded answer."""
    settled, rejected = a_transfer("T1"), a_transfer("T2", amount_minor=900_00)
    async with Ledger.open(database_url) as ledger:
        await open_with(ledger, alice=100_00, bob=0)
        await ledger.apply_all([debit(settled), credit(settled), debit(rejected)])
        before = await check_books(ledger.engine)

    async with Ledger.open(database_url) as ledger:
        assert await check_books(ledger.engine) == before
        outcomes = await ledger.apply_all([debit(settled), credit(settled), debit(rejected), refund(settled, "late")])

    assert [outcome.replayed for outcome in outcomes] == [True, True, True, False]
    assert [outcome.code for outcome in outcomes] == [None, None, Code.INSUFFICIENT_FUNDS, Code.ALREADY_CREDITED]


async def test_a_recorded_rejection_is_told_in_the_same_words(ledger: Ledger) -> None:
    """What comes back from the database is what was said the first time."""
    await open_with(ledger, alice=1_00, bob=0)
    first = await ledger.apply(debit(a_transfer()))
    await ledger.apply(deposit("D2", "alice", 100_00, "USD"))

    again = await ledger.apply(debit(a_transfer()))

    assert (again.kind, again.code, again.detail) == (first.kind, first.code, first.detail)
    assert again.state == first.state


async def test_a_statement_adds_up(ledger: Ledger) -> None:
    """Every line's change leads from the balance before it to its own, and the last is the account's."""
    await open_with(ledger, alice=100_00, bob=0)
    for transfer in transfers(4):
        await ledger.apply_all([debit(transfer), credit(transfer)])
    returned = a_transfer("T-back", "bob", "alice", 7_00)
    await ledger.apply_all([debit(returned), refund(returned, "asked")])

    for account_id, changes in (("alice", [100_00] + [-10_00] * 4), ("bob", [10_00] * 4 + [-7_00, 7_00])):
        statement = await ledger.statement(account_id)
        assert statement is not None
        account, lines = statement.account, statement.lines
        assert [line.change for line in lines] == changes
        assert [line.balance_after for line in lines] == [sum(changes[: n + 1]) for n in range(len(changes))]
        assert account.balance == sum(changes)
        assert [line.sequence for line in lines] == sorted(line.sequence for line in lines)


async def test_a_statement_of_an_asset_account_has_its_own_side(ledger: Ledger) -> None:
    """Deposits are debited to cash, and cash grows by them."""
    await open_with(ledger, alice=100_00)

    statement = await ledger.statement("cash:USD")

    assert statement is not None
    assert [(line.change, line.other_account_id) for line in statement.lines] == [(100_00, "alice")]


async def test_nobodys_statement_is_none(ledger: Ledger) -> None:
    """An account that does not exist has no statement, which is not an empty one."""
    await open_with(ledger, alice=0)

    assert await ledger.statement("nobody") is None
    statement = await ledger.statement("alice")
    assert statement is not None
    assert statement.lines == []


async def test_a_reader_reads_and_cannot_write(ledger: Ledger, database_url: str) -> None:
    """The starter's books are read-only by the database's own enforcement, while the worker writes."""
    await open_with(ledger, alice=100_00)

    async with Reader.open_read_only(database_url) as reader:
        assert await balance(reader, "alice") == 100_00
        for statement in (
            "UPDATE accounts SET version = version + 1",
            "INSERT INTO operations VALUES ('x/debit', '{}', 'v1', 'applied', NULL, NULL, NULL, 1)",
            "CREATE TABLE mine (id TEXT)",
        ):
            with pytest.raises(DBAPIError, match=r"readonly|read-only"):
                async with reader.engine.begin() as connection:
                    await connection.exec_driver_sql(statement)
        await ledger.apply(deposit("D2", "alice", 1_00, "USD"))
        assert await balance(reader, "alice") == 101_00


async def test_a_notification_is_delivered_once(ledger: Ledger) -> None:
    """It waits in the outbox from its commit on, and keeps the time of its first delivery."""
    await open_with(ledger, alice=100_00, bob=0)
    transfer = a_transfer()
    assert await ledger.notification("T1/notify/settled") is None
    await ledger.apply_all([debit(transfer), credit(transfer)])
    waiting = await ledger.notification("T1/notify/settled")
    assert waiting is not None
    assert waiting.delivered_at is None

    await ledger.apply(MarkDelivered(("T1/notify/settled",)))
    first = await ledger.notification("T1/notify/settled")
    await ledger.apply_all([MarkDelivered(("T1/notify/settled",)), MarkDelivered(("T1/notify/settled",))])

    assert first is not None
    assert first.delivered_at is not None
    assert await ledger.notification("T1/notify/settled") == first


async def test_settings_and_operations_share_a_batch(ledger: Ledger) -> None:
    """An account is opened, paid into, frozen and refused within one commit, in that order."""
    outcomes = await ledger.apply_all(
        [
            OpenAccount("alice", "USD"),
            deposit("D1", "alice", 5_00, "USD"),
            SetAccountStatus("alice", AccountStatus.FROZEN),
            deposit("D2", "alice", 5_00, "USD"),
        ]
    )

    assert [outcome.code for outcome in outcomes] == [None, None, None, Code.ACCOUNT_FROZEN]
    account = await ledger.account("alice")
    assert account is not None
    assert (account.status, account.balance) == (AccountStatus.FROZEN, 5_00)


@pytest.mark.parametrize("url", ["mysql://localhost/books", "sqlite://", "sqlite:///:memory:", "books.db", ""])
async def test_books_are_kept_in_a_file_or_in_postgresql(url: str) -> None:
    """Any other place is refused before anything starts."""
    with pytest.raises(MalformedRequest, match="LEDGER_DATABASE_URL"):
        async with Ledger.open(url):
            pass


async def test_the_books_of_two_databases_are_apart(new_database: Callable[[], str]) -> None:
    """A key used in one is free in the other."""
    async with Ledger.open(new_database()) as one, Ledger.open(new_database()) as other:
        for ledger in (one, other):
            await open_with(ledger, alice=100_00, bob=0)
            outcome = await ledger.apply(debit(a_transfer()))
            assert (outcome.applied, outcome.replayed) == (True, False)
