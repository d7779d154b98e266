"""payout: what a caller does with money that leaves over an outside rail."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.options import Json, Timeout
from engine.settings import Settings
from ledger.money import parse_amount
from ledger.payouts import clearing_account

if TYPE_CHECKING:
    from cli.answers import Answer


def payout(
    id: Annotated[str, typer.Option("--id", help="Your business id of the payout: it is a transfer's.")],
    source: Annotated[str, typer.Option("--from", help="The account that pays.")],
    amount: Annotated[str, typer.Option("--amount", help="How much, such as 25.00.")],
    rail: Annotated[str, typer.Option("--rail", help="The rail it leaves over: bank or stripe.")],
    beneficiary: Annotated[str, typer.Option("--beneficiary", help="Whom it is for, as the rail calls him.")],
    currency: Annotated[str, typer.Option("--currency", help="The currency (ISO 4217).")] = "USD",
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the outcome.")] = False,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Pay somebody outside over a rail, once per id, and say how it ended."""
    from cli.answers import give

    async def work() -> "Answer":
        from activities.terms import PayoutRequest
        from cli import transfers

        request = PayoutRequest(
            transfer_id=id,
            source=source,
            destination=clearing_account(rail, currency),
            amount_minor=parse_amount(amount, currency),
            currency=currency,
            rail=rail,
            beneficiary=beneficiary,
        )
        return await transfers.transfer(Settings.from_environment(), request, not no_wait, timeout)

    give(work, as_json, {"transfer_id": id})
