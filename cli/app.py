"""The command line: start transfers, follow them, and ask the books.

    starter.py open-account alice --currency USD --deposit 100.00 --deposit-id D1
    starter.py transfer --id T1 --from alice --to bob --amount 25.00
    starter.py status T1

Every command can be run again without harm. Scripts rely on --json and on the exit status: 0 settled or accepted,
2 malformed, 3 a business answer (rejected, refunded, cancelled), 4 the id was used for something else, 5 unknown:
run the same command again.
"""

from collections.abc import Callable

import typer

from cli.commands import accounts, approving, batches, entries, holds, limits, operators, payouts, recurring, transfers
from cli.commands.options import Json

PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "One transfer": (transfers.transfer, transfers.status, transfers.explain, transfers.cancel),
    "Accounts": (
        accounts.open_account,
        accounts.set_account,
        limits.set_limits,
        accounts.balance,
        accounts.statement,
    ),
    "Money that waits, or leaves": (
        holds.hold,
        holds.capture,
        holds.void,
        approving.approve,
        approving.deny,
        payouts.payout,
        payouts.decide,
        payouts.correct,
    ),
    "Many at once, or again and again": (batches.batch,),
    "Movements of one step": (entries.split, entries.exchange, entries.reverse, entries.set_balance),
    "Looking after it": (operators.audit, operators.sweep),
}
"""Every command, under the heading that `--help` shows it with."""


def command_line(tell: Callable[[bool], int]) -> typer.Typer:
    """Every command; `tell` tells the demo's story, as JSON or not, and returns its exit status."""
    app = typer.Typer(
        help=__doc__.replace("\n    starter.py", "\n\n    starter.py"),
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for panel, commands in PANELS.items():
        for command in commands:
            app.command(rich_help_panel=panel)(command)
    app.add_typer(
        recurring.app,
        name="recurring",
        help="Transfers that recur: ordered once, paid once each time.",
        rich_help_panel="Many at once, or again and again",
    )

    @app.command(rich_help_panel="Looking after it")
    def demo(
        as_json: Json = False,
    ) -> None:
        """Watch money survive lost answers, killed workers and fifty retries at once, on a data folder of its own."""
        raise typer.Exit(tell(as_json))

    return app
