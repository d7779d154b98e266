"""The oracle's entries: splits, exchanges, reversals, target balances, and what withdraws one.

As the oracle itself it imports nothing of the ledger. Its arithmetic is another one than that of the rules: whole
numbers only, a rate as a pair of them, and units that are left after rounding down are handed out one by one.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from tests.ledger.oracle import Answer, Asked, Oracle, Terms

Move = tuple[str, str, int, str]
"""An account debited, an account credited, how much, of which currency."""


def divided(amount: int, weights: Sequence[int]) -> list[int]:
    """An amount by weights: rounded down, then a unit more for whoever lost most, until it is all of it."""
    whole = sum(weights)
    parts = [amount * weight // whole for weight in weights]
    lost = [amount * weight % whole for weight in weights]
    while sum(parts) < amount:
        most = lost.index(max(lost))
        parts[most], lost[most] = parts[most] + 1, -1
    return parts


@dataclass(frozen=True)
class Entry:
    """What has happened whole, or not at all."""

    leg: ClassVar[str]

    id: str

    @property
    def key(self) -> str:
        """Its one key."""
        return f"{self.id}/{self.leg}"

    @property
    def content(self) -> Terms:
        """What a retry must repeat."""
        return (type(self).__name__, *vars(self).values())


@dataclass(frozen=True)
class Reversible(Entry):
    """It can come back."""

    @property
    @abstractmethod
    def moves(self) -> list[Move]:
        """What it moves; the first account of the first is who has paid."""

    @property
    def looked_at(self) -> list[tuple[str, str]]:
        """The accounts that must be open, in the order in which they are looked at."""
        return [(to, currency) for move in self.moves for to, currency in ((move[0], move[3]), (move[1], move[3]))]

    @abstractmethod
    def left(self, before: Sequence[int]) -> int:
        """How much can still come back to who has paid."""

    @abstractmethod
    def back(self, amount: int, before: Sequence[int]) -> list[int]:
        """How much of each move comes back with it."""


@dataclass(frozen=True)
class Shared(Reversible):
    """A split."""

    leg = "split"

    source: str
    currency: str
    shares: tuple[tuple[str, int], ...]

    @property
    def moves(self) -> list[Move]:
        return [(self.source, to, amount, self.currency) for to, amount in self.shares]

    def left(self, before: Sequence[int]) -> int:
        return sum(amount for _, amount in self.shares) - sum(before)

    def back(self, amount: int, before: Sequence[int]) -> list[int]:
        return divided(amount, [share - back for (_, share), back in zip(self.shares, before, strict=True)])


@dataclass(frozen=True)
class Exchanged(Reversible):
    """An exchange at `rate`, bought minor units for sold ones, as two whole numbers; `middle` is the same beside it."""

    leg = "exchange"

    source: str
    destination: str
    amount: int
    currency: str
    into: str
    rate: tuple[int, int]
    middle: tuple[int, int]
    expired: bool

    @property
    def bought(self) -> int:
        """What it brings, rounded down."""
        return self.amount * self.rate[0] // self.rate[1]

    @property
    def spread(self) -> int:
        """What the middle rate would have brought beyond that."""
        return self.amount * self.middle[0] // self.middle[1] - self.bought

    @property
    def moves(self) -> list[Move]:
        desk = f"fx:{self.into}"
        moves = [
            (self.source, f"fx:{self.currency}", self.amount, self.currency),
            (desk, self.destination, self.bought, self.into),
            (desk, f"fx-spread:{self.into}", self.spread, self.into),
        ]
        return moves if self.spread else moves[:2]

    @property
    def looked_at(self) -> list[tuple[str, str]]:
        return [(move[0], move[3]) for move in self.moves] + [(move[1], move[3]) for move in self.moves]

    def left(self, before: Sequence[int]) -> int:
        return self.amount - before[0]

    def back(self, amount: int, before: Sequence[int]) -> list[int]:
        total = before[0] + amount
        rounded_up = (total * self.rate[0] + self.rate[1] - 1) // self.rate[1]
        due = [total, min(rounded_up, self.bought), self.spread * total // self.amount]
        return [all - back for all, back in zip(due, before, strict=False)]  # without a spread, two moves


@dataclass(frozen=True)
class Brought(Entry):
    """A target balance."""

    leg = "target"

    account: str
    target: int
    counterpart: str
    currency: str


@dataclass(frozen=True)
class Back(Entry):
    """A part of a transfer comes back."""

    leg = "reversal"

    of: Asked
    amount: int


@dataclass(frozen=True)
class BackOf(Entry):
    """A part of a split or an exchange comes back."""

    leg = "reversal"

    of: Reversible
    amount: int


@dataclass
class EntriesOracle(Oracle):
    """The oracle, and how much of each move of an entry, and of each transfer, has come back."""

    back: dict[str, list[int]] = field(default_factory=dict)
    entered: dict[str, Reversible] = field(default_factory=dict)

    def enter(self, entry: Entry) -> Answer:
        """Do it, once."""

        def decide() -> str | None:
            match entry:
                case Shared() | Exchanged():
                    return self._pay(entry)
                case Brought():
                    return self._bring(entry)
                case Back():
                    return self._give_back(entry)
                case BackOf():
                    return self._give_back_of(entry)
            raise AssertionError(entry)

        return self._ask(entry.key, entry.content, None, decide)

    def withdraw(self, entry: Entry) -> Answer:
        """It will never happen, unless it has ended."""
        fence = f"{entry.key}/cancel"

        def decide() -> str | None:
            if entry.key in self.said:
                return "already_entered" if self.said[entry.key][2] == "applied" else "already_rejected"
            self.said[entry.key] = (entry.content, (), "fenced", fence)
            return None

        return self._ask(fence, entry.content, None, decide)

    def reversible(self) -> list[Asked | Reversible]:
        """What has moved and can come back."""
        settled = [asked for asked, status in self.transfers.values() if status == "settled"]
        return [*settled, *self.entered.values()]

    def told(self) -> set[str]:
        """Whose ending the outside is told, of all entries."""
        ended = {"applied": "settled", "rejected": "rejected", "fenced": "cancelled"}
        legs = ("/split", "/exchange", "/target", "/reversal")
        return {f"{key}/notify/{ended[said[2]]}" for key, said in self.said.items() if key.endswith(legs)}

    def _pay(self, entry: Shared | Exchanged) -> str | None:
        code = self._first_closed(entry.looked_at)
        if code is None and isinstance(entry, Exchanged) and entry.expired:
            return "quote_expired"
        code = code or self._all(entry.key, entry.moves)
        if code is None:
            self.entered[entry.key], self.back[entry.key] = entry, [0 for _ in entry.moves]
        return code

    def _bring(self, entry: Brought) -> str | None:
        code = self._first_closed([(entry.account, entry.currency), (entry.counterpart, entry.currency)])
        if code is not None:
            return code
        account = self.accounts[entry.account]
        missing = entry.target - (account.credits - account.debits)
        giver, taker = (entry.counterpart, entry.account) if missing > 0 else (entry.account, entry.counterpart)
        return self._all(entry.key, [(giver, taker, abs(missing), entry.currency)] if missing else [])

    def _give_back(self, entry: Back) -> str | None:
        of = entry.of
        if code := self._first_closed([(of.destination, of.currency), (of.source, of.currency)]):
            return code
        if of.id not in self.transfers:
            return "transfer_not_found"
        original, status = self.transfers[of.id]
        if status != "settled":
            return "not_settled"
        if (original.source, original.destination, original.currency) != (of.source, of.destination, of.currency):
            return "differs_from_original"
        (before,) = self.back.setdefault(of.id, [0])
        if before + entry.amount > self.captured.get(of.id, original.amount):
            return "exceeds_original"
        code = self._all(None, [(of.destination, of.source, entry.amount, of.currency)])
        if code is None:
            self.back[of.id] = [before + entry.amount]
        return code

    def _give_back_of(self, entry: BackOf) -> str | None:
        of = entry.of
        if code := self._first_closed(of.looked_at):
            return code
        if of.key not in self.said:
            return "entry_not_found"
        if self.said[of.key][2] != "applied":
            return "not_settled"
        if self.said[of.key][0] != of.content:
            return "differs_from_original"
        before = self.back[of.key]
        if entry.amount > of.left(before):
            return "exceeds_original"
        due = of.back(entry.amount, before)
        moves = [(to, source, part, currency) for (source, to, _, currency), part in zip(of.moves, due, strict=True)]
        code = self._all(None, [move for move in moves if move[2]])
        if code is None:
            self.back[of.key] = [a + b for a, b in zip(before, due, strict=True)]
            self._never_more(of)
        return code

    def _never_more(self, of: Reversible) -> None:
        """What came back is never more than there was of any move, and all of it once nothing is left."""
        moved, back = [move[2] for move in of.moves], self.back[of.key]
        assert all(0 <= part <= whole for part, whole in zip(back, moved, strict=True)), (of, back)
        assert of.left(back) > 0 or back == moved, (of, back)

    def _first_closed(self, accounts: Sequence[tuple[str, str]]) -> str | None:
        return next(filter(None, (self._closed(id, currency) for id, currency in accounts)), None)

    def _all(self, key: str | None, moves: Sequence[Move]) -> str | None:
        """Every move, or none and why not. With a key somebody pays, and limits count; else it is given back."""
        before = {id: replace(account) for id, account in self.accounts.items()}
        taken = {id: sum(move[2] for move in moves if move[0] == id) for id, *_ in moves} if key is not None else {}
        code = next(filter(None, (self._move(*move[:3]) for move in moves)), None)
        code = code or next(filter(None, (self._limited(id, amount) for id, amount in taken.items())), None)
        if code is not None:
            self.accounts = before
            return code
        for id, amount in taken.items():
            if self.accounts[id].in_a_day is not None:
                self.uses[f"{key} {id}"] = (id, amount)
        return None
