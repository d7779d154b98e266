"""The oracle: the ledger again, in as few lines as possible and with no SQL, written from what it promises.

It imports nothing of the ledger, so that a mistake in the rules cannot be copied into what they are compared
with. It knows one caller, one operation at a time, and forgets nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

MAX = 2**63 - 1
OUT_OF_ORDER = "out_of_order"


@dataclass(frozen=True)
class Answer:
    """How an operation ended: its kind, a rejection's code, whether it was told again, the transfer's status."""

    kind: str
    code: str | None = None
    replayed: bool = False
    status: str | None = None


@dataclass(frozen=True)
class Asked:
    """A transfer as the oracle sees it."""

    id: str
    source: str
    destination: str
    amount: int
    currency: str

    @property
    def content(self) -> tuple[object, ...]:
        """What a retry must repeat."""
        return (self.source, self.destination, self.amount, self.currency)


@dataclass
class Book:
    """One account."""

    currency: str
    guard: str
    status: str = "open"
    version: int = 1
    debits: int = 0
    credits: int = 0

    @property
    def balance(self) -> int:
        """Positive on the account's own side."""
        return (self.credits - self.debits) * (-1 if self.guard == "credits_must_not_exceed_debits" else 1)


@dataclass
class Oracle:
    """Everything that was ever asked, and where the money is."""

    accounts: dict[str, Book] = field(default_factory=dict)
    said: dict[str, tuple[tuple[object, ...], str, str | None]] = field(default_factory=dict)
    transfers: dict[str, tuple[Asked, str]] = field(default_factory=dict)

    def open(self, id: str, currency: str, guard: str) -> Answer:
        """Set: the account exists."""
        if account := self.accounts.get(id):
            same = (account.currency, account.guard) == (currency, guard)
            return Answer("applied", replayed=True) if same else Answer("rejected", "account_differs")
        self.accounts.setdefault(f"transit:{currency}", Book(currency, "debits_must_not_exceed_credits"))
        self.accounts.setdefault(f"cash:{currency}", Book(currency, "credits_must_not_exceed_debits"))
        self.accounts[id] = Book(currency, guard)
        return Answer("applied")

    def set_status(self, id: str, status: str, expected_version: int | None) -> Answer:
        """Set: the account has this status."""
        account = self.accounts.get(id)
        if account is None:
            return Answer("rejected", "account_not_found")
        if account.status == status:
            return Answer("applied", replayed=True)
        if expected_version not in (None, account.version):
            return Answer("rejected", "version_conflict")
        account.status, account.version = status, account.version + 1
        return Answer("applied")

    def deposit(self, id: str, account: str, amount: int, currency: str) -> Answer:
        """Money comes in."""

        def decide() -> str | None:
            return self._closed(account, currency) or self._move(f"cash:{currency}", account, amount)

        return self._ask(f"{id}/deposit", (account, amount, currency), None, decide)

    def debit(self, asked: Asked, expected_version: int | None = None) -> Answer:
        """Source to transit."""

        def decide() -> str | None:
            source = self.accounts.get(asked.source)
            code = self._closed(asked.source, asked.currency) or self._closed(asked.destination, asked.currency)
            if code is None and source and expected_version not in (None, source.version):
                code = "version_conflict"
            code = code or self._move(asked.source, f"transit:{asked.currency}", asked.amount)
            self.transfers[asked.id] = (asked, "rejected" if code else "debited")
            return code

        return self._ask(f"{asked.id}/debit", asked.content, asked, decide)

    def credit(self, asked: Asked) -> Answer:
        """Transit to destination."""

        def decide() -> str | None:
            if self._status(asked) != "debited":
                return OUT_OF_ORDER
            code = self._closed(asked.destination, asked.currency)
            code = code or self._move(f"transit:{asked.currency}", asked.destination, asked.amount)
            if code is None:
                self.transfers[asked.id] = (asked, "settled")
            return code

        return self._ask(f"{asked.id}/credit", asked.content, asked, decide)

    def refund(self, asked: Asked) -> Answer:
        """Transit to source, and the credit will never apply."""

        def decide() -> str | None:
            if self.said.get(f"{asked.id}/credit", ("", ""))[1] == "applied":
                return "already_credited"
            if self._status(asked) != "debited":
                return OUT_OF_ORDER
            if self._move(f"transit:{asked.currency}", asked.source, asked.amount, True) is not None:
                return OUT_OF_ORDER
            self.said.setdefault(f"{asked.id}/credit", (asked.content, "fenced", f"{asked.id}/refund"))
            self.transfers[asked.id] = (asked, "refunded")
            return None

        return self._ask(f"{asked.id}/refund", asked.content, asked, decide)

    def cancel(self, asked: Asked) -> Answer:
        """Nothing moves, and the debit will never apply."""

        def decide() -> str | None:
            if debit := self.said.get(f"{asked.id}/debit"):
                return "already_debited" if debit[1] == "applied" else "already_rejected"
            self.said[f"{asked.id}/debit"] = (asked.content, "fenced", f"{asked.id}/cancel")
            self.transfers[asked.id] = (asked, "cancelled")
            return None

        return self._ask(f"{asked.id}/cancel", asked.content, asked, decide)

    def _ask(
        self, key: str, content: tuple[object, ...], asked: Asked | None, decide: Callable[[], str | None]
    ) -> Answer:
        """The key first, then whatever else may change over time."""
        if key in self.said:
            known, kind, code = self.said[key]
            if known != content:
                return Answer("key_reused", status=self._status(asked))
            return Answer(kind, code, replayed=True, status=self._status(asked))
        if asked and asked.id in self.transfers and self.transfers[asked.id][0].content != content:
            return Answer("key_reused", status=self._status(asked))
        code = decide()
        if code == OUT_OF_ORDER:
            return Answer(OUT_OF_ORDER)
        kind = "rejected" if code else "applied"
        self.said[key] = (content, kind, code)
        return Answer(kind, code, status=self._status(asked))

    def _status(self, asked: Asked | None) -> str | None:
        return self.transfers[asked.id][1] if asked and asked.id in self.transfers else None

    def _closed(self, id: str, currency: str) -> str | None:
        account = self.accounts.get(id)
        if account is None:
            return "account_not_found"
        if account.status != "open":
            return f"account_{account.status}"
        return None if account.currency == currency else "currency_mismatch"

    def _move(self, debited: str, credited: str, amount: int, is_refund: bool = False) -> str | None:
        """Move it, or say why not. Nothing has moved if it says something."""
        if debited not in self.accounts or credited not in self.accounts:
            return "account_not_found"
        a, b = self.accounts[debited], self.accounts[credited]
        if a.guard == "debits_must_not_exceed_credits" and a.balance < amount:
            return "insufficient_funds"
        if b.guard == "credits_must_not_exceed_debits" and b.balance < amount:
            return "insufficient_funds"
        if not is_refund and max(a.debits + a.credits, b.debits + b.credits) + amount > MAX:  # a refund always fits
            return "total_overflow"
        a.debits, b.credits, a.version, b.version = a.debits + amount, b.credits + amount, a.version + 1, b.version + 1
        return None
