"""set-limits: what an operator does with an account's limits."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.options import AccountId, Json, Timeout
from engine.settings import Settings

if TYPE_CHECKING:
    from cli.answers import Answer


def set_limits(
    id: AccountId,
    per_transfer: Annotated[
        str | None, typer.Option("--per-transfer", help="The most that it may pay at once, such as 25.00, or none.")
    ] = None,
    per_day: Annotated[
        str | None, typer.Option("--per-day", help="The most that it may pay within 24 hours, or none.")
    ] = None,
    approval_above: Annotated[
        str | None, typer.Option("--approval-above", help="More than this waits for approval; or none.")
    ] = None,
    approvals: Annotated[
        int | None, typer.Option("--approvals", help="How many people must approve; 1 unless said.")
    ] = None,
    currency: Annotated[str, typer.Option("--currency", help="The account's currency (ISO 4217).")] = "USD",
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Limit what may be taken from an account. What is not named stays; `none` takes a limit away."""
    from cli.answers import give

    async def work() -> "Answer":
        from activities.limits import LimitChange
        from cli import limits
        from ledger.limits import NONE

        change = LimitChange(
            account_id=id,
            currency=currency,
            per_transfer_minor=limits.parse_limit(per_transfer, currency),
            per_day_minor=limits.parse_limit(per_day, currency),
            approval_above_minor=limits.parse_limit(approval_above, currency, or_zero=True),
            approvals=1 if approvals is None and approval_above not in (None, NONE) else approvals,
        )
        return await limits.set_limits(Settings.from_environment(), change, timeout)

    give(work, as_json, {"account_id": id})
