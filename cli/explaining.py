"""explain: all that Temporal and the books know of a transfer or an entry, in one timeline, and what that proves."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli import entries
from cli.answers import Answer, Exit
from cli.instants import show_instant
from cli.reach import books, progress, temporal
from cli.transfers import not_found
from engine.connection import NotReachable
from engine.entry_ids import entry_workflow_id
from engine.history import Run, runs_of
from engine.moments import moments
from engine.results import Unanswered
from engine.settings import Settings
from engine.submitting import workflow_id
from engine.timeline import Line, Source, merge
from ledger.corrections import Contradiction, read_contradiction
from ledger.effects import Effect, Verdict, effects, judge, judge_entry
from ledger.entries import Entry
from ledger.keys import Leg, check_id, operation_key
from ledger.money import format_amount, say
from ledger.operation import ENDING, Outcome
from ledger.story import Story, read_entry_story, read_story
from ledger.transfer import Status

if TYPE_CHECKING:
    from rich.table import Table

PATIENCE_SECONDS = 10.0
"""How long Temporal may take: what the books know is told without it."""

HISTORY, FORGOTTEN, NOT_REACHABLE = "history", "forgotten", "not_reachable"
_SILENT = {
    FORGOTTEN: "Temporal has no history of it any more. This is what the books remember.",
    NOT_REACHABLE: "Temporal does not answer. This is what the books remember.",
}
_VERDICTS = {
    Verdict.MOVED_ONCE: "[bold green]The money moved once.[/]",
    Verdict.NOT_MOVED: "[bold green]No money moved.[/]",
    Verdict.IN_TRANSIT: "[bold yellow]The money is in transit:[/] taken, and not yet given to anybody.",
    Verdict.WRONG: "[bold red]The postings contradict what was asked.[/] Ask the audit.",
}
_COLOURS = {Source.TEMPORAL: "dim", Source.NOTIFY: "cyan"}


@dataclass(frozen=True, slots=True)
class Explanation:
    """All about one transfer, or about the entry that is `asked`, with how that `ended`.

    `story` is None if the books do not know it, `runs` if Temporal did not answer.
    """

    id: str
    story: Story | None
    runs: Sequence[Run] | None
    kind: str | None = None
    ended: tuple[Entry, Outcome] | None = None
    contradiction: Contradiction | None = None

    @property
    def status(self) -> Status | None:
        """Where it is: in the books, or, as long as only Temporal works on it, accepted or what it waits for."""
        if self.story is not None and self.story.state is not None:
            return self.story.state.status
        if self.ended is not None:
            return ENDING[self.ended[1].kind]
        shown = [run.status for run in self.runs or () if run.running]
        waits = [status for status in (Status.AWAITING_APPROVAL, Status.SCHEDULED) if status in shown]
        return waits[0] if waits else Status.ACCEPTED if shown else None

    @property
    def temporal(self) -> str:
        """What Temporal had to say."""
        if self.runs is None:
            return NOT_REACHABLE
        return HISTORY if self.runs else FORGOTTEN

    @property
    def lines(self) -> list[Line]:
        """The timeline."""
        return merge(self.story, moments(self.runs or ()))

    @property
    def effects(self) -> list[Effect]:
        """What it did to each account."""
        return effects(self.story.postings if self.story else ())

    @property
    def verdict(self) -> Verdict:
        """What the effects prove."""
        if self.ended is not None:
            entry, outcome = self.ended
            return judge_entry(entry, outcome.applied, list(self.story.postings if self.story else ()))
        return judge(self.story.state if self.story else None, self.effects)

    def as_json(self) -> dict[str, Any]:
        """The contract of `explain --json`."""
        return {
            **({"transfer_id": self.id} if self.kind is None else {"id": self.id, "kind": self.kind}),
            "status": self.status and str(self.status),
            "temporal": self.temporal,
            "timeline": [_line_as_json(line) for line in self.lines],
            "effects": [
                {
                    "account_id": effect.account_id,
                    "currency": effect.currency,
                    "debits_minor": effect.debits,
                    "credits_minor": effect.credits,
                    "net_minor": effect.net,
                }
                for effect in self.effects
            ],
            "verdict": str(self.verdict),
            **({} if self.contradiction is None else {"contradicted": _contradicted_as_json(self.contradiction)}),
        }


async def explain(settings: Settings, id: str) -> Answer:
    """The whole story of a transfer or an entry; exit status 1 if its postings contradict what was asked.

    Temporal is asked first: so the books have at least what its history speaks of. Raises Unanswered when the books
    do not know it and Temporal does not say whether it does.
    """
    check_id(id, "transfer id")
    with progress(f"{id}: reading"):
        explanation = await _of_a_transfer(settings, id)
        if explanation.story is None and not explanation.runs:
            explanation = await _of_an_entry(settings, id, explanation.runs is not None) or explanation
    if explanation.story is None and explanation.runs is None:
        raise Unanswered(f"the books do not know {id}, and Temporal does not answer.")
    if explanation.story is None and not explanation.runs:
        return not_found(id)
    exit = Exit.WRONG if explanation.verdict is Verdict.WRONG else Exit.OK
    return Answer(explanation.as_json(), exit, show=lambda: _show(explanation))


async def _of_a_transfer(settings: Settings, id: str) -> Explanation:
    runs = await _runs(settings, workflow_id(id))
    async with books(settings) as reader:
        story = await read_story(reader, id)
        state = story and story.state
        return Explanation(id, story, runs, contradiction=await read_contradiction(reader, state) if state else None)


async def _of_an_entry(settings: Settings, id: str, temporal_answers: bool) -> Explanation | None:
    """The same of the first entry with this id that the books know, or that Temporal does. None if neither does."""
    ended = await entries.recorded(settings, id)
    key = operation_key(id, ended[0].leg) if ended else await _under_way(settings, id) if temporal_answers else None
    if key is None:
        return None
    runs = await _runs(settings, entry_workflow_id(key)) if temporal_answers else None
    async with books(settings) as reader:
        story = await read_entry_story(reader, key)
    return Explanation(id, story, runs, key.partition("/")[2], ended or await entries.recorded(settings, id))


async def _under_way(settings: Settings, id: str) -> str | None:
    """The key of an entry that Temporal works on and the books do not know yet."""
    try:
        async with temporal(settings, PATIENCE_SECONDS) as submitter:
            found = await entries.find(submitter, id)
    except (NotReachable, Unanswered):
        return None
    return operation_key(id, Leg(found.workflow_id.partition("/")[0])) if found else None


async def _runs(settings: Settings, id: str) -> Sequence[Run] | None:
    """What Temporal has of a workflow; None if it does not answer in time."""
    try:
        async with temporal(settings, PATIENCE_SECONDS) as submitter, asyncio.timeout(PATIENCE_SECONDS):
            return await runs_of(submitter.client, id)
    except (NotReachable, Unanswered, TimeoutError):
        return None


def _line_as_json(line: Line) -> dict[str, Any]:
    said: dict[str, Any] = {
        "at": show_instant(line.at, "milliseconds"),
        "source": str(line.source),
        "what": line.what,
        "key": line.key,
        "detail": line.detail,
    }
    if line.run_id is not None:
        said["run_id"] = line.run_id
    if line.posting is not None:
        said |= {
            "debit_account_id": line.posting.debit_account_id,
            "credit_account_id": line.posting.credit_account_id,
            "amount_minor": line.posting.amount_minor,
            "currency": line.posting.currency,
        }
    return said


def _contradicted_as_json(contradiction: Contradiction) -> dict[str, Any]:
    by = contradiction.correction
    return {
        "key": contradiction.key,
        "detail": contradiction.word,
        "corrected": contradiction.corrected,
        "corrected_by": by.id if by is not None and contradiction.corrected else None,
    }


def _contradicted(id: str, contradiction: Contradiction) -> str:
    said = f"Its rail says otherwise ({contradiction.key}: {contradiction.word})."
    if not contradiction.corrected:
        return f"[bold red]{said}[/]\nTo correct it: starter.py correct {id}"
    by = contradiction.correction
    return f"[yellow]{said}[/]\nIt was corrected by {by.id if by else 'what its rail, or other reversals, gave back'}."


def _show(explanation: Explanation) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    console.print(_headline(explanation))
    if explanation.temporal in _SILENT:
        console.print(f"[yellow]{_SILENT[explanation.temporal]}[/]")
    if explanation.story is None:
        console.print("[yellow]The books do not know it yet. This is what Temporal remembers.[/]")
    console.print(_timeline(explanation.lines))
    if explanation.effects:
        console.print(_proof(explanation.effects))
    console.print(_VERDICTS[explanation.verdict])
    if explanation.contradiction is not None:
        console.print(_contradicted(explanation.id, explanation.contradiction))


def _headline(explanation: Explanation) -> str:
    kind = f"  {explanation.kind}" if explanation.kind else ""
    said = f"[bold]{explanation.id}[/]{kind}  {explanation.status or 'not in the books'}"
    if explanation.story is None or explanation.story.state is None:
        return said
    transfer = explanation.story.state.transfer
    amount = say(transfer.amount_minor, transfer.currency)
    return f"{said}  {amount}  {transfer.source} → {transfer.destination}"


def _timeline(lines: Sequence[Line]) -> "Table":
    from rich import box
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("time (UTC)", no_wrap=True)
    table.add_column("where", no_wrap=True)
    table.add_column("what", overflow="fold")
    table.add_column("key", overflow="fold")
    day = ""
    for line in lines:
        date, _, time = show_instant(line.at, "milliseconds").partition("T")
        if date != day:
            table.add_row(f"[bold]{date}[/]")
            day = date
        what = Group(Text(line.what, "bold" if line.posting else ""))
        if line.detail:
            what.renderables.append(Padding(Text(line.detail, "italic"), (0, 0, 0, 2)))
        table.add_row(time[:12], line.source, what, Text(line.key or ""), style=_COLOURS.get(line.source))
    return table


def _proof(effects: Sequence[Effect]) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("account", overflow="fold")
    for name in ("debits", "credits", "net"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for effect in effects:
        amounts = (effect.debits, effect.credits, effect.net)
        table.add_row(effect.account_id, *(format_amount(it, effect.currency) for it in amounts), effect.currency)
        sums[effect.currency] = [total + amount for total, amount in zip(sums[effect.currency], amounts, strict=True)]
    table.add_section()
    for currency, totals in sums.items():
        table.add_row("[bold]sum[/]", *(format_amount(total, currency) for total in totals), currency)
    return table
