"""The connection to Temporal: what every process of this project asks of it, whatever the network does."""

from pathlib import Path

from engine.connection import connect
from engine.embedded import EmbeddedServer
from engine.plugin import ClientPlugin
from engine.settings import Settings

TOO_MANY_PINGS_MILLIS = 10_000
"""Temporal's own servers close a connection that pings more often (`frontend.keepAliveMinTime`)."""


async def test_a_silent_network_is_noticed_in_time_for_the_money(
    tmp_path: Path, temporal_server: EmbeddedServer
) -> None:
    """
    A worker whose packets vanish gets no task until it gives the connection up: 45 s by default, and money waits 30 s.
    """
    settings = Settings(tmp_path, f"sqlite:///{tmp_path}/ledger.db", None)
    client = await connect(settings, [ClientPlugin()], temporal_server.address)

    asked = client.service_client.config.keep_alive_config
    assert asked is not None
    assert asked.interval_millis > TOO_MANY_PINGS_MILLIS
    assert asked.interval_millis + asked.timeout_millis < 20_000
