"""Tracing: runs of the driver under strace, which notes every write and sync of the books and may let one fail.

strace counts the calls of each thread by itself. The ledger writes on one thread, migrates on another and may close
on a third, so "the 5th write" is the 5th of each of them.
"""

import asyncio
import codecs
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.embedded import dies_with_parent
from engine.settings import ROOT
from tests.faults.disk.driver import Order, as_line

CALLS = {"write": "pwrite64", "sync": "fdatasync,fsync"}
PATIENCE = 60.0


@dataclass(frozen=True)
class Injection:
    """A system call on one of the books' files that fails: the nth of each thread; with `on`, all from it on."""

    call: str
    error: str
    nth: int
    on: bool = False

    def __str__(self) -> str:
        """As it stands in a case's name."""
        return f"{self.call} {self.nth}{' and all after' if self.on else ''} {self.error}"

    @property
    def options(self) -> tuple[str, str]:
        """As strace wants it."""
        return "-e", f"inject={CALLS[self.call]}:error={self.error}:when={self.nth}{'+' if self.on else ''}"


@dataclass(frozen=True)
class Call:
    """One system call as it ended."""

    name: str
    path: str
    data: bytes = b""
    number: int = 0
    """The offset of a write, the length of a truncation, 1 for an opening that creates."""
    failed: bool = False
    injected: bool = False


@dataclass(frozen=True)
class Traced:
    """One run of the driver."""

    exit: int
    notes: list[dict[str, Any]]
    calls: list[Call]

    @property
    def injected(self) -> int:
        """How many calls were made to fail."""
        return sum(call.injected for call in self.calls)


class Tracer:
    """A driver process, and an strace for each of its children."""

    def __init__(self, driver: asyncio.subprocess.Process, folder: Path) -> None:
        self._driver, self._folder = driver, folder
        self.notes = folder / "notes"

    async def run(self, order: Order, *options: str) -> Traced:
        """One child, under strace with these options."""
        self.notes.unlink(missing_ok=True)
        trace = self._folder / "trace"
        assert self._driver.stdin is not None
        self._driver.stdin.write(as_line(order))
        pid = await self._says()
        strace = await _strace(pid, order, trace, options, self._folder)
        os.kill(pid, signal.SIGUSR1)
        async with asyncio.timeout(PATIENCE):
            exit = await self._says()
            await strace.communicate()
        noted = self.notes.read_text().splitlines() if self.notes.exists() else []
        return Traced(exit, [json.loads(line) for line in noted], list(read(trace)))

    async def inject(self, order: Order, injection: Injection) -> Traced:
        """One child, whose nth write or sync of the books fails. Only those calls are traced."""
        return await self.run(order, "-s", "0", "-e", f"trace={CALLS[injection.call]}", *injection.options)

    async def watch(self, order: Order, *more: str) -> Traced:
        """One child, with everything it does to its files, byte for byte, and when it was told what."""
        calls = "trace=pwrite64,write,fdatasync,fsync,ftruncate,openat,unlink"
        return await self.run(order, "-s", "1000000", "-P", order.notes, "-e", calls, *more)

    async def _says(self) -> int:
        assert self._driver.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = await self._driver.stdout.readline()
        assert line, "the driver has ended"
        return int(line)


@asynccontextmanager
async def tracing(folder: Path) -> AsyncIterator[Tracer]:
    """A tracer for the length of the block. `missing()` must have said that there can be one."""
    folder.mkdir(exist_ok=True)
    with open(folder / "driver.log", "ab") as log:
        driver = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.faults.disk.driver"),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            preexec_fn=dies_with_parent(signal.SIGKILL),
        )
    try:
        yield Tracer(driver, folder)
    finally:
        with suppress(ProcessLookupError):
            driver.kill()
        await driver.wait()


async def missing() -> str | None:
    """Why system calls cannot be made to fail here; None if they can."""
    if shutil.which("strace") is None:
        return "strace is not installed: no system call can be made to fail, and none can be seen"
    probe = await asyncio.create_subprocess_exec(
        *("strace", "-f", "-o", "/dev/null", "-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=1", "true"),
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await probe.communicate()
    if probe.returncode:
        return f"strace may not trace here ({said.decode(errors='replace').strip()[:200]}): no system call can fail"
    return None


async def _strace(
    pid: int, order: Order, trace: Path, options: tuple[str, ...], folder: Path
) -> asyncio.subprocess.Process:
    books = order.url.removeprefix("sqlite:///")
    paths = [books, f"{books}-wal", f"{books}-shm", str(Path(books).parent)]
    strace = await asyncio.create_subprocess_exec(
        *("strace", "-f", "-y", "-p", str(pid), "-o", str(trace)),
        *(argument for path in paths for argument in ("-P", path)),
        *options,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=dies_with_parent(signal.SIGKILL),
    )
    assert strace.stderr is not None
    said = await strace.stderr.readline()
    assert b"attached" in said, said
    return strace


_LINE = re.compile(rb"(?P<thread>\d+) +(?P<rest>.*)", re.DOTALL)
_UNFINISHED = re.compile(rb"(.*) <unfinished \.\.\.>$", re.DOTALL)
_RESUMED = re.compile(rb"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_CALL = re.compile(rb"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+|\?)(?P<more>.*)$", re.DOTALL)
_STRING = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_FILE = re.compile(rb"\d+<([^>]*)>")


def read(trace: Path) -> Iterator[Call]:
    """The calls of a trace, in the order in which they ended."""
    begun: dict[bytes, bytes] = {}
    for line in trace.read_bytes().splitlines():
        if (match := _LINE.fullmatch(line)) is None:
            continue
        thread, rest = match["thread"], match["rest"]
        if (unfinished := _UNFINISHED.fullmatch(rest)) is not None:
            begun[thread] = unfinished[1]
            continue
        if (resumed := _RESUMED.fullmatch(rest)) is not None:
            rest = begun.pop(thread) + resumed[2]
        if (call := _CALL.fullmatch(rest)) is not None:
            yield _call(call["name"].decode(), call["arguments"], call["result"], call["more"])


def _call(name: str, arguments: bytes, result: bytes, more: bytes) -> Call:
    failed, injected = result == b"?" or int(result) < 0, b"(INJECTED)" in more
    strings = [bytes(codecs.escape_decode(text)[0]) for text in _STRING.findall(arguments)]
    if name in ("openat", "unlink"):
        return Call(name, strings[0].decode(), b"", int(b"O_CREAT" in arguments), failed, injected)
    file = _FILE.match(arguments)
    path = file[1].decode() if file else ""
    if name in ("pwrite64", "ftruncate"):
        return Call(name, path, strings[0] if strings else b"", int(arguments.rpartition(b", ")[2]), failed, injected)
    return Call(name, path, strings[0] if strings else b"", 0, failed, injected)
