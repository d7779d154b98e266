"""Gates: hold an activity of a worker at a chosen place until the test lets it go. No sleeps, no mocks.

gate = gates.close("credit", before=True)    # or before=False: after its effect, before its answer
await gate.reached.wait()                     # the activity stands there
gate.open.set()
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor


@dataclass
class Gate:
    """A place where one attempt of an activity stands still."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    open: asyncio.Event = field(default_factory=asyncio.Event)


class Gates(Interceptor):
    """A worker interceptor that counts attempts and holds those for which a gate is closed."""

    def __init__(self) -> None:
        self.attempts: dict[str, int] = {}
        self._before: dict[str, Gate] = {}
        self._after: dict[str, Gate] = {}

    def close(self, activity_name: str, *, before: bool) -> Gate:
        """Close a gate for the next attempt of an activity: before its work, or after it and before its answer."""
        gate = Gate()
        (self._before if before else self._after)[activity_name] = gate
        return gate

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See the SDK."""
        return _Inbound(next, self)

    async def pass_through(self, activity_name: str, *, before: bool) -> None:
        """Stand still if there is a closed gate; it is closed for one attempt only."""
        gate = (self._before if before else self._after).pop(activity_name, None)
        if gate is not None:
            gate.reached.set()
            await gate.open.wait()


class _Inbound(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, gates: Gates) -> None:
        super().__init__(next)
        self._gates = gates

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        name = activity.info().activity_type
        self._gates.attempts[name] = self._gates.attempts.get(name, 0) + 1
        await self._gates.pass_through(name, before=True)
        result = await super().execute_activity(input)
        await self._gates.pass_through(name, before=False)
        return result
