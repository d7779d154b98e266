"""Playing one case: the fault, the recovery, the caller who asks until it knows, and then everything is looked at."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.submitting import workflow_id
from ledger.failpoints import FailpointError
from tests.faults.crash.branch import KILLED, LEAST_PATIENCE, Branch
from tests.faults.crash.cases import Case, Site
from tests.faults.crash.instrumented_worker import bank_of
from tests.faults.crash.rail import paid, payments
from tests.faults.crash.said import Said
from tests.faults.crash.scenarios import CARRIED_OUT, CONTRADICTED, Scenario, b_of
from tests.faults.evidence import Evidence, Rows
from tests.faults.invariants import violations
from tests.faults.record import Trial
from workflows.search_attributes import NEEDS_ATTENTION


@dataclass
class Tally:
    """What came of the cases so far."""

    reached: set[Site] = field(default_factory=set)
    stalls: int = 0
    """Of attempts."""
    asked_again: int = 0
    """How many of them were asked again while they stalled."""
    transfers: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    """Transfers by what went wrong: lost, doubled, stuck, contradictory."""


async def play(branch: Branch, case: Case, ids: Sequence[str], trial: Trial, tally: Tally) -> None:
    """Play a case; what was wrong goes into the trial.

    Should the fault not fire, which happens when the processor is so busy that a workflow takes another number of
    tasks than it did while it was watched, the case is played again under its next id.
    """
    for id in ids:
        fired = len(branch.fired())
        await _play(branch, case, id, trial, tally)
        sites = [line["site"] for line in branch.fired()[fired:]]
        if case.site.name in sites:
            tally.reached.add(case.site)
            trial.expect(len(sites) == 1, f"planned {case.site.name}, fired {sites}")
            if case.stalls_an_attempt:
                tally.stalls += 1
                again = await branch.say("asked again")
                tally.asked_again += any(id in key for key in again)
            return
    trial.problems.append("the fault did not fire")


async def _play(branch: Branch, case: Case, id: str, trial: Trial, tally: Tally) -> None:
    scenario, deaths = case.site.scenario, len(branch.deaths)
    tally.transfers += scenario.is_transfer
    if case.site.is_the_callers:
        await _call(branch, case, id, trial)
    else:
        await branch.say("arm", case.plan(id))
    try:
        said = await branch.definite(scenario, id)
        for workflow_id in scenario.settle_on(id):
            await branch.wait(workflow_id)
        rows = await _rows_when_told(branch, id)
        if scenario.name == CONTRADICTED:
            await _check_contradiction(branch, id, rows, trial)
    except TimeoutError:
        tally.wrong["stuck"] += 1
        raise
    again = await branch.definite(scenario, id)
    trial.expect(said == scenario.answer, f"the answer is {said}, not {scenario.answer}")
    trial.expect(again == said, f"the answer was {said}, and then {again}")
    tally.wrong["contradictory"] += again != said
    _check_books(branch, scenario, id, said, rows, trial, tally)
    trial.expect(set(branch.deaths[deaths:]) <= {KILLED}, f"the worker ended with {branch.deaths[deaths:]}")


async def _call(branch: Branch, case: Case, id: str, trial: Trial) -> None:
    """The caller's process asks, and meets its fault."""
    said, signal = await branch.call(case.site.scenario, id, case.plan(id))
    match case.fate:
        case "kill":
            trial.expect(signal == KILLED, f"the caller was not killed, and said {said}")
        case "raise":
            failed = said is not None and said[0] == "failed" and FailpointError.__name__ in said[1]
            trial.expect(failed, f"the caller met no error, and said {said}")
        case _:
            answer = case.site.scenario.answer
            trial.expect(said is not None and said[:2] == ("told", answer), f"the stalled caller was told {said}")


def _check_books(
    branch: Branch, scenario: Scenario, id: str, said: Said, rows: Rows, trial: Trial, tally: Tally
) -> None:
    balances = {row["id"]: row["credits_posted"] - row["debits_posted"] for row in rows.accounts}
    expected = {f"{id}-a": scenario.a, b_of(id): scenario.b, "transit:USD": 0}
    for account_id, balance in expected.items():
        trial.expect(
            balances[account_id] == balance, f"{account_id} has {balances[account_id]}, and should have {balance}"
        )
    tally.wrong["doubled"] += sum(balances[account] != balance for account, balance in expected.items()) > 0
    _check_setting(rows, scenario, id, trial)
    if (due := CARRIED_OUT.get(scenario.name)) is not None:
        carried_out = paid(bank_of(branch.place), f"{id}/submit")
        trial.expect(carried_out == due, f"the bank has paid {carried_out}, and should have paid {due}")
        tally.wrong["doubled"] += len(carried_out) > 1
    deliveries = branch.surroundings.receiver.about(id)
    if scenario.is_transfer:
        statuses = [row["status"] for row in rows.transfers if row["id"] == id]
        trial.expect(statuses == [said.status], f"told {said.status}, and the books say {statuses}")
        tally.wrong["lost"] += statuses != [said.status]
        told = {each.key for each in deliveries if each.accepted}
        trial.expect(told == {f"{id}/notify/{said.status}"}, f"the outside was told {sorted(told)}")
    ours = branch.surroundings.receiver.in_the_branch_of(id)
    found = violations(Evidence(rows, branch.answers, ours))
    trial.problems.extend(str(violation) for violation in found)


async def _rows_when_told(branch: Branch, id: str) -> Rows:
    """The books, when they say that the outside was told. A workflow of its own may still be at it."""
    async with asyncio.timeout(LEAST_PATIENCE):
        while True:
            rows = await branch.rows()
            told = [row["delivered_at"] for row in rows.notifications if _is_about(row["transfer_id"], id)]
            if None not in told:
                return rows
            await asyncio.sleep(0.05)


async def _check_contradiction(branch: Branch, id: str, rows: Rows, trial: Trial) -> None:
    """The person's decision and the rail's word are both in the books, and somebody is called to look at it."""
    kept = {row["key"]: (row["outcome"], row["detail"]) for row in rows.operations}
    (payment,) = [each for each in payments(bank_of(branch.place)) if each["key"] == f"{id}/submit"]
    said = {"decision": "not_paid, says bea: the bank's letter", "accepted": payment["reference"], "rejected": None}
    for leg, detail in said.items():
        expected = None if detail is None else ("applied", detail)
        found = kept.get(f"{id}/{leg}")
        trial.expect(found == expected, f"{id}/{leg} is {found}, and should be {expected}")
    run = await branch.surroundings.client.get_workflow_handle(workflow_id(id)).describe()
    trial.expect(run.typed_search_attributes.get(NEEDS_ATTENTION) is True, "nobody is called to look at it")


def _is_about(transfer_id: str | None, id: str) -> bool:
    """Whether a transfer is the case's own: it, or one of several that it consists of."""
    return transfer_id is not None and (transfer_id == id or transfer_id.startswith(f"{id}."))


def _check_setting(rows: Rows, scenario: Scenario, id: str, trial: Trial) -> None:
    """What was set is set."""
    statuses = {row["id"]: row["status"] for row in rows.accounts}
    match scenario.name:
        case "account_opened":
            trial.expect(statuses.get(f"{id}-new") == "open", f"{id}-new is {statuses.get(f'{id}-new')}")
        case "account_frozen":
            trial.expect(statuses[f"{id}-a"] == "frozen", f"{id}-a is {statuses[f'{id}-a']}")
