"""Plan: everything the storm will ask and everything that will break, drawn from the seed before it begins.

    singles        one transfer after the other by each of many callers: express, ordinary, or a hold that is decided
    batches        files of transfers; some lines are asked for by single callers, too, and some files by two starters
    orders         recurring transfers; some occurrences are asked for by single callers, too

When which fault meets which transfer depends on the machine; what is asked, what breaks, in which order and for how
long does not.
"""

import random
from dataclasses import dataclass
from typing import Literal

from tests.faults.parts.storm.faults import LASTS, ONLY_POSTGRESQL, PlannedFault, draw_faults

CURRENCY = "USD"
HOT = "hot"
MOODY = "moody"
"""An account that is frozen, closed and opened again all the time."""

RICH = ("ada", "ben", "cleo", "dora")
POOR = ("eve", "finn")
MONEY = {HOT: 10_000_00, MOODY: 5_000_00, **dict.fromkeys(RICH, 50_000_00), **dict.fromkeys(POOR, 40_00)}
"""What every account has in the beginning, in minor units."""

CALLERS, BATCH_CALLERS = 48, 3

STARTERS = 12
"""How many transfers of a full storm are asked for by real starter processes; each takes a second of processor time."""

IN_BATCHES = 0.5
"""The share of the transfers that are lines of a batch."""

LINES = 60
"""Of one batch."""

ORDERS = (5, 8)
"""A recurring transfer every so many seconds each, for as long as the storm lasts."""

Kind = Literal["express", "transfer", "hold"]


@dataclass(frozen=True)
class PlannedTransfer:
    """One transfer, and everything its callers will do about it. Delays are seconds after the first request."""

    id: str
    source: str
    destination: str
    amount_minor: int
    kind: Kind = "express"
    repeats: tuple[float, ...] = ()
    """Others ask for the same, with the same id."""
    other_content_after: float | None = None
    """Somebody asks for another amount, with the same id."""
    cancel_after: float | None = None
    is_left_alone: bool = False
    """Its caller is content with its being accepted, and never comes back."""
    by_starter: bool = False
    starter_killed_after: float | None = None
    decisions: tuple[tuple[float, int | None], ...] = ()
    """Of a hold: who captures so much (minor units), or voids it (None), and when. The first one counts."""
    expires_after: float = 0.0
    """Of a hold."""

    @property
    def content(self) -> tuple[str, str, int, str]:
        """What its rightful caller asks for."""
        return (self.source, self.destination, self.amount_minor, CURRENCY)


@dataclass(frozen=True)
class PlannedBatch:
    """A file of transfers. Delays are seconds after its first request."""

    id: str
    lines: tuple[PlannedTransfer, ...]
    singly: tuple[tuple[float, PlannedTransfer], ...] = ()
    """Lines that single callers ask for, too, around the same time."""
    again_after: float | None = None
    """Somebody has the same file done under the same id, at the same time."""
    by_starter: bool = False
    starter_killed_after: float | None = None


@dataclass(frozen=True)
class PlannedOrder:
    """A recurring transfer."""

    id: str
    source: str
    destination: str
    amount_minor: int
    every_seconds: int
    singly: frozenset[int]
    """Which of its occurrences, counted from 0, single callers ask for as well."""


@dataclass(frozen=True)
class Plan:
    """A storm before it begins."""

    scripts: tuple[tuple[PlannedTransfer, ...], ...]
    """For each caller, what it asks for, one after the other."""
    batches: tuple[tuple[PlannedBatch, ...], ...]
    """For each caller of batches, likewise."""
    orders: tuple[PlannedOrder, ...]
    faults: tuple[PlannedFault, ...]
    rates: dict[str, float]

    @property
    def transfers(self) -> list[PlannedTransfer]:
        """All that will be asked for by callers: singles, and lines of batches."""
        lines = [line for script in self.batches for batch in script for line in batch.lines]
        return [*(transfer for script in self.scripts for transfer in script), *lines]


