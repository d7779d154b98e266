"""Hold: money of the source is put aside in transit, until it is captured, voided, or the hold expires.

    capture(30.00)   settled: the destination has 30.00, and the source the rest, in one entry
    void             refunded: the source has it all
    neither in time  refunded: expired

The first decision stands. Should it ever be made twice (two runs, a reset), the ledger lets one of them happen: a
capture is the transfer's credit, and giving back fences it.
"""

from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.messages import TransferOutcome
    from activities.terms import Decision, HoldRequest
    from workflows.legs import Capture, GiveBack, Legs, Verdict
    from workflows.search_attributes import HELD, TRANSFER_STATUS

VOIDED, EXPIRED = "voided", "expired"
OTHERWISE = "DecidedOtherwise"
"""The type, in Temporal's sense, of the refusal of a decision when another one was first."""


@workflow.defn
class Hold:
    """One hold, from its request to its end. The workflow id is `transfer/<id>`, as of any transfer."""

    _request: HoldRequest

    def __init__(self) -> None:
        self._decision: Decision | None = None
        self._begun = False

    @workflow.run
    async def run(self, request: HoldRequest) -> TransferOutcome:
        """Hold the money, and give it where it belongs. Returns how the hold ended; only `KeyReused` raises."""
        self._request, self._begun = request, True  # not before: without a request it must get as far as being refused
        return await Legs(request, self._decided).run()

    @workflow.update
    async def decide(self, decision: Decision) -> None:
        """Capture or void it. Returns once the decision is taken; the workflow's result tells how that ended."""
        await workflow.wait_condition(lambda: self._begun)  # it may come with the very first task
        self._check(decision)
        self._decision = decision

    @decide.validator
    def _may_be_decided(self, decision: Decision) -> None:
        if self._begun:
            self._check(decision)

    def _check(self, decision: Decision) -> None:
        amount_minor = self._request.amount_minor
        if self._decision is not None and self._decision.captures != decision.captures:
            raise ApplicationError(f"it is decided already: {self._decision}", type=OTHERWISE, non_retryable=True)
        if decision.captures is not None and decision.captures > amount_minor:
            raise ApplicationError(f"only {amount_minor} are held", type="MalformedRequest", non_retryable=True)
        if self._decision is None and self._seconds_left() <= 0:
            raise ApplicationError("the hold has expired", type=OTHERWISE, non_retryable=True)

    async def _decided(self) -> Verdict:
        """Wait for the decision, or for the end of the hold."""
        seconds = self._seconds_left()
        if self._decision is None and seconds > 0:
            workflow.set_current_details("Held, until it is captured or voided, or expires.")
            workflow.upsert_search_attributes([TRANSFER_STATUS.value_set(HELD)])
            with suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: self._decision is not None, timeout=seconds, timeout_summary="until it expires"
                )
        if self._decision is None:
            return GiveBack(EXPIRED, "nobody captured it in time")
        if self._decision.captures is None:
            return GiveBack(VOIDED, self._decision.reason)
        return Capture(self._decision.captures)

    def _seconds_left(self) -> float:
        return self._request.expires_at / 1_000_000 - workflow.now().timestamp()
