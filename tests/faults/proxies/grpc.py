"""A gRPC proxy for unary calls, which knows no message's type: it loses, doubles, delays and cuts single calls.

    request dropped     never forwarded; the caller is told UNAVAILABLE or DEADLINE_EXCEEDED
    response dropped    forwarded and carried out; the caller is told UNAVAILABLE or DEADLINE_EXCEEDED
    duplicated          carried out twice; the caller gets the first or the second answer
    delayed             the caller is told DEADLINE_EXCEEDED, and then the request arrives after all
    reset               the caller's connection is cut, before the call is forwarded or after it was carried out

All that Temporal's WorkflowService has is unary, long polls included. Metadata, errors and their details pass
through as they are. Which call meets which fate says the plan; it may be replaced while the proxy runs.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.faults.kinds import Kind
from tests.faults.proxies.hpack import Headers
from tests.faults.proxies.http2 import Connection, Lost, Message
from tests.faults.proxies.line import Line

PATIENCE_SECONDS = 0.2
"""How long the caller of a delayed call waits until it is told that its time is over."""
LATENESS_SECONDS = 1.0
"""How long after its arrival a delayed call is forwarded: callers have tried again by then."""

_UNAVAILABLE, _DEADLINE_EXCEEDED = 14, 4
_DROPPED_REQUESTS = {Kind.GRPC_REQUEST_UNAVAILABLE: _UNAVAILABLE, Kind.GRPC_REQUEST_DEADLINE: _DEADLINE_EXCEEDED}
_DROPPED_RESPONSES = {Kind.GRPC_RESPONSE_UNAVAILABLE: _UNAVAILABLE, Kind.GRPC_RESPONSE_DEADLINE: _DEADLINE_EXCEEDED}


@dataclass(frozen=True)
class Fate:
    """What happens to a call. `late`: the second answer of a duplicated one; a reset after it was carried out."""

    kind: Kind
    late: bool = False

    def __str__(self) -> str:
        """As it stands in the names of cases."""
        return self.kind.removeprefix("grpc.") + (".late" if self.late else "")


FATES = (
    *(Fate(kind) for kind in (*_DROPPED_REQUESTS, *_DROPPED_RESPONSES)),
    *(Fate(Kind.GRPC_DUPLICATED, late) for late in (False, True)),
    Fate(Kind.GRPC_DELAYED),
    *(Fate(Kind.GRPC_RESET, late) for late in (False, True)),
)
"""Every fate there is."""


@dataclass(frozen=True)
class Call:
    """One call: the nth of its method since the proxy began, and what was planned for it."""

    method: str
    nth: int
    fate: Fate | None = None
    at: float = field(default_factory=time.monotonic, compare=False)

    def __str__(self) -> str:
        """As it stands in the record."""
        return f"{self.method}#{self.nth}: {self.fate or 'passed through'}"


Plan = Callable[[str, int], Fate | None]
"""The fate of a method's nth call, counted from 1; None: it passes through."""


def undisturbed(method: str, nth: int) -> Fate | None:
    """Every call passes through."""
    return None


def one_call(method: str, nth: int, fate: Fate) -> Plan:
    """One call meets a fate, all others pass through."""
    return lambda called, n: fate if (called, n) == (method, nth) else None


def now_and_then(seed: object, rate: float, fates: Sequence[Fate] = FATES) -> Plan:
    """This share of all calls meets a fate. The same seed has the same fate for the same call, in any order."""

    def plan(method: str, nth: int) -> Fate | None:
        dice = random.Random(f"{seed}/{method}/{nth}")
        return dice.choice(fates) if dice.random() < rate else None

    return plan


