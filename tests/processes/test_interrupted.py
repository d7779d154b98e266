"""The starter interrupted: at its imports, in its work. Nothing is lost, and the exit status says to ask again."""

import signal

import pytest

from tests.support.databases import only_sqlite
from tests.support.processes import Folder, hear

TRANSFER = ("transfer", "--id", "T1", "--from", "alice", "--to", "bob", "--amount", "25.00")


@only_sqlite
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_ctrl_c_loses_nothing(running: Folder, number: signal.Signals) -> None:
    """
    The caller goes, the transfer goes on; the same command later tells how it ended.
    """
    process = await running.start("starter.py", *TRANSFER, "--json", armed="starter.after_start=stall:30")
    await running.reaches("T1", "settled")
    process.send_signal(number)
    interrupted = await hear(process)

    assert (interrupted.exit, interrupted.json["status"]) == (5, "unknown")
    assert (await running.starter(*TRANSFER, "--json")).json["replayed"] is True
    assert await running.balances("alice", "bob") == [75_00, 25_00]


@only_sqlite
@pytest.mark.parametrize("module", ["typer", "engine.submitting"])
async def test_ctrl_c_while_it_still_imports_is_exit_5(place: Folder, module: str) -> None:
    """
    Before the commands are known, and when one of them has begun to fetch what it needs: unknown, and what to do.
    """
    (place.path / "sitecustomize.py").write_text(INTERRUPTS.format(module=module))
    place.more["PYTHONPATH"] = str(place.path)

    said = await place.starter(*TRANSFER, "--json")

    assert said.exit == 5
    assert "unknown" in said.output + said.errors


INTERRUPTS = """
import signal, sys
class Interrupts:
    def find_spec(name, *_):
        if name == {module!r}:
            sys.meta_path.remove(Interrupts)
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupts)
"""
"""What Python imports first: it presses Ctrl-C at the import of a module."""
