"""Accounts: open one, change its status, bring money in from outside. One step each, and safe to repeat.

Callers cannot write the books themselves (one process does); they ask through these workflows.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.ledger import LedgerActivities
    from activities.limits import LimitChange
    from activities.messages import AccountChange, AccountOpening, DepositRequest, LegOutcome
    from ledger.keys import Leg, operation_key
    from ledger.operation import OutcomeKind
    from workflows.asking import Asking, key_reused

Change = TypeVar("Change", AccountChange, LimitChange)
Question = TypeVar("Question")
Answer = TypeVar("Answer")


@workflow.defn
class Opening:
    """Set: an account exists in this currency. Doing it again changes nothing."""

    @workflow.run
    async def run(self, request: AccountOpening) -> LegOutcome:
        """Applied; or rejected with `account_differs` when it exists in another currency."""
        summary = f"open {request.account_id} in {request.currency}"
        return await ask(LedgerActivities.open_account, request, summary)


@workflow.defn
class ChangeOfAccount:
    """Set: an account has this status. With an expected version, only if nothing has changed it meanwhile.

    It looks first how many changes of its settings the account has seen, and sets as the next one. A late attempt then
    finds its number taken, and cannot undo what was set after it. If somebody else was quicker, it looks again.
    """

    @workflow.run
    async def run(self, request: AccountChange) -> LegOutcome:
        """Applied; or rejected with `account_not_found` or `version_conflict`."""
        summary = f"{request.account_id} is {request.status}"
        if not workflow.patched("settings have numbers"):
            return await ask(LedgerActivities.set_account_status, request, summary)
        return await set_under_a_number(
            LedgerActivities.next_setting, LedgerActivities.set_account_status, request, summary
        )


@workflow.defn
class Deposit:
    """Outside cash comes into an account, once per deposit id. The workflow id is `deposit/<deposit id>`."""

    @workflow.run
    async def run(self, request: DepositRequest) -> LegOutcome:
        """Applied; rejected when the account cannot take it. Raises `KeyReused` when the id had other content."""
        key = operation_key(request.deposit_id, Leg.DEPOSIT)
        outcome = await ask(LedgerActivities.deposit, request, key)
        if outcome.kind is OutcomeKind.KEY_REUSED:
            raise key_reused(outcome.detail)
        return outcome


async def set_under_a_number(
    look: Callable[[Any, Change], Awaitable[int]],
    set: Callable[[Any, Change], Awaitable[LegOutcome]],
    change: Change,
    summary: str,
) -> LegOutcome:
    """Look which number comes next, and set under it; look again if somebody else was quicker."""
    while True:
        number = await ask(look, change, f"settings of {change.account_id}")
        outcome = await ask(set, change.model_copy(update={"number": number}), summary)
        if outcome.kind is not OutcomeKind.KEY_REUSED:
            return outcome


async def ask(activity: Callable[[Any, Question], Awaitable[Answer]], question: Question, summary: str) -> Answer:
    """One question, until it is answered."""
    asking = Asking()
    answer = await asking.until_answered(activity, question, summary)
    asking.answered()
    return answer
