"""payout, decide, correct: what is done about money that leaves over an outside rail."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.options import WEEK, ExpiresIn, Initiator, Json, Timeout, TransferId
from engine.settings import Settings
from ledger.errors import MalformedRequest
from ledger.money import parse_amount
from ledger.payouts import NOT_PAID, PAID, clearing_account

if TYPE_CHECKING:
    from cli.answers import Answer


def payout(
    id: Annotated[str, typer.Option("--id", help="Your business id of the payout: it is a transfer's.")],
    source: Annotated[str, typer.Option("--from", help="The account that pays.")],
    amount: Annotated[str, typer.Option("--amount", help="How much, such as 25.00.")],
    rail: Annotated[str, typer.Option("--rail", help="The rail it leaves over: bank or stripe.")],
    beneficiary: Annotated[str, typer.Option("--beneficiary", help="Whom it is for, as the rail calls him.")],
    currency: Annotated[str, typer.Option("--currency", help="The currency (ISO 4217).")] = "USD",
    initiator: Initiator = None,
    expires_in: ExpiresIn = WEEK,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the outcome.")] = False,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Pay somebody outside over a rail, once per id, and say how it ended."""
    from cli.answers import give

    async def work() -> "Answer":
        from activities.terms import PayoutRequest
        from cli import approving, transfers

        request = PayoutRequest(
            transfer_id=id,
            source=source,
            destination=clearing_account(rail, currency),
            amount_minor=parse_amount(amount, currency),
            currency=currency,
            rail=rail,
            beneficiary=beneficiary,
        )
        settings = Settings.from_environment()
        awaited = await approving.awaited(settings, request, initiator, expires_in)
        return await transfers.transfer(settings, request, not no_wait, timeout, awaited)

    give(work, as_json, {"transfer_id": id})


def decide(
    id: TransferId,
    by: Annotated[
        str, typer.Option("--by", help="Who decides: a name of at most 60 characters of A-Z a-z 0-9 . _ : -")
    ],
    paid: Annotated[
        str | None, typer.Option("--paid", help="The rail has paid: its reference for the payment.")
    ] = None,
    not_paid: Annotated[
        str | None, typer.Option("--not-paid", help="The rail has not paid: who says so, where.")
    ] = None,
    timeout: Timeout = 120.0,
    as_json: Json = False,
) -> None:
    """Say what a rail has done about a payout, once it is silent beyond its key's life; its own word stands above."""
    from cli.answers import give

    async def work() -> "Answer":
        from activities.decisions import PayoutDecision
        from cli import deciding

        if (paid is None) is (not_paid is None):
            raise MalformedRequest("say either --paid REFERENCE or --not-paid EVIDENCE")
        decided = NOT_PAID if paid is None else PAID
        decision = PayoutDecision(decided=decided, by=by, evidence=(not_paid if paid is None else paid) or "")
        return await deciding.decide(Settings.from_environment(), id, decision, timeout)

    give(work, as_json, {"transfer_id": id})


def correct(
    id: TransferId,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Correct a payout of which its rail says otherwise than the books: take the money again, or give it back; once."""
    from cli.answers import give

    async def work() -> "Answer":
        from cli import correcting

        return await correcting.correct(Settings.from_environment(), id, timeout)

    give(work, as_json, {"transfer_id": id})
