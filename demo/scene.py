"""Scene: one step while it is told. What it shows it has checked: a claim that is not so ends the story."""

from dataclasses import dataclass, field
from typing import Any

from activities.messages import LegOutcome, TransferRequest
from demo.showing import Show
from demo.stage import Balances, NotAsTold, Stage, Told
from engine.settings import TASK_QUEUE
from workflows.asking import ATTEMPT


@dataclass
class Scene:
    """A step's stage, its output, the facts that it found, and what it proved: good news and bad."""

    stage: Stage
    show: Show
    facts: dict[str, Any] = field(default_factory=dict)
    proven: list[str] = field(default_factory=list)
    harm: list[str] = field(default_factory=list)

    async def ask(self, *words: str, armed: str = "") -> Told:
        """Show a command, run it, and return what it told its caller."""
        self.show.command(["starter.py", *words])
        return await self.stage.ask(*words, armed=armed)

    async def look(self, moment: str, **expected: str) -> Balances:
        """Read balances, show them as a column, and check them: `alice="75.00"`; `transit` stands for transit:USD.

        An account that is not there yet is expected as "".
        """
        wanted = {("transit:USD" if name == "transit" else name): _minor(text) for name, text in expected.items()}
        found = await self.stage.balances(*wanted)
        self.show.balances(moment, found)
        self.facts.setdefault("balances", {})[moment] = dict(found)
        for account_id, amount_minor in wanted.items():
            self.check(f"{account_id}, {moment}", found[account_id], amount_minor)
        return found

    def check(self, what: str, found: object, expected: object) -> None:
        """Hold a claim against what is there. Raises NotAsTold."""
        if found != expected:
            raise NotAsTold(f"{what}: expected {expected}, found {found}")

    def answered(self, told: Told, exit: int, **fields: object) -> None:
        """Hold what a caller was told against the story, and note it as a fact."""
        words = {name: told.data.get(name) for name in fields}
        self.facts.setdefault("answers", []).append({"exit": told.exit} | words)
        said = told.data.get("reason") or told.data.get("detail") or told.data.get("status") or ""
        self.check("exit status" + (f" ({said})" if said and told.exit != exit else ""), told.exit, exit)
        for name, value in fields.items():
            self.check(name, words[name], value)

    async def late_credit(self, transfer_id: str, destination: str, amount_minor: int) -> LegOutcome:
        """The credit's activity once more, through Temporal but outside of any workflow: what a zombie would do."""
        request = TransferRequest(
            transfer_id=transfer_id,
            source="alice",
            destination=destination,
            amount_minor=amount_minor,
            currency="USD",
        )
        self.stage.asked += 1
        self.show.event(f"a zombie: {transfer_id}/credit is attempted once more, late")
        outcome: LegOutcome = await self.stage.client.execute_activity(
            "credit",
            request,
            id=f"late/{transfer_id}",
            task_queue=TASK_QUEUE,
            result_type=LegOutcome,
            start_to_close_timeout=ATTEMPT,
            schedule_to_close_timeout=ATTEMPT * 2,
        )
        self.stage.replayed += outcome.replayed
        self.facts["late_credit"] = {"outcome": str(outcome.kind), "code": outcome.code, "replayed": outcome.replayed}
        return outcome


def transfer(id: str, amount: str, destination: str = "bob") -> list[str]:
    """The words of a transfer from Alice."""
    return ["transfer", "--id", id, "--from", "alice", "--to", destination, "--amount", amount]


def _minor(text: str) -> int | None:
    return int(text.replace(".", "")) if text else None
