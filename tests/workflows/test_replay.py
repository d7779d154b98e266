"""Replay: the workflows of today still understand the histories of yesterday.

A golden history is recorded once, when its ending is first written, and never again: it stands for all the
transfers that are running when a new version is deployed. RECORD_HISTORIES=1 records those that are missing.
"""

import os
import re
import socket
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from engine.plugin import WorkerPlugin
from tests.support.bank import Bank, sandbox
from tests.support.databases import only_sqlite
from tests.workflows.endings import ENDINGS

HISTORIES = Path(__file__).parent / "histories"

LESSON = """
The workflow code of today does not follow this recorded history. Deployed like this, every running transfer that
is past the point of difference would stop, its money in transit, until the code is put back.
Instead: keep the old path beside the new one with workflow.patched("name of the change"), or give the new
behaviour a workflow type of its own. Add a history for it. Never re-record this one.
"""


@only_sqlite
@pytest.mark.parametrize("ending", ENDINGS)
async def test_every_ending_has_a_golden_history(bank: Bank, ending: str) -> None:
    """
    A new ending is recorded once. Here each is played again, and its fresh history replays too.
    """
    history = await bank.history(await ENDINGS[ending](bank))
    path = HISTORIES / f"{ending}.json"
    if os.environ.get("RECORD_HISTORIES") and not path.exists():
        path.write_text(_anonymous(history.to_json()) + "\n")

    assert path.exists(), f"{path.name} is missing. Record it, once: RECORD_HISTORIES=1 pytest tests/workflows"
    await _replay(history)


@pytest.mark.parametrize("path", sorted(HISTORIES.glob("*.json")), ids=lambda path: path.stem)
async def test_a_golden_history_still_replays(path: Path) -> None:
    """
    What was running before a deploy goes on after it.
    """
    try:
        await _replay(WorkflowHistory.from_json(f"golden/{path.stem}", path.read_text()))
    except Exception as error:
        pytest.fail(f"{path.name}: {error}\n{LESSON}")


async def _replay(history: WorkflowHistory) -> None:
    plugin = WorkerPlugin(workflow_runner=sandbox())
    await Replayer(workflows=[], plugins=[plugin]).replay_workflow(history)


def _anonymous(history: str) -> str:
    """A history without the name of the machine it was recorded on."""
    text = re.sub(r'"identity": "[^"]*"', '"identity": "golden"', history)
    return re.sub(rf"[0-9]+@{re.escape(socket.gethostname())}", "golden", text)
