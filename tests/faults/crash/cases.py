"""Cases: which sites a scenario passes, found by watching clean runs of it; each, at each passage, has three fates.

Several runs, because the number of passages may vary: only those that all of them had are planned.
"""

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

CLEAN_RUNS = 3
_OF_THE_CALLER = ("starter.", "client.")
_ON_ONE_DATABASE = (*_OF_THE_CALLER, "workflow.", "sql.")


@dataclass(frozen=True)
class Site:
    """One passage of a site in a scenario. In `key`, `~` stands for the case's id; without one, anybody passes."""

    scenario: Scenario
    name: str
    key: str | None
    nth: int

    @property
    def is_the_callers(self) -> bool:
        """Whether the caller's process passes it, not the worker's."""
        return self.name.startswith(_OF_THE_CALLER)

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

    def plan(self, id: str) -> str:
        """What is to be armed, for a case of this id."""
        in_workflow = self.fate == "stall" and self.site.name.startswith("workflow.")
        key = f"[{self.site.key.replace('~', id)}]" if self.site.key else ""
        return f"{self.site.name}{key}={DEADLOCK if in_workflow else FATES[self.fate]}@{self.site.nth}"


async def discover(surroundings: Surroundings, scenario: Scenario) -> list[Site]:
    """Every passage of every site in a scenario."""
    ids = [f"{scenario.name}.clean.{n}" for n in range(CLEAN_RUNS)]
    found = []
    async with open_branch(surroundings, f"{scenario.name}-clean", ids) as branch:
        await branch.say("watch")
        for id in ids:
            answer, killed = await branch.call(scenario, id, "")
            assert killed is None, "a caller died without a fault"
            told, said, passed_by_caller = answer
            assert (told, said) == ("told", scenario.answer), answer
            for workflow_id in scenario.settle_on(id):
                await branch.wait(workflow_id)
            found.append(_counted([*passed_by_caller, *await branch.say("passages")], id))
    in_all = sorted(set.intersection(*found), key=lambda site: (site[0], site[1] or "", site[2]))
    sites = [Site(scenario, name, key, nth) for name, key, nth in in_all]
    return [site for site in sites if site.nth == 1 or not (site.is_of_a_retry or scenario.asks_until_due)]


def one_of_each(sites: Sequence[Site], seed: int, database: str) -> list[Case]:
    """Each place in the code and each passage of it, with a share of the fates, in a scenario that chance chooses.

    A debit's transaction is the same code in every scenario that has one, and nearly the same on every database: a
    place has one fate on each database, and not the same. On one of the databases only is played what knows no database
    (a workflow, a caller), a statement within a transaction (part C tries its messages and writes), and any passage but
    the first. The seed chooses.
    """
    places: defaultdict[tuple[str, str | None, int], list[Site]] = defaultdict(list)
    for site in sites:
        places[site.name, site.key, site.nth].append(site)
    chosen = []
    for place, alike in places.items():
        chance = Random(f"{seed}/{place}")
        first = chance.choice(DATABASES) == database
        fates = chance.sample(sorted(FATES), len(DATABASES))
        if first or (place[2] == 1 and not place[0].startswith(_ON_ONE_DATABASE)):
            chosen.append(Case(chance.choice(alike), fates[not first]))
    return chosen


def _counted(passages: Sequence[Passage], id: str) -> set[tuple[str, str | None, int]]:
    """Each passage by its number: among those for the same key, or among all if it was for nobody."""
    by_key: Counter[tuple[str, str]] = Counter()
    by_site: Counter[str] = Counter()
    found: set[tuple[str, str | None, int]] = set()
    for site, keys in passages:
        by_site[site] += 1
        if not keys:
            found.add((site, None, by_site[site]))
        for key in keys:
            by_key[site, key] += 1
            if id in key:
                found.add((site, key.replace(id, "~"), by_key[site, key]))
    return found
