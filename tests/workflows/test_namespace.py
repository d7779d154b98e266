"""A namespace that Temporal does not know, or does not find at the moment, is no answer about a transfer."""

import pytest
from temporalio.client import Client

from engine.embedded import EmbeddedServer
from engine.plugin import ClientPlugin
from engine.results import Unanswered
from engine.submitting import Submitter


@pytest.fixture
async def elsewhere(temporal_server: EmbeddedServer) -> Submitter:
    """A submitter whose namespace is not there."""
    return Submitter(await Client.connect(temporal_server.address, namespace="nowhere", plugins=[ClientPlugin()]))


async def test_a_namespace_that_is_not_found_does_not_make_a_transfer_unknown(elsewhere: Submitter) -> None:
    """A server short of time has been seen to say so of its own default namespace, with transfers under way in it."""
    with pytest.raises(Unanswered, match="nowhere"):
        await elsewhere.find("T1")


async def test_a_cancel_in_a_namespace_that_is_not_found_is_not_taken_for_done(elsewhere: Submitter) -> None:
    """That a transfer has ended is an answer, and needs Temporal to have looked."""
    with pytest.raises(Unanswered, match="nowhere"):
        await elsewhere.cancel("T1", "changed my mind")