class GrpcProxy:
    """A running proxy. Make one with `GrpcProxy.running`; put another `plan` into it at any time."""

    def __init__(self, server: str, plan: Plan = undisturbed, before: Callable[[Call], None] | None = None) -> None:
        self.plan = plan
        self.calls: list[Call] = []
        self.fired: list[Call] = []
        """The calls that met their fate."""
        self.answered: list[Call] = []
        """The undisturbed calls that the server answered: a long poll is one only if there was something for it."""
        self.address = ""
        self.before = before
        self._count: Counter[str] = Counter()
        self._server = server
        self._callers: set[_Caller] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._own_line = Line(server)

    @classmethod
    @asynccontextmanager
    async def running(
        cls, server: str, plan: Plan = undisturbed, before: Callable[[Call], None] | None = None
    ) -> "AsyncIterator[GrpcProxy]":
        """A proxy in front of a server (`host:port`), for the length of the block.

        `before` is called with each call that meets a fate, before anything is done about it.
        """
        proxy = cls(server, plan, before)
        listening = await asyncio.get_running_loop().create_server(lambda: _Caller(proxy), "127.0.0.1", 0)
        proxy.address = "{}:{}".format(*listening.sockets[0].getsockname())
        try:
            yield proxy
        finally:
            listening.close()
            await proxy._close()

    def cut(self) -> None:
        """Cut the connections of all callers."""
        for caller in list(self._callers):
            caller.abort()

    async def serve(self, caller: "_Caller", message: Message) -> Message | None:
        """The answer to one call; None if its caller is cut off."""
        method = dict(message.headers)[":path"].rpartition("/")[2]
        self._count[method] += 1
        call = Call(method, self._count[method], self.plan(method, self._count[method]))
        self.calls.append(call)
        try:
            if call.fate is not None:
                return await self._meet(call.fate, call, caller, message)
            answer = await caller.line.forward(message)
            self.answered.append(call)
            return answer
        except (Lost, OSError) as error:
            return _refusal(_UNAVAILABLE, f"the server behind the proxy is gone: {error}")

    async def _meet(self, fate: Fate, call: Call, caller: "_Caller", message: Message) -> Message | None:
        if fate.kind in _DROPPED_REQUESTS:
            self._fire(call)
            return _refusal(_DROPPED_REQUESTS[fate.kind], "the request was lost")
        if fate.kind in _DROPPED_RESPONSES:
            await caller.line.forward(message)
            self._fire(call)
            return _refusal(_DROPPED_RESPONSES[fate.kind], "the response was lost")
        if fate.kind is Kind.GRPC_DUPLICATED:
            self._fire(call)
            answers = [self._aside(self._own_line.forward(message)) for _ in range(2)]
            return await answers[fate.late]
        if fate.kind is Kind.GRPC_DELAYED:
            self._fire(call)
            self._aside(self._later(message))
            await asyncio.sleep(PATIENCE_SECONDS)
            return _refusal(_DEADLINE_EXCEEDED, "the caller's time was over")
        assert fate.kind is Kind.GRPC_RESET, fate
        if fate.late:
            await caller.line.forward(message)
        self._fire(call)
        caller.abort()
        return None

    def _fire(self, call: Call) -> None:
        if self.before is not None:
            self.before(call)
        self.fired.append(call)

    async def _later(self, message: Message) -> Message:
        await asyncio.sleep(LATENESS_SECONDS)
        return await self._own_line.forward(message)

    def _aside(self, work: Coroutine[Any, Any, Message]) -> "asyncio.Task[Message]":
        """Carry on with this, whether or not anybody waits for it any more."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # looked at: nobody may be waiting for it

    async def _close(self) -> None:
        tasks = [*self._tasks, *(task for caller in self._callers for task in caller.tasks.values())]
        self.cut()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._own_line.close()


class _Caller(Connection):
    """The connection of a caller."""

    def __init__(self, proxy: GrpcProxy) -> None:
        super().__init__(is_server=True)
        self._proxy = proxy
        self.line = Line(proxy._server)
        self.tasks: dict[int, asyncio.Task[None]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._proxy._callers.add(self)

    def connection_lost(self, exception: Exception | None) -> None:
        super().connection_lost(exception)
        self._proxy._callers.discard(self)
        for task in list(self.tasks.values()):
            task.cancel()
        self.line.close()

    def message_received(self, stream: int, message: Message) -> None:
        task = self.tasks[stream] = asyncio.create_task(self._answer(stream, message))
        task.add_done_callback(lambda _: self.tasks.pop(stream, None))

    def stream_reset(self, stream: int) -> None:
        if (task := self.tasks.pop(stream, None)) is not None:
            task.cancel()

    async def _answer(self, stream: int, message: Message) -> None:
        if (answer := await self._proxy.serve(self, message)) is not None:
            self.send(stream, answer)


def _refusal(status: int, text: str) -> Message:
    headers: Headers = [
        (":status", "200"),
        ("content-type", "application/grpc"),
        ("grpc-status", str(status)),
        ("grpc-message", text),
    ]
    return Message(headers)
