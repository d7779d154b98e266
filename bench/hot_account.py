"""The hot account: every transfer of a currency goes through its one transit account. What does that cost?

Both loads are the same transfers between the same number of accounts. In one, all are in one currency, so that every
posting of a batch meets in one transit account; in the other they are spread over as many currencies as there are,
and so over as many transit accounts. A third load also pays everything to one customer.
"""

from bench.databases import Databases
from bench.figure import Figure, Line, at_most, median, ratio
from bench.load import Load, round_of

TOGETHER = 500
ACCOUNTS = 1000
_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


async def measure(databases: Databases, quick: bool) -> Figure:
    """Seconds that a hot load takes for each second of a spread one, in turns, in the same books."""
    turns = 8 if quick else 24
    lines = [line for backend in _NAMES for line in await _on(backend, databases, turns)]
    return Figure(
        "One hot transit account against fifty",
        f"{turns} turns of {TOGETHER} transfers ({2 * TOGETHER} operations) between {ACCOUNTS:,} accounts: all in one "
        "currency, over fifty currencies, and all in one currency and to one customer; in the same books.",
        lines,
    )


async def _on(backend: str, databases: Databases, turns: int) -> list[Line]:
    hot, spread = Load(ACCOUNTS), Load(ACCOUNTS, currencies=fifty_currencies())
    one_customer = Load(ACCOUNTS)
    one_customer.hot = one_customer.account(ACCOUNTS - 1)
    loads = (spread, hot, one_customer)
    rates: tuple[list[float], ...] = ([], [], [])
    async with databases.books(backend) as ledger:
        for load in loads:
            await load.open(ledger)
            await round_of(ledger, load, TOGETHER // 2)  # not counted
        for turn in range(turns):
            for load, into in list(zip(loads, rates, strict=True))[:: 1 if turn % 2 else -1]:
                into.append(await round_of(ledger, load, TOGETHER // 2))
    name = _NAMES[backend]
    return [
        Line(f"{name}, over fifty transit accounts", median(rates[0]), "operations/s"),
        Line(f"{name}, one transit account", ratio(rates[0], rates[1]), "of the time", at_most(1.1)),
        Line(f"{name}, one customer too", ratio(rates[0], rates[2]), "of the time", at_most(1.1)),
    ]


def fifty_currencies() -> tuple[str, ...]:
    """Fifty currencies with a minor unit."""
    from iso4217 import Currency

    return tuple(sorted(currency.code for currency in Currency if currency.exponent is not None)[:50])
