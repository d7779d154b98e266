"""Counting: a workflow or an activity that is started with too few or too many arguments is refused for good.

The Web UI lets anybody start one with none or with two. Python's TypeError would be an accident like any other, tried
again for ever, although it can never succeed. What a message says is for the converter to judge (`converter.py`).
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from engine.converter import MALFORMED


class ArgumentCount(Interceptor):
    """Refuses the wrong number of arguments, as a failure that is not retried."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See the SDK."""
        return _Activities(next)

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        """See the SDK."""
        return _Workflows


class _Activities(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        _check(input.args, input.fn)
        return await super().execute_activity(input)


class _Workflows(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        _check((None, *input.args), input.run_fn)  # an unbound method: it takes the workflow too
        return await super().execute_workflow(input)


def _check(arguments: Sequence[Any], function: Callable[..., Any]) -> None:
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as error:
        raise ApplicationError(f"wrong number of arguments: {error}", type=MALFORMED, non_retryable=True) from error
