"""How the starter of a batch says how far it is, while Temporal comes and goes."""

import asyncio
from pathlib import Path
from typing import cast

import pytest

from activities.batch_messages import BatchProgress
from cli import batches
from cli.batch_results import Counts
from engine.batching import Batches
from engine.results import Unanswered


class SilentFirst:
    """Temporal, which is silent to the first report, and says to the next one that the batch was cancelled."""

    def __init__(self) -> None:
        self.reports = 0

    async def report(self, batch_id: str, progress: BatchProgress) -> bool:
        """As `Batches.report`."""
        self.reports += 1
        if self.reports == 1:
            raise Unanswered("Temporal did not answer")
        return False


async def test_a_starter_that_was_not_answered_once_still_hears_of_a_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Found by the storm: the first silence ended all reports, and a cancelled batch went on to the end of its file.
    """
    monkeypatch.setattr(batches, "FIRST_REPORT_SECONDS", 0.01)
    temporal = SilentFirst()
    asked = batches.Asked(Path("payments.csv"), "B1", None, False, 5)
    run = batches._Run(cast(Batches, temporal), asked, Counts())

    async with run.reporting(), asyncio.timeout(5):
        while run.going_on:
            await asyncio.sleep(0.01)

    assert temporal.reports >= 2
