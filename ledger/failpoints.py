"""Failpoints: named places where a test may make the process die, fail or stall. No-ops unless armed.

They are armed by one environment variable, a list separated by `;`:

    DURABLE_TRANSFERS_FAILPOINTS="ledger.after_commit[T1/credit]=kill@1; activity.before_completion=stall:5@2"

that is `site[key]=fate@nth`: at the nth passage of the site (by that key; any key without one), and only
then, the process is killed with SIGKILL, or FailpointError is raised, or the task sleeps for so many seconds.
`nth` is 1 if left out; `2+` means every passage from the second on, and `*` every passage.

With DURABLE_TRANSFERS_FAILPOINTS_LOG set to a file, what fires is written there and synced first, so that a fault
which was planned but never happened can be told.
"""

import asyncio
import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

ENVIRONMENT = "DURABLE_TRANSFERS_FAILPOINTS"
LOG = "DURABLE_TRANSFERS_FAILPOINTS_LOG"

SITES = frozenset(
    {
        "ledger.before_transaction",
        "ledger.before_commit",
        "ledger.after_commit",
        "activity.before_work",
        "activity.before_completion",
        "rail.before_submit",
        "rail.after_submit",
        "notify.before_delivery",
        "notify.after_delivery",
        "starter.before_start",
        "starter.after_start",
    }
)
"""Every site of the project. Arming a name that nobody passes is an error: a fault that cannot fire proves nothing."""

_PLAN = re.compile(
    r"""(?P<site>[a-z._]+) (\[(?P<key>[^\]]+)\])?
    = (?P<fate>kill|raise|stall(?=:)) ((?<=stall):(?P<seconds>[0-9]+(\.[0-9]+)?))?
    (@((?P<nth>[1-9][0-9]*)(?P<on>\+)?|\*))?""",
    re.VERBOSE,
)


class FailpointError(Exception):
    """Raised by a failpoint: stands for any accident at that place."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One armed failpoint."""

    site: str
    fate: str
    key: str | None = None
    first: int = 1
    last: int | None = 1
    seconds: float = 0.0

    def fires_at(self, passage: int) -> bool:
        """Whether it fires at the nth passage, counted from 1."""
        return self.first <= passage and (self.last is None or passage <= self.last)


_declared: set[str] = set()
_watchers: list[Callable[[str, frozenset[str]], None]] = []


def declare(sites: Iterable[str]) -> None:
    """Let these be armed as well: sites that a test's own instrumentation of this process passes."""
    _declared.update(sites)


def watch(watcher: Callable[[str, frozenset[str]], None]) -> None:
    """Have every passage of this process told, before anything fires there. For tests that discover the sites."""
    _watchers.append(watcher)


def parse(text: str) -> list[Plan]:
    """The plans of an environment variable's value. Raises ValueError, naming what it cannot read."""
    plans = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        match = _PLAN.fullmatch(part)
        if match is None or match["site"] not in SITES | _declared:
            raise ValueError(f"{ENVIRONMENT}: cannot read {part!r}; sites are {', '.join(sorted(SITES | _declared))}")
        every = part.endswith("@*")
        first = int(match["nth"] or 1)
        last = None if every or match["on"] else first
        plans.append(Plan(match["site"], match["fate"], match["key"], first, last, float(match["seconds"] or 0)))
    return plans


_plans = parse(os.environ.get(ENVIRONMENT, ""))
_passages: Counter[int] = Counter()
"""How often each plan's site was passed for it, by the plan's place in the list."""


def arm(text: str) -> None:
    """Replace the armed failpoints of this process, counting passages from zero. For tests in one process."""
    _plans[:] = parse(text)
    _passages.clear()


async def passing(site: str, keys: Iterable[str] = ()) -> None:
    """The process passes a site on behalf of these keys. Does nothing unless a plan names it."""
    if not _plans and not _watchers:
        return
    for plan in _fired(site, frozenset(keys)):
        await _stall(plan)


def passing_blocking(site: str, keys: Iterable[str] = (), sleep: Callable[[float], object] = time.sleep) -> None:
    """The same for code that no event loop runs; `sleep` is how it stalls."""
    for plan in _fired(site, frozenset(keys)):
        sleep(plan.seconds)


async def _stall(plan: Plan) -> None:
    await asyncio.sleep(plan.seconds)


def _fired(site: str, keys: frozenset[str]) -> Iterator[Plan]:
    """Fire what is planned for this passage. Yields the plans that stall."""
    for watcher in _watchers:
        watcher(site, keys)
    for plan in _due(site, keys):
        _log(plan)
        match plan.fate:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "raise":
                raise FailpointError(f"failpoint {plan.site}")
            case "stall":
                yield plan


def _due(site: str, keys: frozenset[str]) -> list[Plan]:
    """The plans that this passage is for. It counts for all of them, before one of them ends or holds it."""
    due = []
    for place, plan in enumerate(_plans):
        if plan.site == site and (plan.key is None or plan.key in keys):
            _passages[place] += 1
            if plan.fires_at(_passages[place]):
                due.append(plan)
    return due


def _log(plan: Plan) -> None:
    if path := os.environ.get(LOG):
        line = {"site": plan.site, "key": plan.key, "fate": plan.fate, "pid": os.getpid(), "at": time.time()}
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
