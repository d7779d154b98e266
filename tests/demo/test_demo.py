"""The demo is the first thing a newcomer runs. Here it is run the same way, and nothing of it may stay behind."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from demo.story import STEPS
from engine.settings import ROOT

MARK = "DEMO_UNDER_TEST"
"""A variable that every process of the demo inherits: how they are found, whoever has adopted them."""


@pytest.mark.timeout(240)
def test_the_whole_story_comes_out_as_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """
    Settings that lead elsewhere do not lead the demo there, and no process, port or file outlives it.
    """
    elsewhere = {"TEMPORAL_ADDRESS": "127.0.0.1:1", "TEMPORAL_NAMESPACE": "nowhere", "LEDGER_DATABASE_URL": "nothing"}

    demo = _start(tmp_path, elsewhere)
    output, errors = demo.communicate()
    told = json.loads(output)

    assert (demo.returncode, told["wrong"], errors) == (0, None, "")
    assert [(step["name"], step["ok"]) for step in told["steps"]] == [(step.title, True) for step in STEPS]
    assert told["steps"][-1]["facts"]["held"] == {"alice": 15_00, "bob": 185_00, "carol": 0}
    assert _left_behind(tmp_path) == ([], [])


@pytest.mark.timeout(120)
def test_a_demo_that_is_stopped_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    """
    SIGTERM, like Ctrl-C, ends the worker and the server before the demo itself.
    """
    demo = _start(tmp_path, {})
    while not any("worker.py" in command for command in _running(tmp_path)):
        time.sleep(0.05)

    demo.terminate()
    output, _ = demo.communicate()

    assert (demo.returncode, json.loads(output)["wrong"]) == (1, "interrupted")
    assert _left_behind(tmp_path) == ([], [])


def _start(tmp_path: Path, settings: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "starter.py"), "demo", "--json"],
        env=os.environ | settings | {MARK: str(tmp_path), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _left_behind(tmp_path: Path) -> tuple[list[list[str]], list[Path]]:
    """What there still is of the demo: processes, which would hold its ports, and files."""
    return _running(tmp_path), list(tmp_path.iterdir())


def _running(tmp_path: Path) -> list[list[str]]:
    """The command lines of the demo's processes."""
    commands = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(tmp_path):
                commands.append(process.cmdline())
        except psutil.Error:  # another user's, or gone already
            continue
    return commands
