"""Plan: everything the storm will ask and everything that will break, drawn from the seed before it begins.

When which fault meets which transfer depends on the machine; what is asked, what breaks, in which order and for how
long does not. Every seed has fault rates of its own, because a storm in which everything is equally likely never
shows what two hours of one fault show.
"""

import random
from dataclasses import dataclass

from tests.faults.kinds import Kind

CURRENCY = "USD"
HOT = "hot"
MOODY = "moody"
"""An account that is frozen, closed and opened again all the time."""

RICH = ("ada", "ben", "cleo", "dora")
POOR = ("eve", "finn")
MONEY = {HOT: 10_000_00, MOODY: 5_000_00, **dict.fromkeys(RICH, 50_000_00), **dict.fromkeys(POOR, 40_00)}
"""What every account has in the beginning, in minor units."""

CALLERS = 32
STARTERS = 16
"""How many transfers of a full storm are asked for by real starter processes; each takes a second of processor time."""


@dataclass(frozen=True)
class PlannedTransfer:
    """One transfer, and everything its callers will do about it. Delays are seconds after the first request."""

    id: str
    source: str
    destination: str
    amount_minor: int
    repeats: tuple[float, ...] = ()
    """Others ask for the same, with the same id."""
    other_content_after: float | None = None
    """Somebody asks for another amount, with the same id."""
    cancel_after: float | None = None
    is_left_alone: bool = False
    """Its caller is content with its being accepted, and never comes back."""
    by_starter: bool = False
    starter_killed_after: float | None = None

    @property
    def content(self) -> tuple[str, str, int, str]:
        """What its rightful caller asks for."""
        return (self.source, self.destination, self.amount_minor, CURRENCY)


@dataclass(frozen=True)
class PlannedFault:
    """One fault. `target` is a number that chooses among whatever there is at that moment."""

    at: float
    kind: Kind | str
    seconds: float
    target: float
    detail: str = ""


@dataclass(frozen=True)
class Plan:
    """A storm before it begins."""

    scripts: tuple[tuple[PlannedTransfer, ...], ...]
    """For each caller, what it asks for, one after the other."""
    faults: tuple[PlannedFault, ...]
    rates: dict[str, float]

    @property
    def transfers(self) -> list[PlannedTransfer]:
        """All that will be asked for."""
        return [transfer for script in self.scripts for transfer in script]


ACCOUNT_MOODS = "account.moods"
"""Not a fault, but drawn like one: the moody account changes its status."""

LASTS: dict[Kind | str, tuple[float, float]] = {
    Kind.WORKER_KILL: (0.2, 1.5),
    Kind.WORKER_TERM: (0.1, 0.5),
    Kind.WORKER_FREEZE: (1.0, 9.0),  # an attempt is given up as a zombie after five seconds
    Kind.CLOCK_JUMP: (3.0, 8.0),
    Kind.TEMPORAL_KILL: (0.2, 2.0),
    Kind.TEMPORAL_FREEZE: (0.5, 4.0),
    Kind.FAILPOINT_KILL: (0.1, 1.0),
    Kind.FAILPOINT_RAISE: (0.1, 0.5),
    Kind.FAILPOINT_STALL: (0.1, 0.5),
    Kind.NETWORK_LATENCY: (1.0, 5.0),
    Kind.NETWORK_BANDWIDTH: (1.0, 4.0),
    Kind.NETWORK_RESET: (0.0, 0.0),
    Kind.NETWORK_BLACKHOLE: (1.0, 6.0),
    Kind.WORKFLOW_TERMINATE: (0.0, 0.0),
    Kind.WORKFLOW_RESET: (0.0, 0.0),
    Kind.RECEIVER_SILENT: (1.0, 7.0),
    ACCOUNT_MOODS: (0.2, 3.0),
}
"""What a storm can break, and for how long at least and at most, in seconds."""

ONLY_POSTGRESQL: dict[Kind | str, tuple[float, float]] = {
    Kind.POSTGRES_BACKEND_KILL: (0.0, 0.0),
    Kind.POSTGRES_KILL: (0.1, 1.5),
    Kind.POSTGRES_STOP: (0.1, 1.5),
}
_SITES = (
    "ledger.before_transaction",
    "ledger.before_commit",
    "ledger.after_commit",
    "activity.before_work",
    "activity.before_completion",
    "notify.before_delivery",
    "notify.after_delivery",
)
HORIZON_SECONDS = 400.0
PAUSE_SECONDS = 1.6
"""The mean time between two faults of a squall."""

