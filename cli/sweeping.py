"""sweep: finish what a terminated or lost workflow has left unfinished, now and not at the next minute."""

from typing import TYPE_CHECKING

from cli.answers import Answer, Exit
from cli.reach import progress, temporal
from engine.settings import Settings

if TYPE_CHECKING:
    from activities.messages import SweepRequest, SweepSummary


async def sweep(settings: Settings, request: "SweepRequest", timeout_seconds: float) -> Answer:
    """A sweep's summary: exit status 1 when the books and Temporal disagree, 5 when something gave no answer."""
    from engine import sweeping

    with progress("sweeping"):
        async with temporal(settings, timeout_seconds) as submitter:
            summary = await sweeping.sweep(submitter.client, request, timeout_seconds)
    return Answer(summary.model_dump(mode="json"), _exit(summary), show=lambda: _show(summary))


def _exit(summary: "SweepSummary") -> Exit:
    if summary.disagreeing:
        return Exit.WRONG
    return Exit.UNKNOWN if summary.unanswered or summary.more else Exit.OK


def _show(summary: "SweepSummary") -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("unfinished")
    for name in ("looked at", "running", "started again", "disagreeing"):
        table.add_column(name, justify="right")
    counts = (summary.looked_at, summary.running, summary.restarted, summary.disagreeing)
    table.add_row("transfers", *(str(count) for count in counts))
    table.add_row("notifications", str(summary.notifications_looked_at), "", str(summary.notifications_restarted), "")
    console.print(table)
    if summary.disagreeing:
        console.print("[bold red]Unfinished in the books, but Temporal says completed:[/]")
        for id in summary.disagreeing_ids:
            console.print(f"  {escape(id)}")
    if summary.unanswered:
        console.print(f"[yellow]No answer about {summary.unanswered}.[/] Run the same command again.")
    if summary.more:
        console.print("[yellow]There is more.[/] Run the same command again.")
