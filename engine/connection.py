"""Connection: to Temporal, through Temporal's own settings (TEMPORAL_ADDRESS, profiles, TLS, API key).

Where none of them says an address, the embedded server of the data folder is used, if there is one.
"""

import logging
from collections.abc import Sequence
from functools import cache

from temporalio.client import Client, Plugin
from temporalio.envconfig import ClientConfig
from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import GrpcCompression, KeepAliveConfig, RPCError

from engine.settings import EmbeddedAddress, Settings

KEEP_ALIVE = KeepAliveConfig(interval_millis=12_000, timeout_millis=5_000)
"""How soon a connection is given up of which the network swallows everything: within 17 s. By the SDK's default it
takes 45 s, in which a worker gets no task. Temporal's own servers take more than one ping in 10 s for an attack."""


class NotReachable(Exception):
    """Temporal did not answer. Whatever was asked may or may not have happened: ask again."""


async def connect(settings: Settings, plugins: Sequence[Plugin], address: str | None = None) -> Client:
    """A connected client, at `address` if one is given. Raises NotReachable with what to do about it."""
    config = ClientConfig.load_client_connect_config()
    embedded = EmbeddedAddress.find(settings.data)
    address = address or config.get("target_host") or (embedded.grpc if embedded else "127.0.0.1:7233")
    on_this_host = address.rpartition(":")[0] in ("127.0.0.1", "localhost", "[::1]")
    config["target_host"] = address
    compression = GrpcCompression.NONE if on_this_host else GrpcCompression.GZIP
    try:
        return await Client.connect(
            **config,
            plugins=plugins,
            grpc_compression=compression,
            keep_alive_config=KEEP_ALIVE,
            runtime=runtime(),
        )
    except (RPCError, RuntimeError) as error:  # the SDK's native client reports a refused connection as RuntimeError
        raise NotReachable(
            f"Temporal does not answer at {address}. Start it with `make up`, or set TEMPORAL_ADDRESS. ({error})"
        ) from error


@cache
def runtime() -> Runtime:
    """This process's native part of the SDK. By itself it would log to standard output, into the middle of `--json`."""
    forwarded = LogForwardingConfig(logger=logging.getLogger("temporalio.core"))
    levels = TelemetryFilter(core_level="WARN", other_level="ERROR")
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=levels, forwarding=forwarded)))


def workflow_url(settings: Settings, namespace: str, workflow_id: str, run_id: str | None) -> str | None:
    """Where the Web UI shows a workflow; None if it is not known where the Web UI is."""
    from urllib.parse import quote

    embedded = EmbeddedAddress.find(settings.data)
    base = settings.ui_url or (embedded.ui if embedded else None)
    if base is None:
        return None
    run = f"/{run_id}/history" if run_id else ""
    return f"{base.rstrip('/')}/namespaces/{namespace}/workflows/{quote(workflow_id, safe='')}{run}"