SQUALL_SECONDS, CALM_SECONDS = 7.0, 15.0
"""A storm is squalls with calms between them, in which its callers catch up: else it would be about a few transfers."""


def draw(chance: random.Random, database: str, name: str, transfers: int, quick: bool) -> Plan:
    """Draw a storm. The same generator, arguments and code draw the same one."""
    callers = min(CALLERS, max(1, transfers // 10))
    starters = set(chance.sample(range(transfers), 1 if quick else STARTERS))
    drawn = [_transfer(chance, f"{name}-{number}", number in starters) for number in range(transfers)]
    scripts = tuple(tuple(drawn[caller::callers]) for caller in range(callers))
    kinds = LASTS | (ONLY_POSTGRESQL if database == "postgresql" else {})
    rates = {str(kind): chance.choice((0.3, 1.0, 1.0, 3.0)) for kind in kinds}
    return Plan(scripts, _faults(chance, kinds, rates, quick), rates)


def _transfer(chance: random.Random, id: str, by_starter: bool) -> PlannedTransfer:
    source, destination = _accounts(chance)
    amount = chance.choice((1, 99, 5_00, 10_00, 25_00)) if source in POOR else chance.randrange(1, 50_00)
    repeats = tuple(chance.uniform(0, 2) for _ in range(chance.choice((1, 1, 2, 4)))) if chance.random() < 0.15 else ()
    fate = chance.random()
    return PlannedTransfer(
        id,
        source,
        destination,
        amount,
        repeats,
        other_content_after=chance.uniform(0, 2) if fate < 0.04 else None,
        cancel_after=chance.uniform(0, 0.3) if 0.04 <= fate < 0.14 else None,
        is_left_alone=0.14 <= fate < 0.22 and not by_starter,
        by_starter=by_starter,
        starter_killed_after=chance.uniform(0.5, 2.5) if by_starter and chance.random() < 0.3 else None,
    )


def _accounts(chance: random.Random) -> tuple[str, str]:
    """Two different accounts; the hot one is in nearly half of all transfers, and now and then one does not exist."""
    source = chance.choice((HOT, HOT, HOT, *RICH, *RICH, *POOR, MOODY))
    if chance.random() < 0.01:
        return source, "nobody"
    others = [account for account in (HOT, HOT, HOT, *RICH, *POOR, MOODY) if account != source]
    return source, chance.choice(others)


def _faults(
    chance: random.Random, kinds: dict[Kind | str, tuple[float, float]], rates: dict[str, float], quick: bool
) -> tuple[PlannedFault, ...]:
    """Each kind once, in any order, then by their rates until the horizon."""
    order, weights = list(kinds), [rates[str(kind)] for kind in kinds]
    if quick:
        short = (Kind.WORKER_KILL, Kind.WORKFLOW_TERMINATE, Kind.NETWORK_RESET)
        return tuple(PlannedFault(0.5 + place * 0.4, kind, 0.1, chance.random()) for place, kind in enumerate(short))
    first = chance.sample(order, len(order))
    faults, at = [], 1.0
    while at < HORIZON_SECONDS:
        kind = first.pop() if first else chance.choices(order, weights)[0]
        faults.append(PlannedFault(at, kind, chance.uniform(*kinds[kind]), chance.random(), _detail(chance, kind)))
        at += chance.expovariate(1 / PAUSE_SECONDS)
        if at % (SQUALL_SECONDS + CALM_SECONDS) > SQUALL_SECONDS:
            at += SQUALL_SECONDS + CALM_SECONDS - at % (SQUALL_SECONDS + CALM_SECONDS)
    return tuple(faults)


def _detail(chance: random.Random, kind: Kind | str) -> str:
    """What else a fault needs to know: armed failpoints, or by how much a clock jumps."""
    match kind:
        case Kind.FAILPOINT_KILL:
            return f"{chance.choice(_SITES)}=kill@{chance.randrange(1, 40)}"
        case Kind.FAILPOINT_RAISE:
            return "; ".join(f"{chance.choice(_SITES)}=raise@{chance.randrange(1, 60)}" for _ in range(6))
        case Kind.FAILPOINT_STALL:
            stalls = (f"{chance.choice(_SITES)}=stall:{chance.choice((1, 3, 6, 8))}" for _ in range(4))
            return "; ".join(f"{stall}@{chance.randrange(1, 60)}" for stall in stalls)
        case Kind.CLOCK_JUMP:
            return str(chance.choice((-86_400, -3_600, -30, 30, 3_600, 86_400)))
        case _ if kind == ACCOUNT_MOODS:
            return chance.choice(("frozen", "closed"))
    return ""
