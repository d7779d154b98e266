"""Forks: real processes that start in a twentieth of a second, because everything is imported before the fork.

A fork server (of the standard library) imports the worker's code once, starts no thread, and forks a process for
each that is asked for. Such a process has its own pid, its own connections and its own SDK; SIGKILL ends it like
any other. It dies with the fork server, and the fork server with this process.
"""

import asyncio
import contextlib
import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from typing import Any

PRELOADED = ["tests.faults.crash.instrumented_worker", "tests.faults.crash.caller"]
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
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    main(pipe, *arguments)
    os._exit(0)  # the SDK's native threads crash the interpreter at exit now and then (sdk-python issue 300)
