"""audit, sweep: what those do who look after the whole."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.options import Json, Timeout
from engine.settings import Settings

if TYPE_CHECKING:
    from cli.answers import Answer


def audit(as_json: Json = False) -> None:
    """Recompute the books from their postings; exit status 1 when anything is wrong."""
    from cli import auditing
    from cli.answers import give

    give(lambda: auditing.audit(Settings.from_environment()), as_json, {"ok": None})


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
