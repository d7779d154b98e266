"""Entry steps: splits, exchanges, reversals and target balances, asked of the ledger and of its oracle.

What they are made of is told twice: a share and a rate as a text for the ledger, and as whole numbers for the oracle.
"""

from dataclasses import replace

from hypothesis import strategies as st

from ledger import entries
from tests.ledger.oracle import MAX, Asked
from tests.ledger.oracle_entries import Back, BackOf, Brought, Entry, Exchanged, Reversible, Shared, divided
from tests.ledger.oracle_steps import ACCOUNTS, CURRENCIES, ROUTES, USUALLY, Step, usual

SHARINGS: list[list[tuple[str, int]]] = [
    [("33.33%", 3333), ("33.33%", 3333), ("rest", 3334)],
    [("rest", 7250), ("12.5%", 1250), ("15%", 1500)],
    [("50%", 5000), ("50%", 5000)],
    [("100%", 10000)],
]
"""The shares of a split, as they are asked for, and in ten-thousandths of the whole."""

Rate = tuple[int, int]
QUOTES: dict[str, list[tuple[str, str, Rate, Rate]]] = {
    "USD": [("150.25", "171.5", (15025, 10000), (17150, 10000)), ("33.3", "33.3", (333, 1000), (333, 1000))],
    "JPY": [("0.0067", "0.0071", (67, 100), (71, 100)), ("0.03", "0.030000000001", (3, 1), (3000000000100, 10**12))],
}
"""What dollars are sold for in yen, and yen in dollars: a rate and the middle rate, and both as bought minor units for
sold ones."""

DESK = ("fx:USD", "fx:JPY", "fx-spread:USD", "fx-spread:JPY")


def in_the_books(entry: Entry) -> entries.Entry:
    """An entry of the oracle's, as the ledger is asked for it."""
    match entry:
        case Shared(id, source, currency, shares):
            return entries.Split(id, source, currency, tuple(entries.Share(*share) for share in shares))
        case Exchanged(id, source, destination, amount, currency, into, rate, middle, expired):
            number, text, middle_text = next(
                (number, *quote[:2]) for number, quote in enumerate(QUOTES[currency]) if quote[2:] == (rate, middle)
            )
            quote = entries.Quote(f"Q{number}", text, middle_text, 1 if expired else 4 * 10**15, "fx")
            return entries.at_quote(quote, id, source, destination, amount, currency, into)
        case Brought(id, account, target, counterpart, currency):
            return entries.TargetBalance(id, account, target, counterpart, currency)
        case Back(id, of, amount):
            return entries.Reversal(id, of.id, of.destination, of.source, amount, of.currency)
        case BackOf(id, of, amount):
            original = in_the_books(of)
            assert isinstance(original, entries.Reversible)
            return entries.EntryReversal.of_entry(id, original, amount)
    raise AssertionError(entry)


def enter(entry: Entry) -> Step:
    """Do it."""
    return Step(in_the_books(entry).operation(), lambda oracle: oracle.enter(entry))


def withdraw(entry: Entry) -> Step:
    """See to it that it never happens."""
    return Step(in_the_books(entry).cancellation("asked"), lambda oracle: oracle.withdraw(entry))


def shared(id: str, source: str, amount: int, currency: str, sharing: int, others: tuple[str, ...]) -> Shared:
    """A split, divided by the oracle and, to be compared, by the ledger."""
    asked = [(to, *share) for to, share in zip(others * 3, SHARINGS[sharing], strict=False)]
    amounts = divided(amount, [weight for *_, weight in asked])
    shares = tuple((to, part) for (to, *_), part in zip(asked, amounts, strict=True))
    assert entries.shares_of(amount, currency, [(to, text) for to, text, _ in asked]) == shares
    return Shared(id, source, currency, shares)


def exchanged(id: str, number: int, amount: int, expired: bool = False) -> Exchanged:
    """Dollars for yen, or back."""
    currency, into = ("USD", "JPY") if number % 2 else ("JPY", "USD")
    dollars = ROUTES[number % 5][0].replace("carol", "bob")
    source, destination = (dollars, "dora") if number % 2 else ("dora", dollars)
    rate, middle = QUOTES[currency][number // 2 % 2][2:]
    return Exchanged(id, source, destination, amount, currency, into, rate, middle, expired)


def usual_entry(number: int) -> Reversible | Brought:
    """The content that an entry mostly has."""
    id, route, kind = f"E{number}", ROUTES[number % 5], number // 2 % 3
    if kind == 0:
        return shared(id, route[0], 11, "USD", number % 4, ("erin", "bob" if route[0] == "alice" else "alice"))
    if kind == 1:
        return exchanged(id, number, 13)
    return Brought(id, route[0], 25, route[1], "USD")


@st.composite
def other_entries(draw: st.DrawFn, number: int) -> Reversible | Brought:
    """An entry with some other content."""
    id, route, amount = f"E{number}", draw(st.sampled_from(ROUTES)), draw(st.sampled_from([10, 17, MAX // 4]))
    match draw(st.integers(0, 3)):
        case 0:
            return shared(id, route[0], amount, draw(CURRENCIES), draw(st.integers(0, 3)), (route[1], "dora"))
        case 1:
            return shared(id, route[0], amount, "USD", draw(st.integers(0, 3)), route[1:])
        case 2:
            return exchanged(id, draw(st.integers(1, 20)), amount, expired=draw(st.booleans()))
        case _:
            target = draw(st.sampled_from([0, 5, 60, MAX]))
            return Brought(id, route[0], target, draw(ACCOUNTS.filter(lambda to: to != route[0])), draw(CURRENCIES))


@st.composite
def entry_steps(draw: st.DrawFn) -> Step:
    """One of a few entries or their reversals, or what withdraws it; the content is mostly the same each time."""
    number = draw(st.integers(1, 12))
    entry: Entry = usual_entry(number) if draw(USUALLY) else draw(other_entries(number))
    if draw(st.integers(0, 2)) == 0:
        amount, id = draw(st.sampled_from([4, 4, 4, 10])), f"R{draw(st.integers(1, 12))}"
        entry = BackOf(id, entry, amount) if isinstance(entry, Reversible) else Back(id, usual(number), amount)
    return withdraw(entry) if draw(st.integers(0, 5)) == 0 else enter(entry)


def given_back(of: Asked | Reversible, parts: list[int], first: int) -> list[Step]:
    """Parts of the same original, each under an id of its own."""
    ids = [f"R{first + number}" for number, _ in enumerate(parts)]
    if isinstance(of, Asked):
        return [enter(Back(id, of, part)) for id, part in zip(ids, parts, strict=True)]
    whole = of.left([0 for _ in of.moves])
    return [enter(BackOf(id, of, min(part, whole))) for id, part in zip(ids, parts, strict=True)]


def mistaken(of: Asked | Reversible) -> Asked | Reversible:
    """The same original as somebody remembers it who is wrong."""
    match of:
        case Shared():
            (first, part), *others = of.shares
            return replace(of, shares=((first, part + 20), *((to, 1) for to, _ in others)))
        case Exchanged():
            return replace(of, amount=of.amount - 6)
        case _:
            return of


PARTS = st.lists(st.sampled_from([1, 1, 2, 3, 5, 10]), min_size=1, max_size=5)
