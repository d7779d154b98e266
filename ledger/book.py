"""Ledger: the public surface of the books. `apply` is the only thing in the project that writes to them.

    apply(request)       ──> queue ──┐
    apply_many(requests) ──> pieces ─┴─> one batch at a time: load, decide, write, commit ──> each caller's outcome

Group commit: while one commit is in flight, new requests wait together, and the next commit takes all of them.
There is no timer: a lone request is a batch of one and waits for nobody. Of a bulk, each commit takes one piece beside
whatever else is waiting: a lone request never waits for more than the piece that is being committed. The commit runs
in the batcher's own task, so that cancelling a caller never cancels a commit: what it was asked is then either done or
not, and the same key asked again tells which.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import islice

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger import failpoints, store
from ledger.books import Changes
from ledger.database import check_safety, open_database, parse_url, sqlite_path
from ledger.errors import LedgerError, OutcomeUnknown, OutOfOrder
from ledger.lockfile import hold_lock
from ledger.migrations import migrate
from ledger.notification import EntryNotification, Notification
from ledger.operation import Operation, Outcome, Request
from ledger.reader import PendingNotification, Reader
from ledger.rules import decide
from ledger.writer import writer

BATCH_LIMIT = 500
"""The most requests that one commit takes."""

PIECE = 2000
"""The most requests of a bulk that one commit takes: large enough for a commit's own costs to be shared by many, small
enough for a lone request to wait a fifth of a second at most."""

CLOSING_SECONDS = 60.0
"""How long closing waits for what is being committed. What has no answer by then is unknown, as after a crash."""

FRESH, FRESH_SECONDS = 1000, 5.0
"""How many notifications a process remembers of those it has committed last, and for how long: beyond that, somebody
else may well have delivered them."""

_KEY_RACES = 5

Answer = Outcome | LedgerError
_Waiting = tuple[Request, "asyncio.Future[Outcome]"]
_Piece = tuple[Sequence[Request], "asyncio.Future[Sequence[Answer]]"]


class Ledger(Reader):
    """The books, open for writing. Make one per process with `Ledger.open`."""

    def __init__(self, engine: AsyncEngine, batch_limit: int = BATCH_LIMIT) -> None:
        super().__init__(engine)
        self.writer = writer(engine)
        self._batch_limit = batch_limit
        self._waiting: deque[_Waiting] = deque()
        self._pieces: deque[_Piece] = deque()
        self._committing: asyncio.Task[None] | None = None
        self._fresh: dict[str, tuple[float, Notification | EntryNotification]] = {}
        self._open = True

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, batch_limit: int = BATCH_LIMIT) -> AsyncIterator["Ledger"]:
        """Migrate, check the safety settings, and open the books; on SQLite, as the only writing process.

        Raises MalformedRequest for a URL of another database, LedgerInUse when another process writes this
        SQLite file, UnsafeDatabase when a setting would lose acknowledged money.
        """
        parsed = parse_url(url)
        with hold_lock(sqlite_path(parsed)):
            engine = open_database(parsed)
            ledger = cls(engine, batch_limit)
            try:
                await ledger.writer.transaction(check_safety, _at_once)
                await migrate(engine)
                yield ledger
            finally:
                await ledger._closed()
                await engine.dispose()

    async def apply(self, request: Request) -> Outcome:
        """Do one thing, once. Idempotent: the same key and content give the same outcome for ever.

        Raises OutcomeUnknown when there was no answer (ask again), OutOfOrder when the books and the caller
        disagree about the past. May be cancelled at any point without harm, and without telling what happened.
        """
        self._check_open()
        return await self._enqueue(request)

    async def apply_all(self, requests: Sequence[Request]) -> list[Outcome]:
        """Do many things, each on its own: one's rejection leaves the others alone. One outcome each, in order.

        Not one entry: a crash may leave a prefix of them done. Raises the first accident, after all have ended.
        """
        self._check_open()
        answers = await asyncio.gather(*(self._enqueue(request) for request in requests), return_exceptions=True)
        outcomes = [answer for answer in answers if isinstance(answer, Outcome)]
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return outcomes

    async def apply_many(self, requests: Sequence[Request]) -> list[Outcome]:
        """Like `apply_all`, for thousands: a piece at a time, each in one transaction, and in order within it."""
        self._check_open()
        pieces = [requests[start : start + PIECE] for start in range(0, len(requests), PIECE)]
        futures = [asyncio.get_running_loop().create_future() for _ in pieces]
        self._pieces.extend(zip(pieces, futures, strict=True))
        self._start_committing()
        answers = [answer for piece in await asyncio.gather(*futures) for answer in piece]
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return answers

    async def notification(self, key: str) -> PendingNotification | None:
        """As Reader's. The first look at one that this process has just committed needs no database."""
        committed_at, fresh = self._fresh.pop(key, (0.0, None))
        if fresh is None or time.monotonic() - committed_at > FRESH_SECONDS:
            return await super().notification(key)
        return PendingNotification(key, fresh.body, None)

    def _check_open(self) -> None:
        if not self._open:
            raise OutcomeUnknown("the ledger is closed")

    def _enqueue(self, request: Request) -> "asyncio.Future[Outcome]":
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        self._start_committing()
        return future

    def _start_committing(self) -> None:
        if self._committing is None or self._committing.done():
            self._committing = asyncio.create_task(self._commit_all(), name="ledger group commit")

    async def _closed(self) -> None:
        self._open = False
        if self._committing is not None and not self._committing.done():
            await asyncio.wait([self._committing], timeout=CLOSING_SECONDS)
            for _, future in self._waiting:
                if not future.done():
                    future.set_exception(OutcomeUnknown("the ledger was closed before it came to this"))
            for piece, waiting in self._pieces:
                if not waiting.done():
                    waiting.set_result([OutcomeUnknown("the ledger was closed before it came to this")] * len(piece))
            self._waiting.clear()
            self._pieces.clear()
        await self.writer.aclose()

    async def _commit_all(self) -> None:
        while self._waiting or self._pieces:
            size = min(len(self._waiting), self._batch_limit)
            batch = [self._waiting.popleft() for _ in range(size)]
            piece, waiting = self._pieces.popleft() if self._pieces else ((), None)
            answers = await self._answers([*(request for request, _ in batch), *piece])
            if waiting is not None and not waiting.cancelled():
                waiting.set_result(answers[size:])
            for (_, future), answer in zip(batch, answers[:size], strict=True):
                if future.cancelled():
                    continue  # nobody waits for this answer any more; the key remembers it
                if isinstance(answer, Outcome):
                    future.set_result(answer)
                else:
                    future.set_exception(answer)
                    future.exception()  # looked at, so that nobody complains should its caller be gone

    async def _answers(self, requests: Sequence[Request]) -> Sequence[Answer]:
        """One answer per request. What fails as a batch for its content's sake is asked one by one."""
        try:
            return await self._transaction(requests)
        except IntegrityError as error:
            return await self._one_by_one(requests, error)
        except (SQLAlchemyError, OSError, failpoints.FailpointError) as error:
            if _is_about_content(error):
                return await self._one_by_one(requests, error)
            return [_unknown(error) for _ in requests]
        except Exception as error:  # a bug of ours in one request: its neighbours must not pay for it
            return await self._one_by_one(requests, error)

    async def _one_by_one(self, requests: Sequence[Request], error: Exception) -> Sequence[Answer]:
        if len(requests) == 1:
            return [_unknown(error)]
        return [answer for request in requests for answer in await self._answers([request])]

    async def _transaction(self, requests: Sequence[Request]) -> Sequence[Outcome | OutOfOrder]:
        """Load, decide, write, commit; again from the start when another worker took one of the keys meanwhile."""
        keys = [request.key for request in requests if isinstance(request, Operation)]
        for race in range(1, _KEY_RACES + 1):
            await failpoints.passing("ledger.before_transaction", keys)
            try:
                answers, changes = await self.writer.transaction(
                    partial(_decided, requests, first_look=race == 1),
                    partial(failpoints.passing, "ledger.before_commit", keys),
                )
            except _LookAgain:
                continue  # keys and transfers are two reads; another worker's commit may have come between them
            except IntegrityError:
                if race == _KEY_RACES:
                    raise
                continue
            self._remember(changes)
            await failpoints.passing("ledger.after_commit", keys)
            return answers
        raise AssertionError("unreachable")

    def _remember(self, committed: Changes) -> None:
        now = time.monotonic()
        self._fresh |= {notification.key: (now, notification) for notification in committed.notifications[-FRESH:]}
        for key in committed.delivered:
            self._fresh.pop(key, None)
        for key in list(islice(self._fresh, max(len(self._fresh) - FRESH, 0))):
            del self._fresh[key]


def _decided(
    requests: Sequence[Request], connection: Connection, first_look: bool
) -> tuple[Sequence[Outcome | OutOfOrder], Changes]:
    """The work of a transaction: load, decide, write. Returns the answers, and what it changes."""
    books = store.load(connection, requests)
    answers = decide(requests, books)
    if first_look and any(isinstance(answer, OutOfOrder) for answer in answers):
        raise _LookAgain
    store.write(connection, books.changes)
    return answers, books.changes


async def _at_once() -> None:
    """Nothing to wait for before the commit."""


class _LookAgain(Exception):
    """An accident was decided on a first look."""


def _is_about_content(error: BaseException) -> bool:
    """SQLSTATE class 22: a value that the database cannot store."""
    return isinstance(error, DBAPIError) and str(getattr(error.orig, "sqlstate", "")).startswith("22")


def _unknown(error: BaseException) -> OutcomeUnknown:
    said = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    unknown = OutcomeUnknown(f"the ledger did not answer: {type(said).__name__}: {said}")
    unknown.__cause__ = error
    return unknown
