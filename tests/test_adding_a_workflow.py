"""The guide to adding a workflow is right: what its blocks say, done to a copy of the project, moves money once."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.databases import ENVIRONMENT as DATABASES

ROOT = Path(__file__).parent.parent
GUIDE = ROOT / "docs" / "adding-a-workflow.md"
BLOCK = re.compile(r"^```(python|diff)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TYPES = ".mypy_cache"
"""What `make check` has found out about the types: a third of a minute less."""
MOST_LINES = 80
"""Of the workflow's code, as the guide promises: it is about what is special of an escrow."""


def _blocks() -> Iterator[tuple[str, str, str]]:
    """Each block of the guide: its language, the file that it is about, and its text."""
    for language, text in BLOCK.findall(GUIDE.read_text()):
        first = text.partition("\n")[0]
        yield language, first.removeprefix("# ").removeprefix("--- a/"), text


def _added(old: str, diff: str) -> str:
    """A text with the lines that a diff adds, before or behind a line that is there.

    A hunk shows that line, or its beginning, with a space before it; each line that is added has a plus.
    """
    for hunk in diff.split("\n@@\n")[1:]:
        shown = hunk.splitlines()
        (place,) = [number for number, line in enumerate(shown) if line.startswith(" ")]
        lines = old.splitlines()
        (there,) = [number for number, line in enumerate(lines) if line.startswith(shown[place][1:])]
        before, behind = ([line[1:] for line in some] for some in (shown[:place], shown[place + 1 :]))
        old = "\n".join([*lines[:there], *before, lines[there], *behind, *lines[there + 1 :], ""])
    return old


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, to which all has been done that the guide says."""
    copy = tmp_path_factory.mktemp("project")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip  # one call
    for name in listed.stdout.splitlines():
        if name.endswith((".py", ".toml", ".ini")) and (ROOT / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_text((ROOT / name).read_text())
    with suppress(OSError):  # there is none, or somebody is writing it: mypy then finds out more by itself
        shutil.copytree(ROOT / TYPES, copy / TYPES)
    for language, name, text in _blocks():
        path = copy / name
        path.write_text(text.partition("\n")[2] if language == "python" else _added(path.read_text(), text))
    return copy


def test_the_workflow_of_the_guide_is_short() -> None:
    """Under eighty lines, all of it."""
    (workflow,) = [text for _, name, text in _blocks() if name == "workflows/escrow.py"]

    assert workflow.count("\n") < MOST_LINES


@pytest.mark.timeout(300)
def test_the_guide_leads_to_a_workflow_that_moves_money_once(copy: Path) -> None:
    """Its own tests pass, on both databases; types are right; and its commands are there."""
    tests = _run(copy, "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "tests/workflows/test_escrow.py")
    types = _run(copy, "mypy", "workflows/escrow.py", "cli/commands/escrow.py", "tests/workflows/test_escrow.py")
    starter = _run(copy, "starter", "release", "--help")

    assert tests.returncode == 0, tests.stdout
    assert tests.stdout.startswith("......"), "three tests, each on two databases"
    assert types.returncode == 0, types.stdout
    assert "Give an escrow to its destination." in starter.stdout


def _run(copy: Path, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Not a part of the run that this one is: a worker of pytest-xdist would be taken for one of its own.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment[DATABASES] = "both"
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
