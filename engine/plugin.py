"""The plugin: everything that client, worker and replayer must have in common, said once."""

from collections.abc import Callable, Sequence
from typing import Any

from temporalio.plugin import SimplePlugin
from temporalio.worker import WorkflowRunner

from engine.converter import data_converter
from engine.counting import ArgumentCount


class ClientPlugin(SimplePlugin):
    """What a caller needs: the converter."""

    def __init__(self) -> None:
        super().__init__("durable-transfers", data_converter=data_converter)


class WorkerPlugin(SimplePlugin):
    """What a worker or a replayer needs: converter, interceptor, workflows, and the activities with their ledger."""

    def __init__(
        self, activities: Sequence[Callable[..., Any]] = (), workflow_runner: WorkflowRunner | None = None
    ) -> None:
        from workflows.registry import ALL

        super().__init__(
            "durable-transfers",
            data_converter=data_converter,
            workflows=ALL,
            activities=activities or None,
            interceptors=[ArgumentCount()],
            workflow_runner=workflow_runner,
        )
