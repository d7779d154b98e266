"""The compose file, as far as it can be tested without a container engine.

It is checked against the compose specification, and against what the code and the scripts expect.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
from ruamel.yaml import YAML

import callbacks
from engine import search_attributes
from engine.embedded import free_port
from engine.settings import ROOT
from engine.worker import DRAIN
from ledger.database import parse_url
from rails import simulated_bank
from rails.callbacks import BANK_SECRET
from tests.deploy.compose_file import COMPOSE, SERVICES, attributes, with_defaults


def test_the_compose_file_follows_the_compose_specification() -> None:
    """A key that is misspelt or in the wrong place is found here, not at the first deploy."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    check = subprocess.run([*command, ROOT / "docker-compose.yml"], capture_output=True, text=True)
    assert check.returncode == 0, check.stdout + check.stderr


def test_every_image_is_pinned_to_the_version_that_was_chosen() -> None:
    """Server, tools and Web UI belong together; an upgrade is a change to this list."""
    assert {name: service["image"] for name, service in SERVICES.items()} == {
        "postgres": "postgres:16",
        "temporal-schema": "temporalio/admin-tools:1.32.0",
        "temporal": "temporalio/server:1.32.0",
        "temporal-namespace": "temporalio/admin-tools:1.32.0",
        "temporal-ui": "temporalio/ui:2.54.1",
        "worker": "durable-transfers-worker",
        "bank": "durable-transfers-worker",
        "callbacks": "durable-transfers-worker",
    }
    assert SERVICES["worker"]["build"] == "."


