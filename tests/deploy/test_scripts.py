"""The scripts that set Temporal up: its databases' schema with a stand-in tool, its namespace on a real server."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from engine.settings import ROOT
from tests.deploy.compose_file import SERVICES, attributes, run_script, with_defaults

SCRIPTS = sorted((ROOT / "deploy").rglob("*.sh"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_the_scripts_are_valid_shell_and_executable(script: Path) -> None:
    """The postgres image sources a script that is not executable, into a shell with other settings."""
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    assert os.access(script, os.X_OK)


def test_the_schema_script_creates_sets_up_and_updates_both_databases(tmp_path: Path) -> None:
    """A stand-in for temporal-sql-tool writes down how it was called; the last call fails, and so does the script."""
    tool, calls = tmp_path / "temporal-sql-tool", tmp_path / "calls"
    tool.write_text(f'#!/bin/sh\necho "$@" >> {calls}\ncase "$*" in *visibility/versioned) exit 3 ;; esac\n')
    tool.chmod(0o755)

    done = run_script("temporal/schema.sh", {"PATH": f"{tmp_path}:{os.environ['PATH']}"})

    assert done.returncode == 3
    schema = "/etc/temporal/schema/postgresql/v12"
    assert calls.read_text().splitlines() == [
        "--db temporal create",
        "--db temporal setup-schema -v 0.0",
        f"--db temporal update-schema -d {schema}/temporal/versioned",
        "--db temporal_visibility create",
        "--db temporal_visibility setup-schema -v 0.0",
        f"--db temporal_visibility update-schema -d {schema}/visibility/versioned",
    ]


# The namespace, on a real Temporal server of the version that the compose file names


@pytest.fixture(scope="module")
def temporal() -> Iterator[dict[str, str]]:
    """A Temporal server, and the environment in which the script of the compose file finds it."""
    tools = Path(sys.executable).parent
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    service = SERVICES["temporal-namespace"]["environment"]
    environment = {
        **{name: with_defaults(value) for name, value in service.items()},
        "PATH": f"{tools}:{os.environ['PATH']}",
        "TEMPORAL_ADDRESS": f"127.0.0.1:{port}",
    }
    command = [str(tools / "temporal"), "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while _temporal(environment, "operator", "cluster", "health").returncode != 0:
            assert time.monotonic() < deadline, "the Temporal server did not start"
            time.sleep(0.1)
        yield environment
    finally:
        server.terminate()
        server.wait(30)


def test_the_namespace_script_registers_everything_and_may_run_again(temporal: Mapping[str, str]) -> None:
    """The second run finds all of it there and says so."""
    for _time in range(2):
        done = run_script("temporal/namespace.sh", temporal)
        assert done.returncode == 0, done.stderr

    described = _temporal(temporal, "operator", "namespace", "describe")
    listed = _temporal(temporal, "operator", "search-attribute", "list")
    assert re.search(r"RetentionTtl\s+2160h0m0s", described.stdout)  # 90 days
    registered = dict(line.split() for line in listed.stdout.splitlines() if len(line.split()) == 2)
    assert attributes().items() <= registered.items()


def test_the_namespace_script_adds_what_is_missing_beside_what_is_there(temporal: Mapping[str, str]) -> None:
    """The CLI itself would report success and add nothing if one of several names existed."""
    namespace = {**temporal, "TEMPORAL_NAMESPACE": "half"}
    assert run_script("temporal/namespace.sh", {**namespace, "SEARCH_ATTRIBUTES": "Currency=Keyword"}).returncode == 0

    assert run_script("temporal/namespace.sh", namespace).returncode == 0

    listed = _temporal(namespace, "operator", "search-attribute", "list").stdout
    assert all(re.search(rf"\b{name}\s+{type}\b", listed) for name, type in attributes().items())


def test_the_namespace_script_fails_on_an_attribute_of_another_type(temporal: Mapping[str, str]) -> None:
    """A worker must not start on a namespace in which amounts are text."""
    namespace = {**temporal, "TEMPORAL_NAMESPACE": "wrong"}
    assert (
        run_script("temporal/namespace.sh", {**namespace, "SEARCH_ATTRIBUTES": "AmountMinor=Keyword"}).returncode == 0
    )

    done = run_script("temporal/namespace.sh", namespace)

    assert done.returncode != 0
    assert "AmountMinor already exists" in done.stderr


def _temporal(environment: Mapping[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).parent / "temporal"), *arguments]
    return subprocess.run(command, env=dict(environment), capture_output=True, text=True)
