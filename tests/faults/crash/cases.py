"""Cases: which sites a scenario passes, found by watching clean runs of it; each, at each passage, has three fates.

Several runs, because the number of passages may vary: how much has happened when a workflow is woken depends on who was
slower. So one run is left alone, in one the workflows are slow, and in one the activities; only passages that all of
them had are planned.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tests.faults.crash.branch import Surroundings, open_branch
from tests.faults.crash.instrumented_worker import Passage
from tests.faults.crash.scenarios import Scenario
from tests.support.databases import DATABASES

FATES = {"kill": "kill", "raise": "raise", "stall": "stall:1.5"}
"""A stall is longer than an attempt may take: what goes on after it is a zombie, and has been asked again meanwhile."""

DEADLOCK = "stall:2.5"
"""In a workflow's own code, it is longer than the SDK takes for a deadlock."""

CLEAN_RUNS = ("", "workflow.before_activation=stall:0.15@*", "activity.before_execute=stall:0.15@*")
"""What holds up the worker in each. None outlives an attempt."""

AFTERWARDS_SECONDS = 0.5
"""A workflow that has ended is woken once more, to be forgotten by its worker."""

_ON_ONE_DATABASE = ("starter.", "client.", "workflow.", "sql.")
Passages = set[tuple[str, str | None, int, bool]]
"""Name, key, number, and whether the caller passes it: the fields of a Site."""


@dataclass(frozen=True)
class Site:
    """One passage of a site in a scenario. In `key`, `~` stands for the case's id; without one, anybody passes."""

    scenario: Scenario
    name: str
    key: str | None
    nth: int
    is_the_callers: bool
    """Whether the caller's process passes it, not the worker's."""

    @property
    def is_of_a_retry(self) -> bool:
        """Whether a passage beyond the first is one of another attempt, of which nobody knows how many there are."""
        return self.key is not None and not self.name.startswith("workflow.")

    def __str__(self) -> str:
        """As it stands in the names of cases."""
        return f"{self.name}[{self.key}]@{self.nth}" if self.key else f"{self.name}@{self.nth}"


@dataclass(frozen=True)
class Case:
    """A site and what happens there."""

    site: Site
    fate: str

    @property
    def name(self) -> str:
        """What was done, and where."""
        return f"{self.site.scenario.name}: {self.fate} at {self.site}"

    @property
    def stalls_an_attempt(self) -> bool:
        """Whether an attempt is held up for longer than it may take, so that it is made again meanwhile.

        What is to be notified has one attempt, and then a workflow of its own.
        """
        elsewhere = self.site.is_the_callers or self.site.name.startswith("workflow.")
        return self.fate == "stall" and not elsewhere and "/notify/" not in (self.site.key or "")

    def plan(self, id: str) -> str:
        """What is to be armed, for a case of this id."""
        in_workflow = self.fate == "stall" and self.site.name.startswith("workflow.")
        key = f"[{self.site.key.replace('~', id)}]" if self.site.key else ""
        return f"{self.site.name}{key}={DEADLOCK if in_workflow else FATES[self.fate]}@{self.site.nth}"


async def discover(surroundings: Surroundings, scenario: Scenario) -> list[Site]:
    """Every passage of every site in a scenario."""
    ids = [f"{scenario.name}.clean.{n}" for n in range(len(CLEAN_RUNS))]
    found = []
    async with open_branch(surroundings, f"{scenario.name}-clean", ids) as branch:
        await branch.say("watch")
        for id, slow in zip(ids, CLEAN_RUNS, strict=True):
            await branch.say("arm", slow)
            answer, killed = await branch.call(scenario, id, "")
            assert killed is None, "a caller died without a fault"
            told, said, passed_by_caller = answer
            assert (told, said) == ("told", scenario.answer), answer
            for workflow_id in scenario.settle_on(id):
                await branch.wait(workflow_id)
            await asyncio.sleep(AFTERWARDS_SECONDS)
            passed_by_worker = await branch.say("passages")
            found.append(_counted(passed_by_caller, id, True) | _counted(passed_by_worker, id, False))
    in_all = sorted(set.intersection(*found), key=lambda site: (site[0], site[1] or "", *site[2:]))
    sites = [Site(scenario, *each) for each in in_all]
    return [site for site in sites if site.nth == 1 or not (site.is_of_a_retry or scenario.waits_by_the_clock)]


def one_of_each(sites: Sequence[Site], seed: int, database: str) -> list[Case]:
    """Each place in the code and each passage of it, with one of the fates, in a scenario that chance chooses.

    A debit's transaction is the same code in every scenario that has one, and nearly the same on every database: a
    place has one fate on each database, and not the same. On one of the databases only is played what knows no database
    (a workflow, a caller), a statement within a transaction (part C tries its messages and writes), and any passage but
    the first. The seed chooses.
    """
    places: defaultdict[tuple[str, str | None, int, bool], list[Site]] = defaultdict(list)
    for site in sites:
        places[site.name, site.key, site.nth, site.is_the_callers].append(site)
    chosen = []
    for place, alike in places.items():
        chance = Random(f"{seed}/{place}")
        fates = chance.sample(sorted(FATES), len(DATABASES))
        first = chance.choice(DATABASES) == database
        if first or (place[2] == 1 and not place[0].startswith(_ON_ONE_DATABASE)):
            chosen.append(Case(chance.choice(alike), fates[not first]))
    return chosen


def _counted(passages: Sequence[Passage], id: str, by_caller: bool) -> Passages:
    """Each passage by its number: among those for the same key, or among all if it was for nobody."""
    by_key: Counter[tuple[str, str]] = Counter()
    by_site: Counter[str] = Counter()
    found: Passages = set()
    for site, keys in passages:
        by_site[site] += 1
        if not keys:
            found.add((site, None, by_site[site], by_caller))
        for key in keys:
            by_key[site, key] += 1
            if id in key:
                found.add((site, key.replace(id, "~"), by_key[site, key], by_caller))
    return found
