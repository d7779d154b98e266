"""Pytest run: some of the project's tests in a process of their own, and which of them passed."""

import asyncio
import os
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.settings import ROOT
from tests.support.databases import ENVIRONMENT as DATABASES

_SECONDS = 300


@dataclass(frozen=True)
class Tested:
    """One test: its name (`module::test[parameter]`), and what was wrong, if anything."""

    name: str
    problem: str | None


async def run_tests(report: Path, selection: Sequence[str], environment: dict[str, str] | None = None) -> list[Tested]:
    """Run what pytest selects, and read its report. A test that hangs, or a run that breaks, counts as wrong.

    Each test is there on both databases: what a part wants of one is for its selection to say.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--junit-xml={report}", *selection),
        cwd=ROOT,
        env=os.environ | {DATABASES: "both"} | (environment or {}),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await asyncio.wait_for(process.wait(), _SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
    if not report.exists():
        return [Tested("the run", f"pytest ended with status {process.returncode} and no report")]
    return [_read(case) for case in ElementTree.parse(report).iter("testcase") if case.find("skipped") is None]


def _read(case: ElementTree.Element) -> Tested:
    wrong = next((element for tag in ("failure", "error") if (element := case.find(tag)) is not None), None)
    name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
    return Tested(name, None if wrong is None else (wrong.get("message") or "failed")[:500])
