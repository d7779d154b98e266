"""The fixtures that every test may use: a fresh database, and open books on it.

A test that takes `new_database`, `database_url` or `ledger` runs on SQLite, on PostgreSQL, or on both, by the rule in
`tests/support/databases.py`; neither is ever skipped. HYPOTHESIS_PROFILE=thorough makes the property tests search for
longer.
"""

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from temporalio.client import Client

from engine.embedded import EmbeddedServer
from engine.plugin import ClientPlugin
from ledger import failpoints
from ledger.book import Ledger
from tests.support.databases import databases_of, has_a_mark
from tests.support.invariants import check_books
from tests.support.memory import memory
from tests.support.order import long_first
from tests.support.postgres import Postgres, migrate_once, postgres_server, run

_EXIT_STATUS = pytest.StashKey[int]()

_PROMPT = (
    # By default a deleted workflow is there for another half minute, until the queue's position has been saved.
    *("--dynamic-config-value", "history.transferProcessorEnsureCloseBeforeDelete=false"),
    *("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="100ms"'),  # timers are otherwise up to 1 s late
)

# The databases' speed varies with the machine, and says nothing about a property.
_UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
settings.register_profile("quick", _UNTIMED, max_examples=60, stateful_step_count=30)
settings.register_profile("thorough", _UNTIMED, max_examples=1000, stateful_step_count=60)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server, started when the first test asks for it.

    A database that is made and dropped for each test would be half a second of waiting for a disk.
    """
    with postgres_server(memory()) as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the ledger's schema and no rows, to be copied."""
    path = tmp_path_factory.mktemp("template") / "books.db"
    run(migrate_once(f"sqlite:///{path}"))
    return path


@pytest.fixture
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """A function that makes a fresh database for the ledger and returns its URL."""
    made: list[str] = []
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")

        def new_file() -> str:
            path = shutil.copy(template, tmp_path / f"books-{len(made)}.db")
            made.append(f"sqlite:///{path}")
            return made[-1]

        yield new_file
        return
    server: Postgres = request.getfixturevalue("postgres")

    def new_postgresql() -> str:
        made.append(server.create())
        return made[-1]

    yield new_postgresql
    for url in made:
        server.drop(url)


@pytest.fixture
def database_url(new_database: Callable[[], str]) -> str:
    """The URL of a fresh database."""
    return new_database()


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    """Open books without any rows, whose invariants are checked when the test is over."""
    async with Ledger.open(database_url) as ledger:
        yield ledger
        await check_books(ledger.engine)


@pytest.fixture
def arm() -> Iterator[Callable[[str], None]]:
    """A function that arms failpoints in this process, until the test is over."""
    yield failpoints.arm
    failpoints.arm("")


@pytest.fixture(scope="session")
async def temporal_server() -> AsyncIterator[EmbeddedServer]:
    """A real Temporal server, started when the first test asks for it."""
    with tempfile.TemporaryDirectory(prefix="durable-transfers-", dir=memory(), ignore_cleanup_errors=True) as folder:
        async with EmbeddedServer.running(Path(folder), port=0, ui_port=None, extra=_PROMPT) as server:
            yield server


@pytest.fixture
async def temporal(temporal_server: EmbeddedServer) -> Client:
    """A client of the Temporal server, with the project's converter."""
    return await Client.connect(temporal_server.address, plugins=[ClientPlugin()])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on the databases that the rule gives it, unless it has a mark."""
    if "new_database" in metafunc.fixturenames and not has_a_mark(metafunc):
        metafunc.parametrize("new_database", databases_of(metafunc), indirect=True)


def pytest_configure() -> None:
    """Make the engine wrong, if a mutant is asked for: see `tests/faults/mutants`."""
    gc.disable()  # while tests are collected, nothing is garbage, and looking for it is a quarter of the time
    if name := os.environ.get("DURABLE_TRANSFERS_MUTANT"):
        from tests.faults.mutants import let_loose

        let_loose(name)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes long, whatever order the tests are in otherwise; every runner finds the same."""
    runners = getattr(config, "workerinput", {}).get("workercount", 1)
    items[:] = long_first(items, [item.path.stem for item in items], runners)


def pytest_collection_finish() -> None:
    """What is there now stays: garbage is looked for among what the tests make."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remember how the run ended, for the last hook."""
    session.config.stash[_EXIT_STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave at once with the run's own status: the Temporal SDK's native threads crash the interpreter at exit now
    and then (sdk-python issue 300), which would turn a green run red.
    """
    is_one_of_several = hasattr(config, "workerinput")  # its exit is not the run's, and it has something to send yet
    if (status := config.stash.get(_EXIT_STATUS, None)) is not None and not is_one_of_several:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
