"""A. Crash points: every scenario again, with a fault at every site it passes: the process killed, an error, a stall.

The sites are found by watching clean runs. Then each case is played through real Temporal by a worker process of its
own branch: the fault fires there, a new worker takes over, the caller asks until it has a definite answer, and again.
"""

import asyncio
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from temporalio.client import Client

from engine.embedded import EmbeddedServer
from engine.plugin import ClientPlugin
from tests.faults.crash.branch import Surroundings, open_branch
from tests.faults.crash.cases import FATES, Case, Site, discover, one_of_each
from tests.faults.crash.playing import Tally, play
from tests.faults.crash.receiver import receiving
from tests.faults.crash.scenarios import SCENARIOS, Scenario
from tests.faults.crash.sites import ShortTasks
from tests.faults.run import Run
from tests.support.forks import warm_up

AT_ONCE = 5
"""Branches that are open at the same time: most of a case is waiting for a timer."""

PROMPT = ("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="100ms"')
"""By default a server's timers are up to a second late, which most cases would wait for."""

CASES_OF_A_BRANCH = 24
"""So few that its books can be read as a whole after every case."""

TRIES = 3
"""How often a case is played whose fault does not fire."""

QUICK = 6
"""How many cases, and of which scenarios, when only a few seconds are to be spent."""

QUICK_SCENARIOS = ("settled", "deposited")


async def run(run: Run) -> None:
    """Find the sites, and play every case."""
    await warm_up()
    temporal = EmbeddedServer.running(run.folder / "temporal", port=0, ui_port=None, extra=PROMPT)
    async with temporal as server, receiving() as receiver:
        client = await Client.connect(server.address, plugins=[ClientPlugin()], interceptors=[ShortTasks()])
        surroundings = Surroundings(client, server.address, receiver, run.folder, run.new_database)
        sites = await _found(surroundings, [each for each in SCENARIOS if _is_wanted(run, each.name)])
        cases = _planned(run, sites)
        tally, turns = Tally(), asyncio.Semaphore(AT_ONCE)
        branches = [cases[at : at + CASES_OF_A_BRANCH] for at in range(0, len(cases), CASES_OF_A_BRANCH)]
        await asyncio.gather(*(_branch(run, surroundings, n, some, tally, turns) for n, some in enumerate(branches)))
    never = {case.site for case in cases} - tally.reached
    run.record.figure("crash points: sites found", len(sites))
    run.record.figure("crash points: sites never reached", len(never))
    if tally.stalls:
        with run.record.case("stalls outlive their attempts") as trial:
            told = f"of {tally.stalls} stalls of an attempt, {tally.asked_again} were asked again meanwhile"
            trial.expect(tally.stalls - tally.asked_again <= max(1, tally.stalls // 10), told)
        run.record.figure("crash points: attempts that stalled", tally.stalls)
        run.record.figure("crash points: attempts that stalled and were made again", tally.asked_again)
    run.record.effects(tally.transfers, **{each: tally.wrong[each] for each in WRONG})


WRONG = ("lost", "doubled", "stuck", "contradictory")


def _is_wanted(run: Run, scenario: str) -> bool:
    """Whether any case that is asked for can be of this scenario."""
    if run.only != "*":
        of, colon, _ = run.only.partition(":")
        return not colon or fnmatch(scenario, of)
    return not run.quick or scenario in QUICK_SCENARIOS


async def _found(surroundings: Surroundings, scenarios: Sequence[Scenario]) -> list[Site]:
    turns = asyncio.Semaphore(4)  # few at once: what is watched shall be as undisturbed as can be

    async def one(scenario: Scenario) -> list[Site]:
        async with turns:
            return await discover(surroundings, scenario)

    return [site for some in await asyncio.gather(*map(one, scenarios)) for site in some]


def _planned(run: Run, sites: Sequence[Site]) -> list[Case]:
    """The cases of this run, in an order that chance chose."""
    every = [Case(site, fate) for site in sites for fate in FATES]
    if run.only != "*":
        return [case for case in every if run.wants(case.name)]
    if run.quick:
        stalls = [case for case in every if case.stalls_an_attempt]
        others = [[case for case in every if case.fate == fate] for fate in FATES if fate != "stall"]
        return [case for some in (stalls, *others) for case in run.random.sample(some, QUICK // 3)]
    if run.every_case:
        planned = every
    else:
        planned = one_of_each(sites, run.seed, run.database)
        run.record.gap(
            f"crash points on {run.database}: {len(planned)} of {len(every)} cases: each place with one of the "
            "three fates (the other database has another), on one of the databases each statement, later passage, and "
            "what knows no database; in a scenario chosen by the seed; all with --every-case"
        )
    run.random.shuffle(planned)
    return planned


async def _branch(
    run: Run, surroundings: Surroundings, number: int, cases: Sequence[Case], tally: Tally, turns: asyncio.Semaphore
) -> None:
    """Play some cases in a branch of their own."""
    name = f"b{number}"
    ids = [[f"{case.site.scenario.name}.{name}.{n}-{m}" for m in range(TRIES)] for n, case in enumerate(cases)]
    async with turns, open_branch(surroundings, name, [id for some in ids for id in some]) as branch:
        for case, some in zip(cases, ids, strict=True):
            with run.record.case(case.name) as trial:
                await play(branch, case, some, trial, tally)
        run.record.failpoints(Path(branch.place.fired))
