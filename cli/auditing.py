"""audit: ask the books everything at once, recomputed from their postings."""

from typing import TYPE_CHECKING

from cli.answers import Answer, Exit
from cli.reach import books, progress
from engine.settings import Settings
from ledger.errors import MalformedRequest
from ledger.money import format_amount

if TYPE_CHECKING:
    from ledger.audit import AuditReport


async def audit(settings: Settings) -> Answer:
    """The audit's report; exit status 1 when anything is wrong."""
    from ledger.audit import audit as ask
    from ledger.database import AUDITING

    with progress("auditing"):
        async with books(settings, AUDITING) as reader:
            report = await ask(reader)
    return Answer(report.as_json(), Exit.OK if report.ok else Exit.WRONG, show=lambda: _show(report))


def _show(report: "AuditReport") -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("currency")
    for name in ("postings", "debits", "credits", "held", "in transit", "open"):
        table.add_column(name, justify="right")
    for totals, transit in zip(report.currencies, report.transit, strict=True):
        money = (totals.debits_minor, totals.credits_minor, totals.held_minor, transit.balance_minor)
        shown = [_shown(amount, totals.currency) for amount in money]
        table.add_row(totals.currency, str(totals.postings), *shown, str(transit.open_transfers))
    console.print("[bold green]The books are right.[/]" if report.ok else "[bold red]The books are wrong.[/]")
    console.print(table)
    for what, counts in (("transfers", report.transfers), ("operations", report.operations)):
        console.print(
            f"  [dim]{what:<11}[/] " + ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        )
    for violation in report.violations:
        console.print(f"  [red]{violation.check}[/]  [bold]{escape(violation.subject)}[/]  {escape(violation.detail)}")


def _shown(amount_minor: int, currency: str) -> str:
    """An amount, also of a currency that only corrupt books can have."""
    try:
        return format_amount(amount_minor, currency)
    except MalformedRequest:
        return f"{amount_minor} minor"
