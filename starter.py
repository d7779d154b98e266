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
import signal
import sys
import traceback
from collections.abc import Callable

import typer

from cli.commands import accounts, approving, batches, entries, holds, limits, operators, payouts, recurring, transfers
from cli.commands.options import Json

app = typer.Typer(
    help=__doc__.replace("\n    starter.py", "\n\n    starter.py"),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

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
    ),
    "Many at once, or again and again": (batches.batch,),
    "Movements of one step": (entries.split, entries.exchange, entries.reverse, entries.set_balance),
    "Looking after it": (operators.audit, operators.sweep),
}
"""Every command, under the heading that `--help` shows it with."""

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
    try:
        from demo.story import tell
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] != "demo":
            raise
        sys.stderr.write("starter.py: the demo is not part of this installation\n")
        raise typer.Exit(2) from None
    gc.enable()  # this one runs for a while
    raise typer.Exit(tell(as_json))


def main() -> int:
    """Run the command. Returns the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # told to stop is the same as Ctrl-C
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
