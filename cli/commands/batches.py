"""batch: a file of transfers."""

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.options import Json
from engine.settings import Settings

if TYPE_CHECKING:
    from cli.answers import Answer


def batch(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="CSV, or JSON lines (.jsonl): transfer_id, from, to, amount, currency; more are allowed.",
        ),
    ],
    id: Annotated[str, typer.Option("--id", help="Your id of the batch: one file belongs to it, for ever.")],
    results: Annotated[
        Path | None, typer.Option("--results", help="Where the results go; without it, beside the file.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse the file first if any line of it is bad.")] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Seconds to wait for the outcome of any one part of it.")
    ] = 300.0,
    as_json: Json = False,
) -> None:
    """Move money as a file says, line by line, each once per its id. The same command again does what is missing."""
    from cli.answers import give

    gc.enable()  # this one runs for a while

    async def work() -> "Answer":
        from cli import batches

        return await batches.batch(Settings.from_environment(), batches.Asked(file, id, results, strict, timeout))

    give(work, as_json, {"batch_id": id})
