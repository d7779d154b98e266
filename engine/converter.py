"""Converter: pydantic messages as JSON, and a malformed request as a failure that is not retried.

Without this, a request that cannot be read would be an accident like any other: a workflow task, or an activity,
that is tried again for ever although it can never succeed. An *answer* that cannot be read stays an accident: it
comes from a newer worker during a deploy, and failing the workflow for it would leave money in transit.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter, pydantic_data_converter
from temporalio.converter import (
    CompositePayloadConverter,
    DefaultFailureConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
    PayloadConverter,
)
from temporalio.exceptions import ApplicationError

from activities.messages import Asked

MALFORMED = "MalformedRequest"
"""The type of the failure, in Temporal's sense, of a request that can never succeed."""


class _Json(PydanticJSONPlainPayloadConverter):
    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        try:
            return super().from_payload(payload, type_hint)
        except ValidationError as error:
            if not _is_asked(type_hint):
                raise
            raise ApplicationError(explain(error), type=MALFORMED, non_retryable=True) from error


class _Payloads(CompositePayloadConverter):
    def __init__(self) -> None:
        json = _Json()
        super().__init__(
            *(
                json if isinstance(converter, JSONPlainPayloadConverter) else converter
                for converter in DefaultPayloadConverter.default_encoding_payload_converters
            )
        )

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        try:
            values = super().from_payloads(payloads, type_hints)
        except (KeyError, RuntimeError) as error:  # an encoding that nobody knows
            raise ApplicationError(f"cannot be read: {error}", type=MALFORMED, non_retryable=True) from error
        for value, hint in zip(values, type_hints or (), strict=False):
            # Bytes and null have encodings of their own, which pass pydantic by.
            if _is_asked(hint) and not isinstance(value, hint):
                said = f"expected {hint.__name__}, not {type(value).__name__}"
                raise ApplicationError(said, type=MALFORMED, non_retryable=True)
        return values


class _Failures(DefaultFailureConverter):
    """The SDK wraps what goes wrong while an activity's input is read into an error that it would retry."""

    def to_failure(self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure) -> None:
        super().to_failure(exception, payload_converter, failure)
        cause = exception.__cause__
        if isinstance(cause, ApplicationError) and cause.type == MALFORMED and cause.non_retryable:
            failure.message = cause.message
            failure.application_failure_info.type = MALFORMED
            failure.application_failure_info.non_retryable = True


def _is_asked(hint: type | None) -> bool:
    return isinstance(hint, type) and issubclass(hint, Asked)


def explain(error: ValidationError) -> str:
    """What is wrong with a message, in one line: `amount_minor: Input should be a valid integer; ...`."""
    parts = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        where, what = ".".join(str(part) for part in problem["loc"]), problem["msg"].removeprefix("Value error, ")
        parts.append(f"{where}: {what}" if where else what)
    return "; ".join(parts)


data_converter = replace(pydantic_data_converter, payload_converter_class=_Payloads, failure_converter_class=_Failures)
