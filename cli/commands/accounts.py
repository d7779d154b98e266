"""open-account, set-account, balance, statement: what a caller does with one account."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.options import AccountId, Json, Timeout
from engine.settings import Settings
from ledger.money import parse_amount

if TYPE_CHECKING:
    from cli.answers import Answer


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


def balance(id: AccountId, as_json: Json = False) -> None:
    """Say what is in an account."""
    from cli import accounts
    from cli.answers import give

    give(lambda: accounts.balance(Settings.from_environment(), id), as_json, {"account_id": id})


def statement(id: AccountId, as_json: Json = False) -> None:
    """List every posting to an account, with the running balance."""
    from cli import accounts
    from cli.answers import give

    give(lambda: accounts.statement(Settings.from_environment(), id), as_json, {"account_id": id})
