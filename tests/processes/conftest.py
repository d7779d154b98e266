"""Folders with running workers on the shared Temporal server. Every folder has its own namespace there."""

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from engine.embedded import EmbeddedServer
from tests.support.processes import Folder, folder


async def _new_namespace(client: Client) -> str:
    name = f"bank-{uuid.uuid4().hex[:8]}"
    retention = Duration()
    retention.FromTimedelta(timedelta(days=1))
    service = client.workflow_service
    await service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=retention)
    )
    return name


@pytest.fixture
async def place(
    tmp_path: Path, database_url: str, temporal_server: EmbeddedServer, temporal: Client
) -> AsyncIterator[Folder]:
    """A folder without a worker."""
    async with folder(tmp_path, database_url, temporal_server.address, forked=True) as place:
        place.more["TEMPORAL_NAMESPACE"] = await _new_namespace(temporal)
        yield place


@pytest.fixture
async def running(place: Folder) -> Folder:
    """A folder with a worker, where Alice has 100.00 USD and Bob nothing."""
    await place.worker()
    await open_accounts(place)
    return place


async def open_accounts(place: Folder) -> None:
    """Alice with 100.00 USD, Bob with nothing."""
    said = await place.starter("open-account", "alice", "--currency", "USD", "--deposit", "100", "--deposit-id", "D1")
    assert said.exit == 0, said
    assert (await place.starter("open-account", "bob", "--currency", "USD")).exit == 0
