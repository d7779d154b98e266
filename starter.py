"""The command line: start transfers, follow them, and ask the books.

    starter.py open-account alice --currency USD --deposit 100.00 --deposit-id D1
    starter.py transfer --id T1 --from alice --to bob --amount 25.00
    starter.py status T1

Every command can be run again without harm. Scripts rely on --json and on the exit status: 0 settled or accepted,
2 malformed, 3 a business answer (rejected, refunded, cancelled), 4 the id was used for something else, 5 unknown:
run the same command again.
"""

import contextlib
import gc
import os
import sys
import traceback
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from engine.settings import Settings
from ledger.money import parse_amount

if TYPE_CHECKING:
    from cli.answers import Answer

app = typer.Typer(
    help=__doc__.replace("\n    starter.py", "\n\n    starter.py"),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to wait for the outcome.")]
AccountId = Annotated[str, typer.Argument(metavar="ID", help="The account.")]
TransferId = Annotated[str, typer.Argument(metavar="ID", help="The transfer.")]


class AccountStatusName(StrEnum):
    """The statuses an account can be set to."""

    open = "open"
    frozen = "frozen"
    closed = "closed"


@app.command()
def transfer(
    id: Annotated[str, typer.Option("--id", help="Your business id of the transfer: the key to everything.")],
    source: Annotated[str, typer.Option("--from", help="The account that pays.")],
    destination: Annotated[str, typer.Option("--to", help="The account that is paid.")],
    amount: Annotated[str, typer.Option("--amount", help="How much, such as 25.00.")],
    currency: Annotated[str, typer.Option("--currency", help="The currency (ISO 4217).")] = "USD",
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the outcome.")] = False,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Move money from one account to another, once per id, and say how it ended."""
    from cli.answers import give

    async def work() -> "Answer":
        from activities.messages import TransferRequest
        from cli import transfers

        request = TransferRequest(
            transfer_id=id,
            source=source,
            destination=destination,
            amount_minor=parse_amount(amount, currency),
            currency=currency,
        )
        return await transfers.transfer(Settings.from_environment(), request, not no_wait, timeout)

    give(work, as_json, {"transfer_id": id})


@app.command()
def status(id: TransferId, as_json: Json = False) -> None:
    """Say where a transfer is."""
    from cli import transfers
    from cli.answers import give

    give(lambda: transfers.status(Settings.from_environment(), id), as_json, {"transfer_id": id})


@app.command()
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


@app.command("open-account")
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


@app.command("set-account")
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


@app.command()
def balance(id: AccountId, as_json: Json = False) -> None:
    """Say what is in an account."""
    from cli import accounts
    from cli.answers import give

    give(lambda: accounts.balance(Settings.from_environment(), id), as_json, {"account_id": id})


@app.command()
def statement(id: AccountId, as_json: Json = False) -> None:
    """List every posting to an account, with the running balance."""
    from cli import accounts
    from cli.answers import give

    give(lambda: accounts.statement(Settings.from_environment(), id), as_json, {"account_id": id})


@app.command()
def audit(as_json: Json = False) -> None:
    """Recompute the books from their postings; exit status 1 when anything is wrong."""
    from cli import auditing
    from cli.answers import give

    give(lambda: auditing.audit(Settings.from_environment()), as_json, {"ok": None})


@app.command()
def sweep(
    older_than: Annotated[
        float, typer.Option("--older-than", min=0, help="Leave alone what changed within so many seconds.")
    ] = 60.0,
    timeout: Timeout = 300.0,
    as_json: Json = False,
) -> None:
    """Finish what terminated or lost workflows left behind, now; exit status 1 when the books and Temporal disagree."""
    from cli.answers import give

    async def work() -> "Answer":
        from activities.messages import SweepRequest
        from cli import sweeping

        return await sweeping.sweep(Settings.from_environment(), SweepRequest(older_than_seconds=older_than), timeout)

    give(work, as_json, {"looked_at": None})


@app.command()
def demo(
    as_json: Json = False,
) -> None:
    """Watch money survive lost answers, killed workers and fifty retries at once, on a data folder of its own."""
    from demo.story import tell

    gc.enable()  # this one runs for a while
    raise typer.Exit(tell(as_json))


def main() -> int:
    """Run the command. Returns the exit status."""
    gc.disable()  # while it imports, it would look for garbage a hundred times; so short a process leaves none
    try:
        app(prog_name="starter.py")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except BrokenPipeError:  # of a help text that nobody reads to its end; answers look after themselves
        return 0
    except Exception:  # a bug of ours says nothing about the money: the same command again
        traceback.print_exc()
        return 5
    return 0


if __name__ == "__main__":
    code = main()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)  # the SDK's native threads crash the interpreter at exit now and then (sdk-python issue 300)
