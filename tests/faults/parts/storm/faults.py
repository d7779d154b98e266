"""Faults: what will break in a storm, when and for how long, drawn from the seed before it begins.

Every seed has rates of its own, because a storm in which everything is equally likely never shows what two hours of
one fault show.
"""

import random
from dataclasses import dataclass

from tests.faults.kinds import Kind


@dataclass(frozen=True)
class PlannedFault:
    """One fault. `target` is a number that chooses among whatever there is at that moment."""

    at: float
    kind: Kind | str
    seconds: float
    target: float
    detail: str = ""


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


def draw_faults(
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
