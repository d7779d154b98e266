"""recurring create, list, show, change, pause, resume, trigger, backfill, delete: transfers that recur."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.accounts import INSTANT
from cli.commands.options import Json, Timeout
from cli.instants import parse_instant
from engine.settings import Settings
from ledger.money import parse_amount

if TYPE_CHECKING:
    from cli.answers import Answer

app = typer.Typer(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})

RecurringId = Annotated[str, typer.Argument(metavar="ID", help="The recurring transfer.")]
Cron = Annotated[str | None, typer.Option("--cron", help="Minute hour day month weekday, in UTC, such as '0 9 1 * *'.")]
Every = Annotated[str | None, typer.Option("--every", help="Or an interval: 30d, 12h, 15m, 90s.")]
Starting = Annotated[
    str | None, typer.Option("--starting", help=f"Not before this instant, and intervals from it on: {INSTANT}.")
]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the record.")]


@app.command()
def create(
    id: Annotated[str, typer.Argument(metavar="ID", help="Your business id of it.")],
    source: Annotated[str, typer.Option("--from", help="The account that pays.")],
    destination: Annotated[str, typer.Option("--to", help="The account that is paid.")],
    amount: Annotated[str, typer.Option("--amount", help="How much each time, such as 800.00.")],
    currency: Annotated[str, typer.Option("--currency", help="The currency (ISO 4217).")] = "USD",
    cron: Cron = None,
    every: Every = None,
    starting: Starting = None,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Let a transfer recur. The same again is no error; another one under the same id is."""
    from cli.answers import give

    async def work() -> "Answer":
        from activities.recurring import RecurringOrder
        from cli import recurring

        order = RecurringOrder(
            recurring_id=id,
            source=source,
            destination=destination,
            amount_minor=parse_amount(amount, currency),
            currency=currency,
            cron=cron,
            every_seconds=None if every is None else recurring.parse_every(every),
            starting_at=None if starting is None else parse_instant(starting),
        )
        return await recurring.create(Settings.from_environment(), order, timeout)

    give(work, as_json, {"recurring_id": id})


@app.command("list")
def list_all(timeout: Timeout = 30.0, as_json: Json = False) -> None:
    """List what recurs. What was made a moment ago may be missing."""
    from cli import recurring
    from cli.answers import give

    give(lambda: recurring.list_all(Settings.from_environment(), timeout), as_json, {})


@app.command()
def show(id: RecurringId, timeout: Timeout = 30.0, as_json: Json = False) -> None:
    """Say when it is due next, and how the last occurrences ended."""
    from cli import recurring
    from cli.answers import give

    give(lambda: recurring.show(Settings.from_environment(), id, timeout), as_json, {"recurring_id": id})


@app.command()
def change(
    id: RecurringId,
    source: Annotated[str | None, typer.Option("--from", help="Another account that pays.")] = None,
    destination: Annotated[str | None, typer.Option("--to", help="Another account that is paid.")] = None,
    amount: Annotated[str | None, typer.Option("--amount", help="Another amount, in the same currency.")] = None,
    cron: Cron = None,
    every: Every = None,
    starting: Starting = None,
    expected_version: Annotated[
        int | None, typer.Option("--expected-version", help="Only if it is still at this version.")
    ] = None,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Change the occurrences that are not due yet. What is so already is no error."""
    from cli.answers import give

    async def work() -> "Answer":
        from activities.recurring import OrderChange
        from cli import recurring

        change = OrderChange(
            source=source,
            destination=destination,
            amount=amount,
            cron=cron,
            every_seconds=None if every is None else recurring.parse_every(every),
            starting_at=None if starting is None else parse_instant(starting),
            expected_version=expected_version,
        )
        return await recurring.change(Settings.from_environment(), id, change, timeout)

    give(work, as_json, {"recurring_id": id})


@app.command()
def pause(
    id: RecurringId, reason: Reason = "paused by request", timeout: Timeout = 30.0, as_json: Json = False
) -> None:
    """Let nothing come due until it is resumed."""
    from cli import recurring
    from cli.answers import give

    give(lambda: recurring.pause(Settings.from_environment(), id, reason, timeout), as_json, {"recurring_id": id})


@app.command()
def resume(
    id: RecurringId, reason: Reason = "resumed by request", timeout: Timeout = 30.0, as_json: Json = False
) -> None:
    """Let it recur again. What came due meanwhile is not paid, unless you backfill it."""
    from cli import recurring
    from cli.answers import give

    give(lambda: recurring.resume(Settings.from_environment(), id, reason, timeout), as_json, {"recurring_id": id})


@app.command()
def trigger(
    id: RecurringId,
    occurrence: Annotated[
        str | None, typer.Option("--occurrence", help="Which one, by its time, such as 2026-12-01T09:00:00Z.")
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the outcome.")] = False,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Pay one occurrence now, and not again when its time comes."""
    from cli import recurring
    from cli.answers import give

    give(
        lambda: recurring.trigger(Settings.from_environment(), id, occurrence, not no_wait, timeout),
        as_json,
        {"recurring_id": id},
    )


@app.command()
def backfill(
    id: RecurringId,
    begin: Annotated[str, typer.Option("--from", help=f"From this instant on: {INSTANT}.")],
    end: Annotated[str, typer.Option("--to", help="Until before this instant, which is over.")],
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Pay what was missed, as during a pause. What was paid is not paid again."""
    from cli import recurring
    from cli.answers import give

    give(
        lambda: recurring.backfill(Settings.from_environment(), id, begin, end, timeout), as_json, {"recurring_id": id}
    )


@app.command()
def delete(id: RecurringId, timeout: Timeout = 30.0, as_json: Json = False) -> None:
    """End it. Occurrences that were due are not touched."""
    from cli import recurring
    from cli.answers import give

    give(lambda: recurring.delete(Settings.from_environment(), id, timeout), as_json, {"recurring_id": id})
