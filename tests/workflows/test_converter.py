"""The converter: what can never be right is refused for good; what only this version cannot read is not."""

import pytest
from pydantic import ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.exceptions import ApplicationError

from activities.messages import LegOutcome, TransferRequest
from engine.converter import MALFORMED, data_converter


def _payload(text: bytes) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=text)


def test_a_request_that_can_never_be_right_is_refused_for_good() -> None:
    """
    Retrying it would be for ever.
    """
    with pytest.raises(ApplicationError) as refused:
        data_converter.payload_converter.from_payloads([_payload(b'{"amount_minor": true}')], [TransferRequest])

    assert (refused.value.type, refused.value.non_retryable) == (MALFORMED, True)


def test_an_answer_of_a_newer_worker_is_an_accident_that_ends_with_the_deploy() -> None:
    """
    Failing the workflow for it would leave money in transit: its task is tried again until a newer worker takes it.
    """
    with pytest.raises(ValidationError):
        data_converter.payload_converter.from_payloads([_payload(b'{"kind": "held"}')], [LegOutcome])


def test_a_field_that_only_a_newer_sender_knows_is_no_harm() -> None:
    """
    During a deploy, two versions share the queue.
    """
    text = b'{"kind": "applied", "status": "settled", "something_new": 1}'

    (outcome,) = data_converter.payload_converter.from_payloads([_payload(text)], [LegOutcome])

    assert outcome.applied
