"""Forks: real processes that start in a twentieth of a second, because everything is imported before the fork.

A fork server (of the standard library) imports the project once, starts no thread, and forks a process for each that
is asked for. Such a process has its own pid, its own connections and its own SDK; SIGKILL ends it like any other. On
Linux it dies with the fork server, and the fork server with this process.

`Program` runs one of the project's files in such a process, as a shell would: its own arguments, environment, folder
and output. What it does not show is that the file finds its imports by itself, and that the shell's signals and pipes
reach it: for that a few tests start Python anew (`Folder.start`).
"""

import asyncio
import contextlib
import ctypes
import gc
import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Callable, Mapping
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from engine.settings import ROOT
from ledger import failpoints

FOLDERS = ("ledger", "rails", "activities", "workflows", "engine", "cli")
PRELOADED = [
    *("starter", "worker", "asyncpg", "sqlalchemy.dialects.postgresql.asyncpg", "sqlalchemy.dialects.sqlite.aiosqlite"),
    *("httpcore", "uvicorn", "uvicorn.loops.asyncio", "uvicorn.protocols.http.auto", "uvicorn.lifespan.on"),
    *(
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("[!_]*.py"))
        if "migrations" not in path.parts
    ),
    *("tests.faults.crash.instrumented_worker", "tests.faults.crash.caller"),
]
_PR_SET_PDEATHSIG = 1


class Fork:
    """A process and the pipe to it. Messages are small tuples."""

    def __init__(self, main: Callable[..., None], *arguments: Any) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(main, theirs, *arguments), daemon=True)
        self._process.start()
        theirs.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    async def ended(self) -> int:
        """Wait for its end. Returns the exit status; negative, the signal that ended it."""
        await _readable(self._process.sentinel)
        self._process.join()
        assert self._process.exitcode is not None
        return self._process.exitcode

    def tell(self, *message: Any) -> None:
        """Send it a message; nothing, if it is dead."""
        with contextlib.suppress(OSError):
            self._pipe.send(message)

    async def hear(self) -> Any:
        """Its next message. Raises EOFError when it is dead."""
        await _readable(self._pipe.fileno())
        try:
            return self._pipe.recv()
        except ConnectionResetError as error:
            raise EOFError from error

    def kill(self) -> None:
        """SIGKILL, if it lives."""
        self._process.kill()

    async def end(self) -> None:
        """Make sure that it is gone."""
        self.kill()
        await self.ended()
        self._pipe.close()

    def close(self) -> None:
        """Give back what this process holds of one that has ended."""
        self._pipe.close()
        self._process.close()


class Program:
    """One of the project's files as a process, with what tests need of `asyncio.subprocess.Process`."""

    def __init__(
        self, arguments: tuple[str, ...], folder: Path, environment: Mapping[str, str], output: Path, errors: Path
    ) -> None:
        self._fork = Fork(_as_a_shell_would, arguments, str(folder), dict(environment), str(output), str(errors))
        self.pid = self._fork.pid
        self._ended = asyncio.create_task(self._fork.ended(), name=f"{arguments[0]} {self.pid}")
        self._ended.add_done_callback(lambda _: self._fork.close())

    @property
    def returncode(self) -> int | None:
        """The exit status, once it has ended; negative, the signal that ended it."""
        return self._ended.result() if self._ended.done() else None

    async def wait(self) -> int:
        """Wait for its end. Returns the exit status."""
        return await asyncio.shield(self._ended)

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal. Raises ProcessLookupError if it is gone."""
        os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


async def warm_up() -> None:
    """Start the fork server now: it takes seconds, in which this event loop would stand still for everybody."""
    await Fork(_nothing).ended()


def stop_server() -> None:
    """End the fork server, if there is one, and wait for it: what its forks have cost counts as ours from then on."""
    server = getattr(forkserver, "_forkserver")  # noqa: B009  # the standard library's own tests have no other way
    server._stop()


def _nothing(_pipe: Connection) -> None:
    pass


async def _readable(descriptor: int) -> None:
    """Wait until something can be read there. One at a time may wait for a descriptor."""
    loop, happened = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, happened.set)
    try:
        await happened.wait()
    finally:
        loop.remove_reader(descriptor)


def _run(main: Callable[..., None], pipe: Connection, *arguments: Any) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    main(pipe, *arguments)
    os._exit(0)  # the SDK's native threads crash the interpreter at exit now and then (sdk-python issue 300)


def _as_a_shell_would(
    pipe: Connection, arguments: tuple[str, ...], folder: str, environment: dict[str, str], output: str, errors: str
) -> None:
    """Run a file as the main program. It leaves by itself, with its own status."""
    pipe.close()
    gc.freeze()  # what was imported before the fork is not garbage, and looking for any would copy its pages
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for path, descriptor in ((os.devnull, 0), (output, 1), (errors, 2)):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, descriptor)
        os.close(opened)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    failpoints.arm(environment.get(failpoints.ENVIRONMENT, ""))
    sys.argv = [str(ROOT / arguments[0]), *arguments[1:]]
    runpy.run_path(sys.argv[0], run_name="__main__")
