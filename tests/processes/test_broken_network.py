"""The starter on a network that breaks again and again: a script still gets one JSON object, and nothing beside it."""

import asyncio
from pathlib import Path

from engine.embedded import EmbeddedServer
from tests.processes.conftest import open_accounts
from tests.support.byte_proxy import ByteProxy
from tests.support.databases import only_sqlite
from tests.support.processes import Folder, folder, hear

TRANSFER = ("transfer", "--id", "T1", "--from", "alice", "--to", "bob", "--amount", "25.00", "--timeout", "9", "--json")


@only_sqlite
async def test_what_the_native_client_has_to_say_does_not_get_into_the_json(
    place: Folder, temporal_server: EmbeddedServer, tmp_path: Path
) -> None:
    """
    After a few retries the SDK complains, and by its default to standard output, into the middle of the answer.
    """
    worker = await place.worker()
    await open_accounts(place)
    worker.terminate()
    await worker.wait()
    host, _, port = temporal_server.address.rpartition(":")
    async with (
        ByteProxy.to(host, int(port)) as proxy,
        folder(tmp_path, place.ledger_url, f"{proxy.host}:{proxy.port}") as broken,
    ):
        broken.more |= place.more
        waiting = await broken.start("starter.py", *TRANSFER)
        resetting = asyncio.create_task(_reset_until_it_ends(proxy, waiting))
        said = await hear(waiting)
        await resetting

    assert (said.exit, said.json["status"]) == (5, "unknown")
    assert "retried" in said.errors


async def _reset_until_it_ends(proxy: ByteProxy, process: asyncio.subprocess.Process) -> None:
    await asyncio.sleep(1.5)
    while process.returncode is None:
        proxy.reset_all()
        await asyncio.sleep(0.05)
