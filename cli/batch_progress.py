"""The progress of a batch, for people who watch: a bar, the rate, and the time left."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Bar = Callable[[int, int], None]
"""Told the last line of the file that has an outcome, and how many transfers have one."""


@contextmanager
def bar(title: str, lines: int) -> Iterator[Bar | None]:
    """A bar for a file of so many lines; None when the output goes elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    rate = TextColumn("{task.fields[rate]}")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=lines, rate="")

        def show(line: int, transfers: int) -> None:
            elapsed = progress.tasks[0].elapsed or 0
            rate = f"{transfers / elapsed:,.0f}/s" if elapsed else ""
            progress.update(task, completed=line, rate=rate)

        yield show
