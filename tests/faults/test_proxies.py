"""The proxies do what their fates say; and a quick sample of the two parts that are built on them holds."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import asyncpg
import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, GetSystemInfoRequest
from temporalio.client import Client
from temporalio.service import RetryConfig, RPCError, RPCStatusCode

from engine.embedded import EmbeddedServer
from tests.faults import alone
from tests.faults.kinds import Kind
from tests.faults.parts import postgres_boundaries, rpc_fates
from tests.faults.parts.postgres_boundaries.conversations import plain
from tests.faults.proxies import hpack
from tests.faults.proxies.grpc import Call, Fate, GrpcProxy, now_and_then, one_call
from tests.faults.proxies.postgres import Cut, PostgresProxy, Side, at_commit, at_message
from tests.faults.record import Record, read
from tests.faults.run import Run
from tests.support.postgres import Postgres

METHOD = "DescribeNamespace"
ASKED = DescribeNamespaceRequest(namespace="default")
ONCE = RetryConfig(max_retries=0)


@pytest.fixture
async def behind(temporal_server: EmbeddedServer) -> AsyncIterator[tuple[GrpcProxy, GrpcProxy]]:
    """A proxy that the test calls, and one behind it that sees what arrives."""
    async with (
        GrpcProxy.running(temporal_server.address) as arriving,
        GrpcProxy.running(arriving.address) as proxy,
    ):
        yield proxy, arriving


async def _told(proxy: GrpcProxy) -> RPCStatusCode | None:
    """What the first call of METHOD is told: an error's status, or None."""
    client = await Client.connect(proxy.address, retry_config=ONCE)
    try:
        answer = await client.workflow_service.describe_namespace(ASKED)
    except RPCError as error:
        return error.status
    assert answer.namespace_info.name == "default"
    return None


def _arrived(arriving: GrpcProxy) -> int:
    return sum(call.method == METHOD for call in arriving.calls)


@pytest.mark.parametrize(
    ("kind", "late", "told", "arrived"),
    [
        (Kind.GRPC_REQUEST_UNAVAILABLE, False, RPCStatusCode.UNAVAILABLE, 0),
        (Kind.GRPC_REQUEST_DEADLINE, False, RPCStatusCode.DEADLINE_EXCEEDED, 0),
        (Kind.GRPC_RESPONSE_UNAVAILABLE, False, RPCStatusCode.UNAVAILABLE, 1),
        (Kind.GRPC_RESPONSE_DEADLINE, False, RPCStatusCode.DEADLINE_EXCEEDED, 1),
        (Kind.GRPC_DUPLICATED, False, None, 2),
        (Kind.GRPC_DUPLICATED, True, None, 2),
    ],
)
async def test_each_fate_does_what_it_says(
    behind: tuple[GrpcProxy, GrpcProxy], kind: Kind, late: bool, told: RPCStatusCode | None, arrived: int
) -> None:
    """What the caller is told, and how often the server was really asked, are two different things."""
    proxy, arriving = behind
    proxy.plan = one_call(METHOD, 1, Fate(kind, late))

    assert await _told(proxy) == told
    assert _arrived(arriving) == arrived
    assert [call.fate for call in proxy.fired] == [Fate(kind, late)]


async def test_a_delayed_call_arrives_after_its_caller_was_told_that_its_time_is_over(
    behind: tuple[GrpcProxy, GrpcProxy],
) -> None:
    """The request of a caller who has given up is still on its way."""
    proxy, arriving = behind
    proxy.plan = one_call(METHOD, 1, Fate(Kind.GRPC_DELAYED))

    assert await _told(proxy) == RPCStatusCode.DEADLINE_EXCEEDED
    assert _arrived(arriving) == 0
    async with asyncio.timeout(30):
        while _arrived(arriving) == 0:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("late", [False, True])
async def test_a_reset_cuts_the_connection_and_the_next_call_makes_another(
    behind: tuple[GrpcProxy, GrpcProxy], late: bool
) -> None:
    """Before the call was forwarded, or after it was carried out: the caller cannot tell which."""
    proxy, arriving = behind
    proxy.plan = one_call(METHOD, 1, Fate(Kind.GRPC_RESET, late))

    assert await _told(proxy) is not None
    assert _arrived(arriving) == int(late)
    assert await _told(proxy) is None


async def test_an_error_of_the_server_passes_through_with_its_details(behind: tuple[GrpcProxy, GrpcProxy]) -> None:
    """A proxy that changed an answer would show faults that are its own."""
    proxy, _ = behind
    client = await Client.connect(proxy.address, retry_config=ONCE)

    with pytest.raises(RPCError, match="nowhere") as raised:
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="nowhere"))

    assert raised.value.status == RPCStatusCode.NOT_FOUND
    assert raised.value.grpc_status.details


