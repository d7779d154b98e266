"""Script: what the program on a failing disk asks of the books, in which order, and what it must be told.

Each line is one commit: its operations are asked together. Between them they end a transfer in every way there is.
"""

from dataclasses import dataclass

from ledger.account import AccountStatus
from ledger.operation import MarkDelivered, OpenAccount, Operation, Request, SetAccountStatus
from ledger.operations import cancel, credit, debit, deposit, refund
from tests.support.examples import a_transfer


@dataclass(frozen=True)
class Step:
    """One thing that is asked, under a name of its own, and its only right answer."""

    name: str
    request: Request
    kind: str = "applied"
    code: str | None = None

    @property
    def answer(self) -> tuple[str, str | None]:
        """What whoever asks this must be told, however often."""
        return self.kind, self.code

    @property
    def remembers(self) -> bool:
        """Whether asking it again is answered as a replay: not so for a reused key, and for what only sets."""
        return isinstance(self.request, Operation | OpenAccount | SetAccountStatus) and self.kind != "key_reused"


SETTLED, REFUNDED, CANCELLED = a_transfer("T1"), a_transfer("T2", amount_minor=10_00), a_transfer("T3")
TOO_MUCH, ON_ITS_WAY = a_transfer("T4", amount_minor=500_00), a_transfer("T5", "alice", "carol", 5_00)

SCRIPT: tuple[tuple[Step, ...], ...] = (
    (
        Step("open alice", OpenAccount("alice", "USD")),
        Step("open bob", OpenAccount("bob", "USD")),
        Step("open carol", OpenAccount("carol", "USD")),
        Step("deposit D1", deposit("D1", "alice", 100_00, "USD")),
    ),
    (Step("debit T1", debit(SETTLED)),),
    (Step("credit T1", credit(SETTLED)),),
    (
        Step("debit T2", debit(REFUNDED)),
        Step("cancel T3", cancel(CANCELLED, "asked")),
        Step("debit T4", debit(TOO_MUCH), "rejected", "insufficient_funds"),
        Step("debit T5", debit(ON_ITS_WAY)),
    ),
    (
        Step("refund T2", refund(REFUNDED, "asked")),
        Step("freeze carol", SetAccountStatus("carol", AccountStatus.FROZEN)),
    ),
    (
        Step("late credit T2", credit(REFUNDED), "fenced", "T2/refund"),
        Step("late debit T3", debit(CANCELLED), "fenced", "T3/cancel"),
        Step("credit T5", credit(ON_ITS_WAY), "rejected", "account_frozen"),
        Step("other T1", debit(a_transfer("T1", amount_minor=99_00)), "key_reused"),
        Step("tell T1", MarkDelivered(("T1/notify/settled",))),
    ),
)  # fmt: skip  # a line is a commit

STEPS: dict[str, Step] = {step.name: step for line in SCRIPT for step in line}

BALANCES = {"alice": 70_00, "bob": 25_00, "carol": 0, "transit:USD": 5_00, "cash:USD": 100_00}
"""What is in the accounts when all of it has been done once."""
