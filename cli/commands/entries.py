"""split, exchange, reverse, set-balance: movements that happen whole in one step."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.options import WEEK, ExpiresIn, Initiator, Json, Timeout
from cli.instants import parse_instant
from engine.settings import Settings
from ledger.money import parse_amount

if TYPE_CHECKING:
    from cli.answers import Answer

Id = Annotated[str, typer.Option("--id", help="Your business id of it: it happens once per id.")]
Currency = Annotated[str, typer.Option("--currency", help="The currency (ISO 4217).")]


def split(
    id: Id,
    source: Annotated[str, typer.Option("--from", help="The account that pays.")],
    amount: Annotated[str, typer.Option("--amount", help="How much in all, such as 100.00.")],
    to: Annotated[
        list[str],
        typer.Option("--to", metavar="ACCOUNT=SHARE", help="Who gets what: 25.00, 2.5% (of all), or rest. Repeat it."),
    ],
    currency: Currency = "USD",
    initiator: Initiator = None,
    expires_in: ExpiresIn = WEEK,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Pay many accounts out of one, all of them or none: by amounts, percents and the rest. Fees are shares, too."""
    from cli.answers import give

    async def work() -> "Answer":
        from cli import approving, entries
        from ledger.entries import Split, shares_of

        asked = [(account, share) for account, _, share in (each.partition("=") for each in to)]
        shares = shares_of(parse_amount(amount, currency), currency, asked)
        settings, entry = Settings.from_environment(), Split(id, source, currency, shares)
        awaited = await approving.awaited_entry(settings, entry, initiator, expires_in)
        return await entries.enter(settings, entry, timeout, awaited)

    give(work, as_json, {"id": id})


def exchange(
    id: Id,
    source: Annotated[str, typer.Option("--from", help="The account that sells.")],
    destination: Annotated[str, typer.Option("--to", help="The account that gets what is bought.")],
    amount: Annotated[str, typer.Option("--amount", help="How much is sold, such as 100.00.")],
    currency: Annotated[str, typer.Option("--currency", help="The currency that is sold.")],
    bought_currency: Annotated[str, typer.Option("--into", help="The currency that is bought.")],
    quote: Annotated[str, typer.Option("--quote", help="The quote's id.")],
    rate: Annotated[str, typer.Option("--rate", help="The quote's rate: how much is bought for 1, such as 0.9215.")],
    expires: Annotated[str, typer.Option("--expires", help="The quote's end, such as 2026-11-24T12:00:00Z.")],
    middle_rate: Annotated[
        str | None, typer.Option("--middle-rate", help="The middle rate: what it brings beyond the rate is the spread.")
    ] = None,
    desk: Annotated[
        str, typer.Option("--desk", help="Whose accounts it goes through: DESK:USD, DESK:EUR, DESK-spread:EUR.")
    ] = "fx",
    initiator: Initiator = None,
    expires_in: ExpiresIn = WEEK,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Sell one currency for another at the rate of a quote, through the desk's accounts."""
    from cli.answers import give

    async def work() -> "Answer":
        from cli import approving, entries
        from ledger.entries import Quote, at_quote

        offer = Quote(quote, rate, middle_rate or rate, parse_instant(expires), desk)
        sold = parse_amount(amount, currency)
        entry = at_quote(offer, id, source, destination, sold, currency, bought_currency)
        settings = Settings.from_environment()
        awaited = await approving.awaited_entry(settings, entry, initiator, expires_in, entry.expires_at)
        return await entries.enter(settings, entry, timeout, awaited)

    give(work, as_json, {"id": id})


def reverse(
    id: Id,
    of: Annotated[str, typer.Option("--of", help="The id of what is given back.")],
    kind: Annotated[
        str | None, typer.Option("--kind", help="If that names more than one: transfer, split or exchange.")
    ] = None,
    amount: Annotated[str | None, typer.Option("--amount", help="How much of it; without it, all.")] = None,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Give back a settled transfer, a split or an exchange, whole or in part, and in all never more than it was.

    Of a split or an exchange, the amount is what goes back to the account that paid; the others give their parts of it.
    """
    from cli.answers import give

    async def work() -> "Answer":
        from cli import entries
        from ledger.errors import MalformedRequest

        if kind not in (None, "transfer", "split", "exchange"):
            raise MalformedRequest(f"--kind is transfer, split or exchange, not {kind!r}")
        return await entries.reverse(Settings.from_environment(), id, of, kind, amount, timeout)

    give(work, as_json, {"id": id})


def set_balance(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account.")],
    id: Id,
    balance: Annotated[str, typer.Option("--to", help="What shall be in it, such as 100.00 or 0.")],
    counterpart: Annotated[str, typer.Option("--with", help="The account that gives or takes the difference.")],
    currency: Currency = "USD",
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Bring an account to a balance, whatever is in it; doing it again moves nothing."""
    from cli.answers import give

    async def work() -> "Answer":
        from cli import entries
        from ledger.entries import TargetBalance

        target = parse_amount(balance, currency, or_zero=True)
        entry = TargetBalance(id, account, target, counterpart, currency)
        return await entries.enter(Settings.from_environment(), entry, timeout)

    give(work, as_json, {"id": id})
