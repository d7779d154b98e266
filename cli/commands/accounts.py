"""open-account, set-account, balance, statement: what a caller does with one account."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.options import AccountId, Json, Timeout
from engine.settings import Settings
from ledger.money import parse_amount

if TYPE_CHECKING:
    from cli.answers import Answer


INSTANT = "such as 2026-07-01T12:00:00Z, or a date, which is its beginning in UTC"


class Format(StrEnum):
    """How a statement is written."""

    table = "table"
    json = "json"
    csv = "csv"


class AccountStatusName(StrEnum):
    """The statuses an account can be set to."""

    open = "open"
    frozen = "frozen"
    closed = "closed"


def open_account(
    id: AccountId,
    currency: Annotated[str, typer.Option("--currency", help="The account's currency (ISO 4217).")],
    deposit: Annotated[str | None, typer.Option("--deposit", help="Cash to bring in, such as 100.00.")] = None,
    deposit_id: Annotated[
        str | None, typer.Option("--deposit-id", help="Your id of that deposit: it counts once.")
    ] = None,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Open an account. Opening it again with the same settings is no error."""
    from cli.answers import give

    if (deposit is None) != (deposit_id is None):
        raise typer.BadParameter("--deposit and --deposit-id go together: without an id a retry would pay in twice")

    async def work() -> "Answer":
        from activities.messages import AccountOpening, DepositRequest
        from cli import accounts

        opening = AccountOpening(account_id=id, currency=currency)
        paid_in = None
        if deposit is not None and deposit_id is not None:
            amount_minor = parse_amount(deposit, currency)
            paid_in = DepositRequest(deposit_id=deposit_id, account_id=id, amount_minor=amount_minor, currency=currency)
        return await accounts.open_account(Settings.from_environment(), opening, paid_in, timeout)

    give(work, as_json, {"account_id": id})


def set_account(
    id: AccountId,
    status: Annotated[AccountStatusName, typer.Option("--status", help="What the account shall be.")],
    expected_version: Annotated[
        int | None, typer.Option("--expected-version", help="Only if the account is still at this version.")
    ] = None,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Open, freeze or close an account. Setting what is set already is no error."""
    from cli.answers import give

    async def work() -> "Answer":
        from activities.messages import AccountChange
        from cli import accounts
        from ledger.account import AccountStatus

        change = AccountChange(account_id=id, status=AccountStatus(status.value), expected_version=expected_version)
        return await accounts.set_account(Settings.from_environment(), change, timeout)

    give(work, as_json, {"account_id": id})


def balance(
    id: AccountId,
    as_of: Annotated[str | None, typer.Option("--as-of", help=f"The balance at this instant: {INSTANT}.")] = None,
    as_json: Json = False,
) -> None:
    """Say what is in an account, now or at an instant."""
    from cli.answers import give

    async def work() -> "Answer":
        from cli import accounts
        from cli.instants import parse_instant

        instant = None if as_of is None else parse_instant(as_of)
        return await accounts.balance(Settings.from_environment(), id, instant)

    give(work, as_json, {"account_id": id})


def statement(
    id: AccountId,
    begin: Annotated[str | None, typer.Option("--from", help=f"From this instant on: {INSTANT}.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Until before this instant.")] = None,
    format: Annotated[Format, typer.Option("--format", help="How it is written.")] = Format.table,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """List every posting to an account within a period, with the running balance."""
    from cli.answers import give

    if as_json and format is Format.csv:
        raise typer.BadParameter("--json and --format csv: which one?")

    async def work() -> "Answer":
        from cli import statements
        from cli.instants import parse_instant
        from ledger.statement import Period

        period = Period(*(None if text is None else parse_instant(text) for text in (begin, end)))
        return await statements.statement(Settings.from_environment(), id, period, format is Format.csv)

    give(work, as_json or format is Format.json, {"account_id": id})
