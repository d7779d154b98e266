"""hold, capture, void: what a caller does with money that is put aside first."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.options import WEEK, ExpiresIn, Initiator, Json, Timeout, TransferId
from cli.instants import parse_instant
from engine.settings import Settings
from ledger.money import parse_amount

if TYPE_CHECKING:
    from cli.answers import Answer


def hold(
    id: Annotated[str, typer.Option("--id", help="Your business id of the hold: it is a transfer's.")],
    source: Annotated[str, typer.Option("--from", help="The account whose money is held.")],
    destination: Annotated[str, typer.Option("--to", help="The account that gets what is captured.")],
    amount: Annotated[str, typer.Option("--amount", help="How much, such as 25.00.")],
    expires: Annotated[str, typer.Option("--expires", help="When it is given back, such as 2026-12-01T09:00:00Z.")],
    currency: Annotated[str, typer.Option("--currency", help="The currency (ISO 4217).")] = "USD",
    initiator: Initiator = None,
    expires_in: ExpiresIn = WEEK,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Put money aside until it is captured, voided, or the hold expires."""
    from cli.answers import give

    async def work() -> "Answer":
        from activities.terms import HoldRequest
        from cli import approving, holds

        request = HoldRequest(
            transfer_id=id,
            source=source,
            destination=destination,
            amount_minor=parse_amount(amount, currency),
            currency=currency,
            expires_at=parse_instant(expires),
        )
        settings = Settings.from_environment()
        awaited = await approving.awaited(settings, request, initiator, expires_in, request.expires_at)
        return await holds.hold(settings, request, timeout, awaited)

    give(work, as_json, {"transfer_id": id})


def capture(
    id: TransferId,
    amount: Annotated[str | None, typer.Option("--amount", help="How much of it; without it, all.")] = None,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Give a hold, or a part of it, to its destination; the rest goes back to its source at once."""
    from cli import holds
    from cli.answers import give

    give(lambda: holds.capture(Settings.from_environment(), id, amount, timeout), as_json, {"transfer_id": id})


def void(
    id: TransferId,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.")] = "voided by request",
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Give a hold back to its source."""
    from cli import holds
    from cli.answers import give

    give(lambda: holds.void(Settings.from_environment(), id, reason, timeout), as_json, {"transfer_id": id})