def test_services_wait_for_services_that_can_become_what_they_wait_for() -> None:
    """Healthy needs a health check, completed needs a service that is allowed to end."""
    for name, service in SERVICES.items():
        for other, wait in service.get("depends_on", {}).items():
            assert other in SERVICES, f"{name} waits for {other}, which does not exist"
            if wait["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other], f"{name} waits for the health of {other}, which has no check"
            elif wait["condition"] != "service_started":
                assert wait["condition"] == "service_completed_successfully"
                assert SERVICES[other]["restart"].startswith("on-failure")


def test_one_shots_retry_and_everything_else_comes_back() -> None:
    """A machine that restarts brings the services back, and does not run the set-up again."""
    one_shots = {"temporal-schema", "temporal-namespace"}
    for name, service in SERVICES.items():
        assert service["restart"] == ("on-failure:5" if name in one_shots else "unless-stopped")


def test_the_worker_starts_after_the_namespace_and_both_databases() -> None:
    """A worker that polls a namespace that does not exist yet would stop."""
    assert SERVICES["worker"]["depends_on"].keys() == {"postgres", "temporal", "temporal-namespace"}


def test_the_worker_may_drain_before_it_is_killed() -> None:
    """A kill during the drain would make every deploy a crash."""
    grace = re.fullmatch(r"(\d+)s", SERVICES["worker"]["stop_grace_period"])
    assert grace is not None
    assert int(grace[1]) > DRAIN.total_seconds()


def test_ports_are_published_on_the_loopback_address_only() -> None:
    """Neither Temporal nor its Web UI asks who somebody is, and callbacks come through a proxy with TLS."""
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert sorted(published) == ["127.0.0.1:7233:7233", "127.0.0.1:8233:8080", "127.0.0.1:8236:8236"]


def test_every_named_volume_is_declared_and_holds_what_must_stay() -> None:
    """What must outlive the containers is in a volume; `docker compose down` leaves it alone."""
    assert COMPOSE["volumes"].keys() == {"postgres-data", "bank-data"}
    assert SERVICES["bank"]["volumes"] == ["bank-data:/var/lib/durable-transfers"]
    assert "postgres-data:/var/lib/postgresql/data" in SERVICES["postgres"]["volumes"]


def test_everything_mounted_from_the_project_exists_and_cannot_be_changed_from_inside() -> None:
    """Docker would silently make an empty folder of a path that does not exist."""
    mounts = [volume for service in SERVICES.values() for volume in service.get("volumes", []) if volume[0] == "."]
    for mount in mounts:
        source, _target, mode = mount.split(":")
        assert (ROOT / source).is_dir()
        assert mode == "ro"
    assert len(mounts) == 4


def test_every_script_and_setting_that_a_service_names_exists() -> None:
    """A path inside a container is a path in the folder that is mounted there."""
    temporal = SERVICES["temporal"]["environment"]["DYNAMIC_CONFIG_FILE_PATH"]
    scripts = [SERVICES[name]["entrypoint"][1] for name in ("temporal-schema", "temporal-namespace")]
    for path in [temporal, *scripts]:
        assert (ROOT / "deploy/temporal" / Path(path).relative_to("/deploy")).is_file()


def test_the_history_shards_are_512() -> None:
    """The number can never be changed after the first start, and the default is 4."""
    assert SERVICES["temporal"]["environment"]["NUM_HISTORY_SHARDS"] == "512"
    assert SERVICES["temporal"]["environment"]["DB"] == "postgres12"


def test_the_search_attributes_are_those_that_the_workflows_set() -> None:
    """A workflow that sets an attribute the namespace does not have cannot make progress."""
    flags = search_attributes.as_flags()
    assert attributes() == dict(pair.split("=") for pair in flags[1::2])


def test_the_web_ui_offers_nothing_that_leaves_money_in_transit() -> None:
    """Terminate, reset and batch actions end or rewind a transfer between its debit and its credit."""
    environment = SERVICES["temporal-ui"]["environment"]
    for action in ("WORKFLOW_TERMINATE", "WORKFLOW_RESET", "BATCH_ACTIONS"):
        assert environment[f"TEMPORAL_{action}_DISABLED"] == "true"


def test_workflow_pause_is_off() -> None:
    """One paused workflow makes `list_workflows` raise in the SDK."""
    dynamic = YAML(typ="safe").load(ROOT / "deploy/temporal/dynamicconfig.yaml")
    assert dynamic["frontend.WorkflowPauseEnabled"] == [{"value": False}]


def test_the_worker_books_in_postgresql_as_the_ledgers_own_role() -> None:
    """The ledger's code accepts the URL, and it names the role and the database that the init script makes."""
    url = parse_url(with_defaults(SERVICES["worker"]["environment"]["LEDGER_DATABASE_URL"]))
    assert (url.get_backend_name(), url.username, url.host, url.database) == (
        "postgresql",
        "ledger",
        "postgres",
        "ledger",
    )


def test_a_password_is_the_same_wherever_it_is_used() -> None:
    """Each is a variable with a default that says what it is fit for."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    used = re.findall(r"\$\{(\w+PASSWORD)(:-[^}]*)?\}", text)
    assert set(used) == {
        (name, ":-local-only") for name in ("POSTGRES_PASSWORD", "TEMPORAL_DB_PASSWORD", "LEDGER_DB_PASSWORD")
    }


def test_payouts_are_tried_out_on_request_only() -> None:
    """A simulated bank is no part of a deployment that did not ask for it; the worker is told of it by its address."""
    assert {name for name, service in SERVICES.items() if "profiles" in service} == {"bank", "callbacks"}
    assert SERVICES["worker"]["environment"]["DURABLE_TRANSFERS_BANK_URL"] is None
    assert SERVICES["bank"]["command"][-1] == f"http://callbacks:{callbacks.PORT}/callbacks/bank"
    assert with_defaults(SERVICES["callbacks"]["environment"][BANK_SECRET]) == simulated_bank.SECRET


def test_the_bank_starts_with_the_command_that_compose_gives_it(tmp_path: Path) -> None:
    """Its options exist, and it answers; but for the port and the file, which are the test's own."""
    service, port = SERVICES["bank"], free_port(0)
    own = ["--port", str(port), "--file", str(tmp_path / "bank.db"), "--webhook-url", ""]
    command = [sys.executable, *service["entrypoint"][1:], *service["command"], *own]
    transport = httpx.HTTPTransport(retries=8)
    with subprocess.Popen(command, cwd=ROOT) as bank, httpx.Client(transport=transport, trust_env=False) as client:
        try:
            response = client.get(f"http://127.0.0.1:{port}/admin/payments")
        finally:
            bank.kill()
    assert response.json() == []


def test_the_inbox_takes_the_command_that_compose_gives_it() -> None:
    """It gets as far as its secrets (exit status 1); an option that it does not have would be 2."""
    service = SERVICES["callbacks"]
    command = [sys.executable, *service["entrypoint"][1:], *service["command"]]
    environment = os.environ | {BANK_SECRET: "whsec_x"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1, ended.stderr
