"""The proxy of bytes does what it is told to: a fault that does not happen proves nothing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest

from tests.support.byte_proxy import ByteProxy

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Streams]]


@pytest.fixture
async def heard() -> bytearray:
    """What the server has heard."""
    return bytearray()


@pytest.fixture
async def proxy(heard: bytearray) -> AsyncIterator[ByteProxy]:
    """A proxy before a server that says back what it hears."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1024):
                heard.extend(data)
                writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server:
        async with ByteProxy.to("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
            yield proxy


@pytest.fixture
async def connect(proxy: ByteProxy) -> AsyncIterator[Connect]:
    """A function that makes a connection through the proxy. All are closed with the test."""
    made: list[Streams] = []

    async def connect() -> Streams:
        made.append(await asyncio.open_connection(proxy.host, proxy.port))
        return made[-1]

    yield connect
    for _, writer in made:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def says(streams: Streams, data: bytes) -> bytes:
    """Say something and hear as much again."""
    streams[1].write(data)
    return await streams[0].readexactly(len(data))


async def is_silent(streams: Streams, data: bytes) -> bool:
    """Whether nothing comes back, not even an end, in a while."""
    streams[1].write(data)
    try:
        await asyncio.wait_for(streams[0].read(1), 0.3)
    except TimeoutError:
        return True
    return False


async def test_bytes_pass_both_ways_to_the_end(connect: Connect) -> None:
    """More than fits into any buffer, and the end of the stream is passed on."""
    reader, writer = await connect()
    writer.write(b"x" * 3_000_000)
    writer.write_eof()

    assert await reader.read() == b"x" * 3_000_000


async def test_a_black_network_swallows_and_a_stream_with_a_hole_stays_black(
    proxy: ByteProxy, connect: Connect
) -> None:
    """Idle connections survive, new ones are made; the one that lost bytes never passes any again."""
    idle, lossy = await connect(), await connect()
    assert [await says(idle, b"1"), await says(lossy, b"2")] == [b"1", b"2"]

    proxy.blackhole()
    unheard = await connect()
    silent = [await is_silent(lossy, b"lost"), await is_silent(unheard, b"lost")]
    proxy.heal()

    assert silent == [True, True]
    assert await is_silent(lossy, b"more")
    assert [await says(idle, b"3"), await says(await connect(), b"4")] == [b"3", b"4"]
    assert proxy.swallowed == 12


async def test_a_network_may_be_black_in_one_direction(proxy: ByteProxy, connect: Connect, heard: bytearray) -> None:
    """The server hears and acts, and its answer is lost: the hardest case for money."""
    streams = await connect()
    proxy.blackhole(requests=False)

    assert await is_silent(streams, b"commit")
    assert bytes(heard) == b"commit"


async def test_a_reset_ends_all_connections_at_once(proxy: ByteProxy, connect: Connect) -> None:
    """Not an orderly end: an error, as after a crash of the network's other side."""
    streams = [await connect(), await connect()]
    for each in streams:
        await says(each, b"1")

    proxy.reset_all()

    for reader, _ in streams:
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
    assert proxy.resets == 2
    assert await says(await connect(), b"2") == b"2"


async def test_latency_and_bandwidth_take_their_time_and_lose_nothing(proxy: ByteProxy, connect: Connect) -> None:
    """Latency is paid once for what is sent together, each way; slow bytes trickle."""
    streams, now = await connect(), asyncio.get_running_loop().time
    proxy.latency_seconds = 0.1
    begun = now()
    assert await says(streams, b"x" * 500_000) == b"x" * 500_000
    late = now()
    proxy.latency_seconds, proxy.bytes_per_second = 0.0, 10_000
    assert await says(streams, b"y" * 2_000) == b"y" * 2_000

    assert late - begun >= 0.2
    assert now() - late >= 0.2
