"""The floor: what Temporal alone costs. A workflow of three activities that do nothing, one after the other.

It takes the same request as a transfer and runs in the same worker, so that what a transfer costs above it is the
ledger, the search attributes, the memo and what operators see of it.
"""

from datetime import timedelta

from temporalio import activity, workflow
from temporalio.plugin import SimplePlugin

with workflow.unsafe.imports_passed_through():
    from activities.messages import TransferRequest

_TIMEOUT = timedelta(seconds=30)


@activity.defn
async def nothing(request: TransferRequest) -> None:
    """Do nothing."""


@workflow.defn
class Floor:
    """Three times nothing."""

    @workflow.run
    async def run(self, request: TransferRequest) -> str:
        """Run the activities as plainly as possible."""
        for _ in range(3):
            await workflow.execute_activity(nothing, request, start_to_close_timeout=_TIMEOUT)
        return request.transfer_id


@workflow.defn
class ExpressFloor:
    """Three times nothing, within one workflow task."""

    @workflow.run
    async def run(self, request: TransferRequest) -> str:
        """Run the activities as local ones, as plainly as possible."""
        for _ in range(3):
            await workflow.execute_local_activity(nothing, request, start_to_close_timeout=_TIMEOUT)
        return request.transfer_id


class FloorPlugin(SimplePlugin):
    """Adds the floor to a worker that has the project's own plugin."""

    def __init__(self) -> None:
        super().__init__("bench-floor", workflows=[Floor, ExpressFloor], activities=[nothing])
