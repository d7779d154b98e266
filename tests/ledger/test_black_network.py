"""PostgreSQL behind a network that swallows everything: unknown in bounded time, and the money moves once."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from sqlalchemy import event

from ledger import database
from ledger.book import Ledger
from ledger.database import Bounds
from ledger.errors import OutcomeUnknown
from ledger.operations import debit
from tests.support.byte_proxy import ByteProxy
from tests.support.databases import only_postgresql
from tests.support.examples import a_transfer, balance, balances, open_with, transfers
from tests.support.network import through_a_proxy

pytestmark = only_postgresql

BOUND_SECONDS = 50.0
"""Far above what the bounds add up to here, and far below for ever."""


@pytest.fixture
async def far(new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[ByteProxy, str]]:
    """A network and the URL of a fresh database behind it, whose client gives up after one second, not fifteen."""
    monkeypatch.setattr(database, "WRITING", Bounds(database.WRITING.server_seconds, 1))
    monkeypatch.setattr(database, "_CONNECT_SECONDS", 1)
    async with through_a_proxy(new_database()) as there:
        yield there


async def asked_until_known(ledger: Ledger, transfer_id: str) -> bool:
    """Ask a debit until it is answered; whether the answer was a replay."""
    async with asyncio.timeout(BOUND_SECONDS):
        while True:
            try:
                answer = await ledger.apply(debit(a_transfer(transfer_id)))
            except OutcomeUnknown:
                continue
            assert answer.applied
            return answer.replayed


MOMENTS: dict[str, Callable[[Ledger, ByteProxy], None]] = {
    "before the first statement": lambda _, network: network.blackhole(),
    "at the commit": lambda ledger, network: event.listen(
        ledger.writer.sync_engine, "commit", lambda _: network.blackhole(), once=True
    ),
    "after the commit": lambda ledger, network: event.listen(
        ledger.writer.sync_engine, "commit", lambda _: network.blackhole(requests=False), once=True
    ),
}


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_black_network_in_the_middle_of_an_operation_is_unknown_and_moves_once(
    far: tuple[ByteProxy, str], moment: str
) -> None:
    """The client gives up by its own bound; healed, the same key tells, whether or not the commit had arrived."""
    network, url = far
    async with Ledger.open(url) as ledger:
        await open_with(ledger, alice=100_00, bob=0)
        MOMENTS[moment](ledger, network)

        async with asyncio.timeout(BOUND_SECONDS):
            with pytest.raises(OutcomeUnknown):
                await ledger.apply(debit(a_transfer()))
        assert network.swallowed > 0
        network.heal()

        assert await asked_until_known(ledger, "T1") is (moment == "after the commit")
        assert await balances(ledger, "alice", "transit:USD") == [75_00, 25_00]


async def test_a_black_network_is_bounded_with_the_bounds_of_every_day(new_database: Callable[[], str]) -> None:
    """The same without shorter bounds for the test: what runs is what is tested."""
    async with through_a_proxy(new_database()) as (network, url):
        async with Ledger.open(url) as ledger:
            await open_with(ledger, alice=100_00, bob=0)
            network.blackhole()
            async with asyncio.timeout(BOUND_SECONDS):
                with pytest.raises(OutcomeUnknown):
                    await ledger.apply(debit(a_transfer()))
            network.heal()

            assert await asked_until_known(ledger, "T1") is False


async def test_closing_behind_a_black_network_is_bounded_and_answers_everybody(far: tuple[ByteProxy, str]) -> None:
    """A commit in flight, a queue behind it, and idle connections: all are given up, and nobody waits for ever."""
    network, url = far
    async with asyncio.timeout(BOUND_SECONDS):
        async with Ledger.open(url, batch_limit=5) as ledger:
            await open_with(ledger, alice=100_00, bob=0)
            await asyncio.gather(*(balance(ledger, "alice") for _ in range(4)))
            network.blackhole()
            callers = [asyncio.ensure_future(ledger.apply(debit(t))) for t in transfers(15, 1_00)]
            await asyncio.sleep(0)
        answers = await asyncio.gather(*callers, return_exceptions=True)

    assert {type(answer) for answer in answers} == {OutcomeUnknown}


async def test_what_was_not_come_to_before_closing_is_unknown(
    far: tuple[ByteProxy, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing does not wait for a queue that gets no answers; its callers are told, and ask again elsewhere."""
    network, url = far
    monkeypatch.setattr("ledger.book.CLOSING_SECONDS", 0.1)
    async with asyncio.timeout(BOUND_SECONDS):
        async with Ledger.open(url, batch_limit=1) as ledger:
            await open_with(ledger, alice=100_00, bob=0)
            network.blackhole()
            callers = [asyncio.ensure_future(ledger.apply(debit(t))) for t in transfers(200, 1)]
            await asyncio.sleep(0)
        answers = await asyncio.gather(*callers, return_exceptions=True)

    assert {type(answer) for answer in answers} == {OutcomeUnknown}


async def test_reset_connections_are_unknown_and_replaced(far: tuple[ByteProxy, str]) -> None:
    """All connections of the pool end at once; the next attempts are made on new ones."""
    network, url = far
    async with Ledger.open(url) as ledger:
        await open_with(ledger, alice=100_00, bob=0)
        await asyncio.gather(*(balance(ledger, "alice") for _ in range(4)))
        network.reset_all()

        assert await asked_until_known(ledger, "T1") is False
        assert await balances(ledger, "alice", "transit:USD") == [75_00, 25_00]
    assert network.resets > 0
