"""The oracle: the ledger again, in as few lines as possible and with no SQL, written from what it promises.

It imports nothing of the ledger, so that a mistake in the rules cannot be copied into what they are compared
with. It knows one caller, one operation at a time, and forgets nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

MAX = 2**63 - 1
OUT_OF_ORDER = "out_of_order"

Terms = tuple[object, ...]
"""What is asked beyond the transfer: of a debit its kind and terms, of a capture how much. () is plain."""


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
    def content(self) -> Terms:
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
    at_once: int | None = None
    in_a_day: int | None = None

    @property
    def balance(self) -> int:
        """Positive on the account's own side."""
        return (self.credits - self.debits) * (-1 if self.guard == "credits_must_not_exceed_debits" else 1)


@dataclass
class Oracle:
    """Everything that was ever asked, and where the money is."""

    accounts: dict[str, Book] = field(default_factory=dict)
    said: dict[str, tuple[Terms, Terms, str, str | None]] = field(default_factory=dict)
    transfers: dict[str, tuple[Asked, str]] = field(default_factory=dict)
    captured: dict[str, int] = field(default_factory=dict)
    uses: dict[str, tuple[str, int]] = field(default_factory=dict)

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

    def set_limits(self, id: str, currency: str, **limits: int | str) -> Answer:
        """Set: the account has these limits; what is not named stays, and "none" takes it away."""
        account = self.accounts.get(id)
        if account is None:
            return Answer("rejected", "account_not_found")
        if account.currency != currency:
            return Answer("rejected", "currency_mismatch")
        if all(getattr(account, name) == (None if limit == "none" else limit) for name, limit in limits.items()):
            return Answer("applied", replayed=True)
        vars(account).update({name: None if limit == "none" else limit for name, limit in limits.items()})
        account.version += 1
        return Answer("applied")

    def deposit(self, id: str, account: str, amount: int, currency: str) -> Answer:
        """Money comes in."""

        def decide() -> str | None:
            return self._closed(account, currency) or self._move(f"cash:{currency}", account, amount)

        return self._ask(f"{id}/deposit", (account, amount, currency), None, decide)

    def debit(self, asked: Asked, expected_version: int | None = None, terms: Terms = ()) -> Answer:
        """Source to transit, perhaps on terms."""

        def decide() -> str | None:
            source = self.accounts.get(asked.source)
            code = self._closed(asked.source, asked.currency) or self._closed(asked.destination, asked.currency)
            if code is None and source and expected_version not in (None, source.version):
                code = "version_conflict"
            transit = f"transit:{asked.currency}"
            code = code or self._obstacle(self.accounts[asked.source], self.accounts[transit], asked.amount)
            code = code or self._limited(asked.source, asked.amount) or self._move(asked.source, transit, asked.amount)
            if code is None and source and source.in_a_day is not None:
                self.uses[asked.id] = (asked.source, asked.amount)
            self.transfers[asked.id] = (asked, "rejected" if code else "debited")
            return code

        return self._ask(f"{asked.id}/debit", asked.content, asked, decide, terms)

    def credit(self, asked: Asked, captured: int | None = None) -> Answer:
        """Transit to destination; of a capture a part, and the rest to the source at once."""
        amount, rest = (asked.amount, 0) if captured is None else (captured, asked.amount - captured)

        def decide() -> str | None:
            if self._status(asked) != "debited" or (captured is not None and not self.said[f"{asked.id}/debit"][1]):
                return OUT_OF_ORDER
            before = {id: replace(account) for id, account in self.accounts.items()}
            transit = f"transit:{asked.currency}"
            code = self._closed(asked.destination, asked.currency) or self._move(transit, asked.destination, amount)
            if code is None and rest:
                code = self._move(transit, asked.source, rest)
            if code is not None:
                self.accounts = before
                return code
            self.transfers[asked.id] = (asked, "settled")
            if captured is not None:
                self.captured[asked.id] = captured
            return None

        return self._ask(f"{asked.id}/credit", asked.content, asked, decide, () if captured is None else (captured,))

    def paid(self, asked: Asked) -> Answer:
        """A credit that nobody can refuse: the money is gone already."""

        def decide() -> str | None:
            if self._status(asked) != "debited":
                return OUT_OF_ORDER
            if self._move(f"transit:{asked.currency}", asked.destination, asked.amount, must_arrive=True) is not None:
                return OUT_OF_ORDER
            self.transfers[asked.id] = (asked, "settled")
            return None

        return self._ask(f"{asked.id}/credit", asked.content, asked, decide)

    def refund(self, asked: Asked) -> Answer:
        """Transit to source, and the credit will never apply; what the debit has used of a daily limit is free."""

        def decide() -> str | None:
            if self._said(asked, "credit") == "applied":
                return "already_credited"
            if self._status(asked) != "debited":
                return OUT_OF_ORDER
            if self._move(f"transit:{asked.currency}", asked.source, asked.amount, must_arrive=True) is not None:
                return OUT_OF_ORDER
            self.said.setdefault(f"{asked.id}/credit", (asked.content, (), "fenced", f"{asked.id}/refund"))
            self.transfers[asked.id] = (asked, "refunded")
            self.uses.pop(asked.id, None)
            return None

        return self._ask(f"{asked.id}/refund", asked.content, asked, decide)

    def cancel(self, asked: Asked) -> Answer:
        """Nothing moves, and the debit will never apply."""

        def decide() -> str | None:
            if debit := self._said(asked, "debit"):
                return "already_debited" if debit == "applied" else "already_rejected"
            self.said[f"{asked.id}/debit"] = (asked.content, (), "fenced", f"{asked.id}/cancel")
            self.transfers[asked.id] = (asked, "cancelled")
            return None

        return self._ask(f"{asked.id}/cancel", asked.content, asked, decide)

    def recall(self, asked: Asked) -> Answer:
        """Nothing moves, and the rail will never be asked."""

        def decide() -> str | None:
            if self._said(asked, "submit") == "applied":
                return "already_submitted"
            if self._status(asked) != "debited":
                return OUT_OF_ORDER
            self.said.setdefault(f"{asked.id}/submit", (asked.content, (), "fenced", f"{asked.id}/recall"))
            return None

        return self._ask(f"{asked.id}/recall", asked.content, asked, decide)

    def note(self, leg: str, asked: Asked, terms: Terms = (), whenever: bool = False) -> Answer:
        """Nothing moves: the rail may be asked from now on, a person decides, the rail contradicts (whenever)."""

        def decide() -> str | None:
            status = self._status(asked)
            return None if status == "debited" or (whenever and status) else OUT_OF_ORDER

        return self._ask(f"{asked.id}/{leg}", asked.content, asked, decide, terms)

    def _ask(
        self, key: str, content: Terms, asked: Asked | None, decide: Callable[[], str | None], terms: Terms = ()
    ) -> Answer:
        """The key first, then whatever else may change over time. A fence knew nothing of terms."""
        if key in self.said:
            known, on, kind, code = self.said[key]
            if known != content or (kind != "fenced" and on != terms):
                return Answer("key_reused", status=self._status(asked))
            return Answer(kind, code, replayed=True, status=self._status(asked))
        if asked and asked.id in self.transfers and self.transfers[asked.id][0].content != content:
            return Answer("key_reused", status=self._status(asked))
        code = decide()
        if code == OUT_OF_ORDER:
            return Answer(OUT_OF_ORDER)
        kind = "rejected" if code else "applied"
        self.said[key] = (content, terms, kind, code)
        return Answer(kind, code, status=self._status(asked))

    def _said(self, asked: Asked, leg: str) -> str | None:
        return self.said.get(f"{asked.id}/{leg}", (None, None, None))[2]

    def _limited(self, id: str, amount: int) -> str | None:
        """More than an account may pay at once, or in a day."""
        account, used = self.accounts[id], sum(n for by, n in self.uses.values() if by == id)
        too_much = account.at_once is not None and amount > account.at_once
        too_often = account.in_a_day is not None and used + amount > account.in_a_day
        return "limit_exceeded" if too_much or too_often else None

    def _status(self, asked: Asked | None) -> str | None:
        return self.transfers[asked.id][1] if asked and asked.id in self.transfers else None

    def _closed(self, id: str, currency: str) -> str | None:
        account = self.accounts.get(id)
        if account is None:
            return "account_not_found"
        if account.status != "open":
            return f"account_{account.status}"
        return None if account.currency == currency else "currency_mismatch"

    def _move(self, debited: str, credited: str, amount: int, must_arrive: bool = False) -> str | None:
        """Move it, or say why not. Nothing has moved if it says something."""
        if debited not in self.accounts or credited not in self.accounts:
            return "account_not_found"
        a, b = self.accounts[debited], self.accounts[credited]
        if code := self._obstacle(a, b, amount, must_arrive):
            return code
        a.debits, b.credits, a.version, b.version = a.debits + amount, b.credits + amount, a.version + 1, b.version + 1
        return None

    def _obstacle(self, a: Book, b: Book, amount: int, must_arrive: bool = False) -> str | None:
        if a.guard == "debits_must_not_exceed_credits" and a.balance < amount:
            return "insufficient_funds"
        if b.guard == "credits_must_not_exceed_debits" and b.balance < amount:
            return "insufficient_funds"
        full = max(a.debits, b.credits) if must_arrive else max(a.debits + a.credits, b.debits + b.credits)
        return "total_overflow" if full + amount > MAX else None
