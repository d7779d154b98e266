"""Stories: a bank of its own for each case, and one transfer of each ending to run again."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from temporalio.client import Client

from activities.messages import TransferRequest
from engine.embedded import EmbeddedServer
from engine.plugin import ClientPlugin
from ledger.book import Ledger
from tests.faults.callers import Asking, ask
from tests.faults.checking import check, effects
from tests.faults.evidence import Answer, Delivery, Evidence
from tests.faults.record import Trial
from tests.faults.run import Run
from tests.support.bank import Bank
from tests.support.examples import open_with
from tests.workflows import endings


@dataclass(frozen=True)
class Story:
    """How a transfer is brought to its ending, what was asked, and how it ends."""

    play: Callable[[Bank], Awaitable[str]]
    name: str
    ends: tuple[str, str | None]
    destination: str = "bob"
    amount_minor: int = 25_00

    def request(self, bank: Bank, amount_minor: int | None = None) -> TransferRequest:
        """What the story asks; or the same id with another amount."""
        return bank.request(self.name, "alice", self.destination, amount_minor or self.amount_minor)


STORIES = (
    Story(endings.settled, "settled", ("settled", None)),
    Story(endings.rejected, "rejected", ("rejected", "insufficient_funds"), amount_minor=1_000_000),
    Story(endings.refunded, "refunded", ("refunded", "account_closed"), destination="carol"),
)


@dataclass
class Scene:
    """A bank with a running worker, and every answer that was heard there."""

    run: Run
    url: str
    bank: Bank
    answers: list[Answer] = field(default_factory=list)

    async def play(self, story: Story) -> str:
        """Play a story. Whoever asked was killed before the answer."""
        asking = Asking.now("killed", story.request(self.bank))
        id = await story.play(self.bank)
        self.answers.append(asking.told(5, error="Killed"))
        return id

    async def ask(self, request: TransferRequest, caller: str = "again") -> Answer:
        """Ask, and remember the answer."""
        answer = await ask(self.bank.submitter, caller, request)
        self.answers.append(answer)
        return answer

    async def check(self, trial: Trial) -> Evidence:
        """Judge it by the invariants, and count what became of the transfers."""
        deliveries = [Delivery(key, body, float("inf")) for key, body in self.bank.notifier.seen]
        evidence = await check(
            trial,
            self.url,
            self.bank.client,
            task_queue=self.bank.task_queue,
            answers=self.answers,
            deliveries=deliveries,
        )
        for key, _ in self.bank.notifier.seen:
            times = sum(key == other for other, _ in self.bank.notifier.seen)
            trial.expect(times == 1, f"{key} was delivered {times} times, and no delivery was ever silent")
        self.run.record.effects(**effects(evidence))
        return evidence


@asynccontextmanager
async def scene(
    run: Run, server: EmbeddedServer, namespace: str = "default", max_cached_workflows: int = 1000
) -> AsyncIterator[Scene]:
    """Fresh books with Alice's 1,000.00 USD, and a worker on a queue of its own."""
    url = run.new_database()
    client = await Client.connect(server.address, namespace=namespace, plugins=[ClientPlugin()])
    async with Ledger.open(url) as ledger:
        await open_with(ledger, alice=1_000_00, bob=0, carol=0)
        bank = Bank(ledger, client)
        async with bank.working(max_cached_workflows):
            yield Scene(run, url, bank)


def expect_ending(trial: Trial, story: Story, answer: Answer, when: str) -> None:
    """The same ending as ever."""
    told = (answer.status, answer.reason)
    trial.expect(
        told == story.ends, f"{when}, {story.name} was told {told} ({answer.error}), and had ended {story.ends}"
    )
