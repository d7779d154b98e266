"""Transfer: money goes from one account to another, through transit. Nothing happens between debit and credit."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.messages import TransferOutcome, TransferRequest
    from workflows.legs import Legs


@workflow.defn
class Transfer:
    """One transfer, from its request to its end. The workflow id is `transfer/<transfer id>`."""

    @workflow.run
    async def run(self, request: TransferRequest) -> TransferOutcome:
        """Move the money once, or say why not. Returns how the transfer ended; only `KeyReused` raises."""
        return await Legs(request).run()


@workflow.defn
class ExpressTransfer:
    """The same, asked within the workflow task: a third of the events, and fewer ways through the server.

    An operator sees what was answered, but not what is being asked right now; see `Asking` for what silence does.
    """

    @workflow.run
    async def run(self, request: TransferRequest) -> TransferOutcome:
        """As `Transfer.run`."""
        return await Legs(request, express=True).run()
