"""Showing: what the demo looks like. A step is a headline, one or two sentences, commands, balances, and ticks.

The table of balances grows by a column while the step goes on, with a spinner under it where there is a wait. On
anything that is no terminal, each table appears once, when it is complete.
"""

import contextlib
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from demo.stage import Balances
from ledger.money import format_amount

WIDEST = 100
"""Columns. Longer lines are harder to read, however wide the window is."""

_INDENT = 4


class Show:
    """The demo's output. `silent` shows nothing, for --json."""

    def __init__(self, silent: bool = False) -> None:
        with contextlib.suppress(AttributeError):
            sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a tick must not end the demo
        self._console = Console(highlight=False, quiet=silent)
        self._console.width = min(self._console.width, WIDEST)
        self._live: Live | None = None
        self._moments: list[tuple[str, Balances]] = []
        self._waiting: Spinner | None = None
        self._since = 0.0

    def opening(self, text: str) -> None:
        """The first line."""
        self._console.print(f"\n[bold]{text}[/]")

    def note(self, text: str) -> None:
        """A quiet line at the margin."""
        self._console.print(Text(text, style="dim"), soft_wrap=True)  # a broken link is no link

    def headline(self, number: int, title: str, why: str) -> None:
        """The beginning of a step."""
        self._console.print(f"\n[bold cyan]{number:>2}[/]  [bold]{title}[/]")
        self._indented(Text("\n".join(_balanced(why, self._console.width - _INDENT))))
        self._console.print()

    @contextlib.contextmanager
    def playing(self) -> Iterator[None]:
        """The time of a step in which its table grows."""
        self._moments = []
        try:
            with self._alive() as self._live:
                yield
        finally:
            self._live = None
            if self._moments:
                self._indented(self._picture())
                self._console.print()

    def command(self, words: Sequence[str], prompt: str = "$") -> None:
        """A command as a user types it, over several lines if it is too long for one."""
        lines = _folded(words, self._console.width - _INDENT - 5)
        for index, line in enumerate(lines):
            after = " \\" if index < len(lines) - 1 else ""
            self._indented(
                Text.assemble((f"{prompt} " if index == 0 else "    ", "dim"), (line, "cyan"), (after, "dim"))
            )

    def event(self, text: str) -> None:
        """Something that happens by itself, or is done to the processes."""
        self._indented(Text.assemble(("⚡ ", "yellow"), (text, "yellow")))

    def balances(self, moment: str, balances: Balances) -> None:
        """One more column of the step's table."""
        self._moments.append((moment, balances))

    @contextlib.contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """A spinner with the seconds that have passed."""
        self._waiting, self._since = Spinner("dots", text=text, style="cyan"), time.monotonic()
        with contextlib.nullcontext() if self._live else self._alive():
            try:
                yield
            finally:
                self._waiting = None

    def proven(self, text: str) -> None:
        """A claim that was checked."""
        self._indented(Text.assemble(("✓ ", "bold green"), text))

    def harm(self, text: str) -> None:
        """A claim that was checked, about something that nobody wants."""
        self._indented(Text.assemble(("✗ ", "bold yellow"), (text, "yellow")))

    def failed(self, text: str) -> None:
        """A claim that is not so."""
        self._indented(Text.assemble(("✗ ", "bold red"), (text, "red")))

    def figures(self, rows: Sequence[tuple[str, str]]) -> None:
        """A few named figures."""
        table = Table.grid(padding=(0, 2))
        for name, value in rows:
            table.add_row(Text(name, style="dim"), value)
        self._console.print()
        self._indented(table)
        self._console.print()

    def ending(self, text: str) -> None:
        """The last word."""
        self._console.print(f"\n[bold]{text}[/]")

    def _indented(self, what: RenderableType) -> None:
        parts = what.wrap(self._console, self._console.width - _INDENT) if isinstance(what, Text) else [what]
        for part in parts:
            self._console.print(Padding(part, (0, 0, 0, _INDENT), expand=False))

    def _alive(self) -> Live:
        """The part of the screen that changes. Gone at its end, and not there at all where there is no screen."""
        return Live(
            get_renderable=lambda: Padding(self._picture(), (0, 0, 0, _INDENT), expand=False),
            console=self._console,
            refresh_per_second=10,
            transient=True,
        )

    def _picture(self) -> RenderableType:
        parts: list[RenderableType] = []
        if self._moments:
            parts += ["", _table(self._moments)]
        if self._waiting is not None:
            elapsed = Text(f"  {time.monotonic() - self._since:4.1f} s", style="dim")
            row = Table.grid()
            row.add_row(self._waiting, elapsed)
            parts += ["", row] if self._moments else [row]
        return Group(*parts)


def _table(moments: Sequence[tuple[str, Balances]]) -> Table:
    """Accounts down, moments across. What has changed since the moment before stands out."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, min_width=11)
    header = [Text("USD", style="dim")]
    for index, (moment, _) in enumerate(moments):
        if index:
            table.add_column()
            header.append(Text(""))
        table.add_column(justify="right", no_wrap=True, min_width=8)
        header.append(Text(moment, style="dim"))
    table.add_row(*header)
    for account_id in moments[0][1]:
        row = [Text(account_id)]
        before: int | None = None
        for index, (_, balances) in enumerate(moments):
            now = balances[account_id]
            if index:
                row.append(Text("→", style="dim"))
            row.append(_amount(now, before, index == 0))
            before = now
        table.add_row(*row)
    return table


def _amount(now: int | None, before: int | None, first: bool) -> Text:
    if now is None:
        return Text("—", style="dim")
    text = Text(format_amount(now, "USD"))
    if not first:
        text.stylize("dim" if now == before else "bold green" if now > (before or 0) else "bold yellow")
    return text


def _balanced(text: str, width: int) -> list[str]:
    """The text in as few lines as fit, all of about the same length: no word is left alone on the last one."""
    lines = fewest = textwrap.wrap(text, width)
    while width > 1 and len(lines) == len(fewest):
        fewest, width = lines, width - 1
        lines = textwrap.wrap(text, width)
    return fewest


def _folded(words: Sequence[str], width: int) -> list[str]:
    """The command in lines of at most `width` columns, with each option beside its value."""
    pieces: list[str] = []
    for word in words:
        if pieces and pieces[-1].startswith("--") and " " not in pieces[-1] and not word.startswith("--"):
            pieces[-1] += f" {word}"
        else:
            pieces.append(word)
    lines = [""]
    for piece in pieces:
        if lines[-1] and len(lines[-1]) + 1 + len(piece) > width - (4 if len(lines) > 1 else 0):
            lines.append(piece)
        else:
            lines[-1] = f"{lines[-1]} {piece}".strip()
    return lines