def draw(chance: random.Random, database: str, name: str, transfers: int, quick: bool) -> Plan:
    """Draw a storm. The same generator, arguments and code draw the same one."""
    lines = LINES // 4 if quick else LINES
    files = max(1, round(transfers * IN_BATCHES / lines))
    singles = transfers - files * lines
    batch_callers = min(BATCH_CALLERS, files)
    callers = min(CALLERS, max(1, singles // 4))
    starters = set(chance.sample(range(singles), 1 if quick else STARTERS))
    drawn = [_transfer(chance, f"{name}-{number}", number in starters) for number in range(singles)]
    batches = [_batch(chance, f"{name}-b{number}", lines, number % 6 == 5) for number in range(files)]
    kinds = LASTS | (ONLY_POSTGRESQL if database == "postgresql" else {})
    rates = {str(kind): chance.choice((0.3, 1.0, 1.0, 3.0)) for kind in kinds}
    return Plan(
        tuple(tuple(drawn[caller::callers]) for caller in range(callers)),
        tuple(tuple(batches[caller::batch_callers]) for caller in range(batch_callers)),
        () if quick else tuple(_order(chance, f"{name}-r{every}", every) for every in ORDERS),
        draw_faults(chance, kinds, rates, quick),
        rates,
    )


def _transfer(chance: random.Random, id: str, by_starter: bool = False) -> PlannedTransfer:
    source, destination = _accounts(chance)
    amount = chance.choice((1, 99, 5_00, 10_00, 25_00)) if source in POOR else chance.randrange(1, 50_00)
    repeats = tuple(chance.uniform(0, 2) for _ in range(chance.choice((1, 1, 2, 4)))) if chance.random() < 0.15 else ()
    fate = chance.random()
    kinds: tuple[Kind, ...] = ("express", "express", "express", "transfer", "transfer", "hold")
    kind: Kind = "transfer" if by_starter else chance.choice(kinds)
    return PlannedTransfer(
        id,
        source,
        destination,
        amount,
        kind,
        repeats,
        other_content_after=chance.uniform(0, 2) if fate < 0.04 else None,
        cancel_after=chance.uniform(0, 0.3) if 0.04 <= fate < 0.14 else None,
        is_left_alone=0.14 <= fate < 0.22 and not by_starter,
        by_starter=by_starter,
        starter_killed_after=chance.uniform(0.5, 2.5) if by_starter and chance.random() < 0.3 else None,
        decisions=_decisions(chance, amount) if kind == "hold" else (),
        expires_after=chance.uniform(1, 6),
    )


def _decisions(chance: random.Random, amount: int) -> tuple[tuple[float, int | None], ...]:
    """None at all, one, or several at nearly the same moment that exclude each other."""
    some = chance.choice((0, 1, 1, 1, 2, 3))
    about = chance.uniform(0.1, 3)
    return tuple(
        (about + chance.uniform(0, 0.05), chance.choice((None, amount, chance.randint(1, amount)))) for _ in range(some)
    )


def _batch(chance: random.Random, id: str, lines: int, by_starter: bool) -> PlannedBatch:
    drawn = []
    for number in range(lines):
        source, destination = _accounts(chance)
        amount = chance.choice((1, 99, 5_00)) if source in POOR else chance.randrange(1, 50_00)
        drawn.append(PlannedTransfer(f"{id}-{number}", source, destination, amount))
    singly = []
    for place in chance.sample(range(lines), lines // 8):
        fates = _transfer(chance, drawn[place].id)
        drawn[place] = PlannedTransfer(
            *(drawn[place].id, *drawn[place].content[:3]),
            chance.choice(("express", "transfer")),
            fates.repeats,
            fates.other_content_after,
            fates.cancel_after,
            fates.is_left_alone,
        )
        singly.append((chance.uniform(0, 1), drawn[place]))
    return PlannedBatch(
        id,
        tuple(drawn),
        tuple(singly),
        again_after=chance.uniform(0, 1) if chance.random() < 0.25 else None,
        by_starter=by_starter,
        starter_killed_after=chance.uniform(0.5, 3) if by_starter else None,
    )


def _order(chance: random.Random, id: str, every_seconds: int) -> PlannedOrder:
    singly = frozenset(number for number in range(1000) if chance.random() < 0.3)
    return PlannedOrder(id, HOT, chance.choice(RICH), chance.randrange(1, 10_00), every_seconds, singly)


def _accounts(chance: random.Random) -> tuple[str, str]:
    """Two different accounts; the hot one is in nearly half of all transfers, and now and then one does not exist."""
    source = chance.choice((HOT, HOT, HOT, *RICH, *RICH, *POOR, MOODY))
    if chance.random() < 0.01:
        return source, "nobody"
    others = [account for account in (HOT, HOT, HOT, *RICH, *POOR, MOODY) if account != source]
    return source, chance.choice(others)
