"""The embedded server: a worker that brings its own Temporal, moves out of the way, mends it, and takes it along."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest

from engine.embedded import free_port
from tests.processes.conftest import open_accounts
from tests.support.processes import PATIENCE, Folder, Process, Said, folder


@pytest.fixture
async def laptop(tmp_path: Path) -> AsyncIterator[Folder]:
    """A folder whose processes know of no Temporal. The data folder is inside, and does not exist yet."""
    data = tmp_path / "data"
    async with folder(tmp_path, f"sqlite:///{data}/ledger.db", None, forked=True) as laptop:
        laptop.more["DURABLE_TRANSFERS_DATA"] = str(data)
        yield laptop


async def embedded(laptop: Folder, anew: bool = False) -> Process:
    """Start a worker with a server of its own, on free ports; `anew`, in a Python of its own."""
    port, more = free_port(0), ("--embedded", "--port")
    return await laptop.worker(*more, str(port), "--ui-port", str(free_port(0, avoid=port)), anew=anew)


def note(laptop: Folder) -> Path:
    """The file in which the server's address stands as long as there is one."""
    return laptop.path / "data" / "temporal.address"


def address(laptop: Folder) -> tuple[str, str]:
    """Where the server and its Web UI say that they are."""
    said = json.loads(note(laptop).read_text())
    return said["grpc"], said["ui"]


def server_of(worker: Process) -> psutil.Process:
    """The Temporal server that is the worker's child."""
    [server] = psutil.Process(worker.pid).children(recursive=True)
    return server


def gone(process: psutil.Process) -> bool:
    """Whether a process has ended, be it that nobody has asked for its status yet."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def is_gone(process: psutil.Process) -> None:
    """Wait until a process has ended."""
    async with asyncio.timeout(PATIENCE):
        while not gone(process):
            await asyncio.sleep(0.02)


async def pay(laptop: Folder, id: str) -> Said:
    """Transfer 25.00 USD from Alice to Bob; run the command again as long as it says to (exit 5)."""
    command = ("transfer", "--id", id, "--from", "alice", "--to", "bob", "--amount", "25.00", "--json")
    async with asyncio.timeout(PATIENCE):
        while (said := await laptop.starter(*command)).exit == 5:
            await asyncio.sleep(0.1)
    return said


async def test_the_starter_finds_the_embedded_server_and_its_web_ui(laptop: Folder) -> None:
    """
    No TEMPORAL_ADDRESS, and neither program in the project's folder: the note in the data folder is enough.
    """
    await embedded(laptop, anew=True)
    await open_accounts(laptop)

    said = await pay(laptop, "T1")

    assert (said.exit, said.json["status"]) == (0, "settled")
    assert said.json["ui_url"].startswith(address(laptop)[1])
    async with httpx.AsyncClient(trust_env=False, follow_redirects=True) as browser:
        page = await browser.get(said.json["ui_url"])
    assert (page.status_code, "<html" in page.text) == (200, True)
    assert await laptop.balances("alice", "bob") == [75_00, 25_00]


async def test_ports_that_are_taken_are_left_to_their_owner(laptop: Folder) -> None:
    """
    The server and the Web UI move to the next free ports, the log says so, and the starter follows.
    """
    with socket.socket() as first, socket.socket() as second:
        for owner in (first, second):
            owner.bind(("127.0.0.1", 0))
            owner.listen()
        port, ui_port = first.getsockname()[1], second.getsockname()[1]
        await laptop.worker("--embedded", "--port", str(port), "--ui-port", str(ui_port))
        await open_accounts(laptop)

        said = await pay(laptop, "T1")

        assert said.json["status"] == "settled"
        grpc, ui = address(laptop)
        assert grpc != f"127.0.0.1:{port}"
        assert ui != f"http://127.0.0.1:{ui_port}"
        log = (laptop.path / "worker-0.log").read_text()
        assert f"Temporal at {grpc}, Web UI at {ui} (the usual ports are taken)" in log


async def test_a_killed_server_is_started_again_and_remembers(laptop: Folder) -> None:
    """
    SIGKILL, as a power cut: the same ports and the same file; the worker goes on, and what was settled is replayed.
    """
    worker = await embedded(laptop)
    await open_accounts(laptop)
    before, killed = address(laptop), server_of(worker)
    assert (await pay(laptop, "T1")).json["replayed"] is False

    killed.kill()
    await is_gone(killed)
    later = await pay(laptop, "T2")
    again = await pay(laptop, "T1")

    assert (later.json["status"], later.json["replayed"]) == ("settled", False)
    assert (again.json["status"], again.json["replayed"]) == ("settled", True)
    assert address(laptop) == before
    assert server_of(worker).pid != killed.pid
    assert worker.returncode is None
    assert await laptop.balances("alice", "bob", "transit:USD") == [50_00, 50_00, 0]
    assert (await laptop.audit())["ok"]


async def test_a_worker_told_to_stop_takes_its_server_along(laptop: Folder) -> None:
    """
    SIGTERM: exit 0, no process left behind, and no note of an address where nobody is.
    """
    worker = await embedded(laptop, anew=True)
    server = server_of(worker)
    assert note(laptop).exists()

    worker.send_signal(signal.SIGTERM)

    assert await worker.wait() == 0
    assert gone(server)
    assert not note(laptop).exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
async def test_a_killed_worker_takes_its_server_along_and_the_next_one_goes_on(laptop: Folder) -> None:
    """
    SIGKILL leaves no server that nobody looks after; the next worker takes over the data folder as it was left.
    """
    worker = await embedded(laptop)
    await open_accounts(laptop)
    await pay(laptop, "T1")
    server = server_of(worker)

    worker.kill()
    await worker.wait()
    await is_gone(server)
    await embedded(laptop)

    assert (await pay(laptop, "T1")).json["replayed"] is True
    assert (await pay(laptop, "T2")).json["status"] == "settled"
    assert await laptop.balances("alice", "bob", "transit:USD") == [50_00, 50_00, 0]