async def test_the_fault_is_told_before_it_acts(behind: tuple[GrpcProxy, GrpcProxy]) -> None:
    """A fault that killed the test itself would otherwise leave no trace."""
    proxy, arriving = behind
    noted: list[tuple[Call, int]] = []
    proxy.before = lambda call: noted.append((call, _arrived(arriving)))
    proxy.plan = one_call(METHOD, 1, Fate(Kind.GRPC_DUPLICATED))

    await _told(proxy)

    assert [(str(call), arrived) for call, arrived in noted] == [(f"{METHOD}#1: duplicated", 0)]


async def test_a_hundred_calls_at_once_over_one_connection_are_all_answered(
    behind: tuple[GrpcProxy, GrpcProxy],
) -> None:
    """The storm has hundreds of calls in flight."""
    proxy, arriving = behind
    client = await Client.connect(proxy.address)

    await asyncio.gather(*(client.workflow_service.get_system_info(GetSystemInfoRequest()) for _ in range(100)))

    assert sum(call.method == "GetSystemInfo" for call in arriving.calls) == 101


def test_a_seeded_plan_is_the_same_every_time_and_hits_about_as_often_as_it_is_told() -> None:
    """The order in which calls come does not change what befalls them."""
    plan, same = now_and_then(7, 0.1), now_and_then(7, 0.1)
    fates = [plan("Poll", nth) for nth in range(2000)]

    assert fates == [same("Poll", nth) for nth in reversed(range(2000))][::-1]
    assert 100 < sum(fate is not None for fate in fates) < 300


def test_headers_are_read_as_the_standard_writes_them() -> None:
    """The examples of RFC 7541, C.4 and C.5: Huffman's code, and a table that grows and is evicted from."""
    decoder = hpack.Decoder()
    first = decoder.decode(bytes.fromhex("828684418cf1e3c2e5f23a6ba0ab90f4ff"))
    second = decoder.decode(bytes.fromhex("828684be5886a8eb10649cbf"))

    assert first[-1] == (":authority", "www.example.com")
    assert second[-2:] == [(":authority", "www.example.com"), ("cache-control", "no-cache")]
    assert hpack.Decoder().decode(hpack.encode([(":path", "/x"), ("long", "y" * 300)]))[1] == ("long", "y" * 300)


# --- PostgreSQL -----------------------------------------------------------------------------------------------


async def _insert(url: str) -> None:
    connection = await asyncpg.connect(plain(url), timeout=10)
    try:
        async with connection.transaction():
            await connection.execute("INSERT INTO seen VALUES ($1)", 1)
    finally:
        connection.terminate()


@pytest.mark.parametrize(("cut", "rows"), [(Cut.BEFORE, 0), (Cut.UNANSWERED, 1)])
async def test_a_commit_is_cut_before_it_or_after_it_was_carried_out(postgres: Postgres, cut: Cut, rows: int) -> None:
    """The client sees the same in both cases, and only one of them has changed the database."""
    url = postgres.create_empty()
    direct = await asyncpg.connect(plain(url))
    await direct.execute("CREATE TABLE seen (id int)")
    async with PostgresProxy.running(url) as proxy:
        proxy.plan = at_commit(1, cut)
        with pytest.raises((asyncpg.PostgresConnectionError, OSError)):
            await _insert(proxy.url)
        assert [seen.text for seen in proxy.fired] == ["COMMIT;"]

        assert await direct.fetchval("SELECT count(*) FROM seen") == rows
        await _insert(proxy.url)
    await direct.close()


async def test_a_conversation_is_cut_at_every_message_until_there_is_no_nth(postgres: Postgres) -> None:
    """N = 1, 2, 3 ... reaches the end, and what was not cut is not harmed."""
    url = postgres.create_empty()
    async with PostgresProxy.running(url) as proxy:
        for side in Side:
            nth = 0
            while not nth or proxy.fired:
                nth += 1
                proxy.count_anew(at_message(side, nth, Cut.BEFORE))
                try:
                    await (await asyncpg.connect(plain(proxy.url), timeout=10)).close()
                except (asyncpg.PostgresConnectionError, OSError):
                    assert proxy.fired
            assert nth > 2


# --- the parts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("part", "database"), [(rpc_fates, "sqlite"), (postgres_boundaries, "postgresql")])
async def test_a_quick_sample_of_the_part_holds(part: ModuleType, database: str, tmp_path: Path) -> None:
    """The same code as in `make faults`, on a few cases."""
    file = tmp_path / f"part-{database}.jsonl"
    record = Record(file)
    with alone.databases(database, tmp_path) as new_database:
        await part.run(Run(record, tmp_path, database, new_database, seed=7, quick=True))
    record.close()

    lines = read([file])
    assert [line for line in lines if line["type"] == "case" and line["problems"]] == []
    assert sum(line["type"] == "fault" for line in lines) >= 6
