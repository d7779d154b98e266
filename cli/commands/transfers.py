"""transfer, status, explain, cancel: what a caller does with one transfer."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.options import WEEK, ExpiresIn, Initiator, Json, Timeout, TransferId
from cli.instants import parse_instant
from engine.settings import Settings
from ledger.money import parse_amount

if TYPE_CHECKING:
    from cli.answers import Answer


def transfer(
    id: Annotated[str, typer.Option("--id", help="Your business id of the transfer: the key to everything.")],
    source: Annotated[str, typer.Option("--from", help="The account that pays.")],
    destination: Annotated[str, typer.Option("--to", help="The account that is paid.")],
    amount: Annotated[str, typer.Option("--amount", help="How much, such as 25.00.")],
    currency: Annotated[str, typer.Option("--currency", help="The currency (ISO 4217).")] = "USD",
    at: Annotated[
        str | None,
        typer.Option("--at", help="Not before this instant, such as 2026-12-01T09:00:00Z."),
    ] = None,
    express: Annotated[
        bool, typer.Option("--express", help="With less of it in Temporal's history; the same guarantees.")
    ] = False,
    initiator: Initiator = None,
    expires_in: ExpiresIn = WEEK,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the outcome.")] = False,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Move money from one account to another, once per id, and say how it ended."""
    from cli.answers import give

    if express and at is not None:
        raise typer.BadParameter("--express and --at: one that waits is an ordinary workflow")

    async def work() -> "Answer":
        from activities.messages import ExpressRequest, ScheduledRequest, TransferRequest
        from cli import approving, transfers

        request = (ExpressRequest if express else TransferRequest)(
            transfer_id=id,
            source=source,
            destination=destination,
            amount_minor=parse_amount(amount, currency),
            currency=currency,
        )
        if at is not None:
            request = ScheduledRequest(**request.model_dump(), due_at=parse_instant(at))
        request = await approving.routed(Settings.from_environment(), request, initiator, expires_in)
        return await transfers.transfer(Settings.from_environment(), request, not no_wait, timeout)

    give(work, as_json, {"transfer_id": id})


def status(id: TransferId, as_json: Json = False) -> None:
    """Say where a transfer is."""
    from cli import transfers
    from cli.answers import give

    give(lambda: transfers.status(Settings.from_environment(), id), as_json, {"transfer_id": id})


def explain(id: TransferId, as_json: Json = False) -> None:
    """Tell all that happened to a transfer, line by line, and prove from the postings whether the money moved."""
    from cli import explaining
    from cli.answers import give

    give(lambda: explaining.explain(Settings.from_environment(), id), as_json, {"transfer_id": id})


def cancel(
    id: TransferId,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.")] = "cancelled by request",
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Stop a transfer if it is not too late: the answer is cancelled, refunded or too_late."""
    from cli import transfers
    from cli.answers import give

    give(lambda: transfers.cancel(Settings.from_environment(), id, reason, timeout), as_json, {"transfer_id": id})
