"""Inbox: where rails post their callbacks. Whoever speaks is checked; a repeat changes nothing; silence is never "no".

A return is handed to the workflow `return/<rail>/<return id>` before it is acknowledged, so that a rail goes on saying
it until Temporal has it. The books drop repeats for ever (`activities/payouts.py`). That a payment was accepted or
rejected wakes the payout, which asks the rail: a callback may be late, repeated or overtaken, and what the rail answers
under the payment's own key is not. If the payout has ended otherwise, the rail is looked up once more, by a workflow.
"""

import contextlib
import logging
from collections.abc import AsyncIterator, Mapping

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from temporalio.client import Client

from activities.payouts import ReturnRequest
from engine.connection import connect
from engine.hearing import hear
from engine.plugin import ClientPlugin
from engine.results import Unanswered
from engine.returns import hand_in
from engine.settings import TASK_QUEUE, Settings
from rails.callbacks import BadCallback, BadSignature, Reader, Spoken

LONGEST_BODY = 1_000_000
"""In bytes. Stripe's events are some thousands."""

_log = logging.getLogger("durable_transfers.inbox")


class Inbox:
    """The callbacks of all rails that are configured, by name."""

    def __init__(self, client: Client, readers: Mapping[str, Reader], task_queue: str) -> None:
        self._client = client
        self._readers = readers
        self._task_queue = task_queue

    async def take(self, request: Request) -> Response:
        """Take one callback. The status says what the rail should do about it."""
        rail = request.path_params["rail"]
        if (read := self._readers.get(rail)) is None:
            return PlainTextResponse(f"no rail called {rail} is configured here", 404)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST_BODY:
                return PlainTextResponse("too long", 413)
        try:
            said = read(request.headers, body)
            if said is None:
                return Response(status_code=204)
            if isinstance(said, Spoken):
                heard = await hear(self._client, said, self._task_queue)
                _log.info("%s has decided about %s: %s", rail, said.payment_key, heard)
                return Response(status_code=204)
            returned = ReturnRequest(rail=said.rail, return_id=said.return_id, payment_key=said.payment_key)
            is_new = await hand_in(self._client, returned, self._task_queue)
        except (BadSignature, BadCallback, ValidationError) as error:
            _log.warning("%s: refused a callback: %s", rail, error)
            return PlainTextResponse(type(error).__name__, 400)
        except Unanswered as error:
            _log.warning("%s: a callback has to come again: %s", rail, error)
            return PlainTextResponse("not now", 503)
        _log.info("%s returns %s as %s%s", rail, said.payment_key, said.return_id, "" if is_new else " (known)")
        return Response(status_code=204)


def inbox(settings: Settings, readers: Mapping[str, Reader], task_queue: str = TASK_QUEUE) -> Starlette:
    """The inbox as a web application, which connects to Temporal when it starts."""

    @contextlib.asynccontextmanager
    async def connected(application: Starlette) -> AsyncIterator[None]:
        taking = Inbox(await connect(settings, [ClientPlugin()]), readers, task_queue)
        application.add_route("/callbacks/{rail}", taking.take, methods=["POST"])
        _log.info("ready: %s", ", ".join(sorted(readers)) or "no rail is configured")
        yield

    return Starlette(lifespan=connected)
