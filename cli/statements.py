"""statement: every posting to an account within a period, as a table, as JSON, or as CSV for a spreadsheet."""

import csv
import sys
from typing import TYPE_CHECKING, Any

from cli.accounts import account_fields, no_account
from cli.answers import Answer
from cli.instants import show_instant
from cli.reach import books
from engine.settings import Settings
from ledger.keys import check_id
from ledger.money import format_amount, say

if TYPE_CHECKING:
    from ledger.statement import Period, Statement, StatementLine

_MILLISECONDS = "milliseconds"
_COLUMNS = (
    "sequence", "recorded_at", "operation_key", "other_account_id", "change", "balance_after", "currency",
    "change_minor", "balance_after_minor",
)  # fmt: skip  # the line that every CSV begins with


async def statement(settings: Settings, account_id: str, period: "Period", as_csv: bool = False) -> Answer:
    """An account's postings within a period, with the balance before, between and after them, from the books.

    `as_csv` is for those who did not ask for JSON: a spreadsheet instead of a table.
    """
    check_id(account_id, "account id")
    async with books(settings) as reader:
        found = await reader.statement(account_id, period)
    if found is None:
        return no_account(account_id)
    data = account_fields(found.account) | {
        "from": None if period.begin is None else show_instant(period.begin),
        "to": None if period.end is None else show_instant(period.end),
        "opening_balance_minor": found.opening_balance,
        "closing_balance_minor": found.closing_balance,
        "lines": [_line(line) for line in found.lines],
    }
    return Answer(data, show=lambda: _write_csv(found) if as_csv else _show(found, data))


def _line(line: "StatementLine") -> dict[str, Any]:
    return {
        "sequence": line.sequence,
        "operation_key": line.operation_key,
        "other_account_id": line.other_account_id,
        "change_minor": line.change,
        "balance_after_minor": line.balance_after,
        "recorded_at": show_instant(line.recorded_at, _MILLISECONDS),
    }


def _write_csv(statement: "Statement") -> None:
    """RFC 4180: a header, comma-separated, lines that end with CR LF. Amounts in major units, and in minor units."""
    currency = statement.account.currency
    writer = csv.DictWriter(sys.stdout, _COLUMNS)
    writer.writeheader()
    for line in statement.lines:
        writer.writerow(
            _line(line)
            | {
                "currency": currency,
                "change": format_amount(line.change, currency),
                "balance_after": format_amount(line.balance_after, currency),
            }
        )


def _show(statement: "Statement", data: dict[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    account = statement.account
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("recorded (UTC)", "operation", "other account"):
        table.add_column(name, no_wrap=True)
    for name in ("change", "balance"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row("", "[dim]opening balance[/]", "", "", format_amount(statement.opening_balance, account.currency))
    for line in statement.lines:
        change = format_amount(line.change, account.currency)
        signed = f"[green]+{change}[/]" if line.change > 0 else f"[red]{change}[/]"
        after = format_amount(line.balance_after, account.currency)
        when = show_instant(line.recorded_at, "seconds")[:19].replace("T", " ")
        table.add_row(when, line.operation_key, line.other_account_id, signed, after)
    closing = format_amount(statement.closing_balance, account.currency)
    table.add_row("", "[dim]closing balance[/]", "", "", f"[bold]{closing}[/]")
    console = Console(highlight=False)
    bounds = "".join(f"  {word} {data[word]}" for word in ("from", "to") if data[word])
    console.print(
        f"[bold]{account.id}[/]  {say(statement.closing_balance, account.currency)}  ({account.status}){bounds}"
    )
    console.print(table)
