"""Steps: whatever can be asked of the ledger and of its oracle, beside entries, and how often it is."""

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

from ledger import operations, payouts
from ledger.account import AccountStatus, Guard
from ledger.fingerprint import HOLD, PAYOUT
from ledger.limits import Change, SetLimits
from ledger.operation import OpenAccount, Request, SetAccountStatus
from ledger.transfer import Transfer
from tests.ledger.oracle import MAX, Answer, Asked
from tests.ledger.oracle_entries import EntriesOracle


@dataclass(frozen=True)
class Step:
    """One thing to ask of both: of the ledger as a request, of the oracle as a call."""

    request: Request
    ask: Callable[[EntriesOracle], Answer]

    def __repr__(self) -> str:
        return repr(self.request)


def open_account(account: str, currency: str, guard: Guard) -> Step:
    """Open an account."""
    return Step(OpenAccount(account, currency, guard), lambda oracle: oracle.open(account, currency, guard))


def set_status(account: str, status: AccountStatus, version: int | None) -> Step:
    """Set an account's status."""
    request = SetAccountStatus(account, status, version)
    return Step(request, lambda oracle: oracle.set_status(account, status, version))


def deposit(id: str, account: str, amount: int, currency: str) -> Step:
    """Deposit into an account."""
    request = operations.deposit(id, account, amount, currency)
    return Step(request, lambda oracle: oracle.deposit(id, account, amount, currency))


def set_limits(account: str, currency: str, at_once: Change, in_a_day: Change) -> Step:
    """Set one or both of an account's limits."""
    request = SetLimits(account, currency, at_once, in_a_day)
    named = {"at_once": at_once, "in_a_day": in_a_day}
    limits = {name: limit for name, limit in named.items() if limit is not None}
    return Step(request, lambda oracle: oracle.set_limits(account, currency, **limits))


def leg(name: str, asked: Asked, version: int | None = None) -> Step:
    """One leg of a transfer."""
    transfer = Transfer(asked.id, asked.source, asked.destination, asked.amount, asked.currency)
    match name:
        case "hold":
            request = operations.hold(transfer, HOLD, {"expires_at": 1})
            return Step(request, lambda oracle: oracle.debit(asked, terms=("hold", 1)))
        case "payout":
            request = operations.hold(transfer, PAYOUT, {"rail": "bank", "beneficiary": "acct-1"})
            return Step(request, lambda oracle: oracle.debit(asked, terms=("payout", "bank", "acct-1")))
        case "capture" | "capture a part":
            part = asked.amount if name == "capture" else max(asked.amount // 3, 1)
            return Step(operations.capture(transfer, part), lambda oracle: oracle.credit(asked, part))
        case "submit":
            return Step(payouts.submission(transfer), lambda oracle: oracle.note("submit", asked))
        case "recall":
            return Step(payouts.recall(transfer, "asked"), lambda oracle: oracle.recall(asked))
        case "paid":
            return Step(payouts.paid(transfer), lambda oracle: oracle.paid(asked))
        case "decide paid" | "decide not_paid":
            decided = name.removeprefix("decide ")
            request = payouts.decision(transfer, payouts.Decision(decided, "carol", "a letter"))
            return Step(request, lambda oracle: oracle.note("decision", asked, (decided, "carol", "a letter")))
        case "contradict":
            request = payouts.contradiction(transfer, accepted=True, word="pay_1")
            return Step(request, lambda oracle: oracle.note("accepted", asked, whenever=True))
        case "debit":
            return Step(operations.debit(transfer, version), lambda oracle: oracle.debit(asked, version))
        case "credit":
            return Step(operations.credit(transfer), lambda oracle: oracle.credit(asked))
        case "refund":
            return Step(operations.refund(transfer, "asked"), lambda oracle: oracle.refund(asked))
        case _:
            return Step(operations.cancel(transfer, "asked"), lambda oracle: oracle.cancel(asked))


ACCOUNTS = st.sampled_from(["alice", "bob", "carol"])
ROUTES = [("alice", "bob"), ("bob", "alice"), ("alice", "carol"), ("carol", "alice"), ("carol", "bob")]
GUARDS = st.sampled_from([Guard.DEBITS_MUST_NOT_EXCEED_CREDITS] * 6 + [*Guard])
STATUSES = st.sampled_from([AccountStatus.OPEN] * 3 + [*AccountStatus])
VERSIONS = st.one_of([st.none()] * 5 + [st.integers(1, 8)])
AT_ONCE: st.SearchStrategy[Change] = st.sampled_from([None, None, "none", 9, 10, 1000])
IN_A_DAY: st.SearchStrategy[Change] = st.sampled_from([None, "none", 20, 25, 1000])
CURRENCIES = st.sampled_from(["USD", "JPY"])
USUALLY = st.integers(0, 9).map(bool)


def settings_steps() -> st.SearchStrategy[Step]:
    """Open an account, or set its status."""
    currencies = st.sampled_from(["USD", "USD", "USD", "JPY"])
    limits = st.tuples(ACCOUNTS, currencies, AT_ONCE, IN_A_DAY).filter(lambda limit: limit[2:] != (None, None))
    return (
        st.builds(open_account, ACCOUNTS, currencies, GUARDS)
        | st.builds(set_status, ACCOUNTS, STATUSES, VERSIONS)
        | limits.map(lambda limit: set_limits(*limit))
    )


@st.composite
def deposit_steps(draw: st.DrawFn) -> Step:
    """Deposit under one of a few ids, mostly the same amount to the same account."""
    number = draw(st.integers(1, 12))
    account, amount, currency = ROUTES[number % 5][0], 30, "USD"
    if not draw(USUALLY):
        account, amount, currency = draw(ACCOUNTS), draw(st.sampled_from([5, MAX - 100])), draw(CURRENCIES)
    return deposit(f"D{number}", account, amount, currency)


def usual(number: int) -> Asked:
    """The content that a transfer mostly has."""
    return Asked(f"T{number}", *ROUTES[number % 5], 10, "USD")


@st.composite
def transfer_steps(draw: st.DrawFn) -> Step:
    """Any leg of one of a few transfers, whose content is mostly the same each time."""
    number = draw(st.integers(1, 12))
    asked = usual(number)
    if not draw(USUALLY):
        route = draw(st.sampled_from(ROUTES))
        asked = Asked(f"T{number}", *route, draw(st.sampled_from([11, MAX - 100])), draw(CURRENCIES))
    if draw(st.integers(0, 2)):
        usually = draw(USUALLY)
        return leg(BEGINNINGS[number % 3] if usually else draw(st.sampled_from(BEGINNINGS)), asked, draw(VERSIONS))
    return leg(draw(st.sampled_from(LEGS)), asked, draw(VERSIONS))


BEGINNINGS = ("debit", "hold", "payout")
"""How a transfer's money is taken, most often by its number."""

BY_HAND = ("decide paid", "decide not_paid", "contradict")
LEGS = ("credit", "refund", "cancel", "capture", "capture a part", "submit", "recall", "paid", *BY_HAND)
ENDS = st.lists(st.sampled_from([*LEGS, "credit", "refund", "submit"]), min_size=1, max_size=4)
STEPS = st.one_of(transfer_steps(), transfer_steps(), deposit_steps(), settings_steps())
