"""approve, deny: what people say about a transfer, or an entry, that waits for them."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.options import Json, Timeout, TransferId
from engine.settings import Settings
from ledger.money import parse_amount

if TYPE_CHECKING:
    from cli.answers import Answer

By = Annotated[str, typer.Option("--by", help="Who says so: a name of at most 60 characters of A-Z a-z 0-9 . _ : -")]


def approve(
    id: TransferId,
    by: By,
    source: Annotated[str | None, typer.Option("--from", help="The account that pays, as you were shown it.")] = None,
    destination: Annotated[
        str | None, typer.Option("--to", help="The account that is paid, as you were shown it.")
    ] = None,
    amount: Annotated[str | None, typer.Option("--amount", help="How much you approve of, such as 25.00.")] = None,
    currency: Annotated[str, typer.Option("--currency", help="The currency (ISO 4217).")] = "USD",
    asked: Annotated[
        str | None, typer.Option("--asked", help="Or, of whatever kind it is, all that is `asked`, as status shows it.")
    ] = None,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Approve of exactly this transfer or entry; refused if it says otherwise. The same person counts once."""
    from cli.answers import give

    if (asked is None) == (None in (source, destination, amount)) or (asked and (source or destination or amount)):
        raise typer.BadParameter("say what you approve of: --from, --to and --amount of a transfer, or --asked")

    async def work() -> "Answer":
        from activities.approvals import Consent
        from activities.messages import TransferRequest
        from cli import approving

        if asked is not None:
            consent = Consent(asked=approving.parse_asked(asked), approver=by)
        else:
            transfer = TransferRequest(
                transfer_id=id,
                source=source or "",
                destination=destination or "",
                amount_minor=parse_amount(amount or "", currency),
                currency=currency,
            )
            consent = Consent(transfer=transfer, approver=by)
        return await approving.approve(Settings.from_environment(), id, consent, timeout)

    give(work, as_json, {"transfer_id": id})


def deny(
    id: TransferId,
    by: By,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.")],
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """End what waits for approval: its money will never move."""
    from cli.answers import give

    async def work() -> "Answer":
        from activities.approvals import Denial
        from cli import approving

        denial = Denial(approver=by, reason=reason)
        return await approving.deny(Settings.from_environment(), id, denial, timeout)

    give(work, as_json, {"transfer_id": id})
