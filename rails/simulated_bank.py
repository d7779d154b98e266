"""A simulated bank: a real HTTP server in its own process, which pays once per key and misbehaves on request.

    POST /payments              pay, under the header `idempotency-key`
    GET  /payments/<key>        what became of a payment
    GET  /admin/payments        all of them: what the outside saw
    POST /admin/faults          how it shall misbehave: the fields of `Faults`
    POST /admin/returns/<key>   give a payment back: ?in_seconds=0

A beneficiary that begins with `closed` is rejected, and one that begins with `returns` is paid and returned two seconds
later. Events are posted to --webhook-url until they are taken, signed as Standard Webhooks say.
"""

import argparse
import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from rails.bank import KEY_WINDOW_SECONDS
from rails.bank_books import BankBooks, OtherContent

PORT = 8235
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""For local use, as is the whole bank."""

RETURNS_AFTER_SECONDS = 2.0


class Faults(BaseModel):
    """How many of the next submits go wrong, and in which way; and what is wrong with all events."""

    model_config = ConfigDict(extra="forbid")

    drops_answer: int = 0
    fails_before_acting: int = 0
    fails_after_acting: int = 0
    too_many: int = 0
    retry_after_seconds: int = 1
    slow: int = 0
    slow_seconds: float = 5.0
    duplicate_events: bool = False
    events_out_of_order: bool = False

    def takes(self, name: str) -> bool:
        """Whether this submit has the fault; then there is one less to come."""
        left: int = getattr(self, name)
        setattr(self, name, max(0, left - 1))
        return left > 0


class Order(BaseModel):
    """What a submit asks for. `valid_until`: seconds since 1970, after which the bank does not carry it out."""

    amount_minor: StrictInt = Field(gt=0)
    currency: str = Field(min_length=3, max_length=3)
    beneficiary: str = Field(min_length=1, max_length=128)
    valid_until: float | None = None


class Dropped(Response):
    """An answer that breaks off: the client cannot tell what it would have been."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Promise more than is sent; the server closes the connection and says so in its log."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
        await send({"type": "http.response.body", "body": b'{"status": "', "more_body": True})


class SimulatedBank:
    """The bank: its books, its faults, and where it says what has happened."""

    def __init__(self, books: BankBooks, webhook_url: str | None, secret: str) -> None:
        self.faults = Faults()
        self._books = books
        self._webhook_url = webhook_url
        self._webhook = Webhook(secret)

    def application(self) -> Starlette:
        """The bank as a web application."""
        routes = [
            Route("/payments", self.submit, methods=["POST"]),
            Route("/payments/{key:path}", self.look_up),
            Route("/admin/payments", self.payments),
            Route("/admin/faults", self.misbehave, methods=["POST"]),
            Route("/admin/returns/{key:path}", self.give_back, methods=["POST"]),
        ]
        return Starlette(routes=routes, lifespan=self._speaking)

    async def submit(self, request: Request) -> Response:
        """Pay once per key, or what the faults make of it."""
        faults, key = self.faults, request.headers.get("idempotency-key")
        if faults.takes("too_many"):
            return Response(status_code=429, headers={"retry-after": str(faults.retry_after_seconds)})
        if faults.takes("fails_before_acting"):
            return Response("something broke", status_code=500)
        try:
            order = Order.model_validate_json(await request.body())
        except ValidationError as error:
            return Response(str(error), status_code=400)
        if not key or (order.valid_until is not None and time.time() > order.valid_until):
            return Response("too late" if key else "no key", status_code=410 if key else 400)
        try:
            payment = self._books.pay(key, order.model_dump(exclude={"valid_until"}), _refusal(order.beneficiary))
        except OtherContent:
            return Response("the key was used for another payment", status_code=422)
        if order.beneficiary.startswith("returns"):
            self._books.plan_return(key, RETURNS_AFTER_SECONDS)
        if faults.takes("slow"):
            await asyncio.sleep(faults.slow_seconds)
        if faults.takes("fails_after_acting"):
            return Response("something broke", status_code=500)
        return Dropped() if faults.takes("drops_answer") else JSONResponse(payment)

    async def look_up(self, request: Request) -> Response:
        """The payment of a key, or 404. It looks where submits are written: it misses nothing."""
        payment = self._books.find(request.path_params["key"])
        return Response(status_code=404) if payment is None else JSONResponse(payment)

    async def payments(self, request: Request) -> Response:
        """Every payment that was carried out or rejected."""
        return JSONResponse(self._books.payments())

    async def misbehave(self, request: Request) -> Response:
        """Set the faults; those that are not named are none."""
        try:
            self.faults = Faults.model_validate(await request.json())
        except (ValidationError, ValueError) as error:
            return Response(str(error), status_code=400)
        return JSONResponse(self.faults.model_dump())

    async def give_back(self, request: Request) -> Response:
        """Plan a return."""
        in_seconds = float(request.query_params.get("in_seconds", "0"))
        return Response(status_code=204 if self._books.plan_return(request.path_params["key"], in_seconds) else 404)

    @contextlib.asynccontextmanager
    async def _speaking(self, _: Starlette) -> AsyncIterator[None]:
        speaking = asyncio.create_task(self._speak())
        yield
        speaking.cancel()
        self._books.close()

    async def _speak(self) -> None:
        """Say what has happened, until it is taken."""
        async with httpx.AsyncClient(timeout=5.0, trust_env=False) as client:
            while True:
                self._books.return_what_is_due()
                unsaid = self._books.unsaid() if self._webhook_url else []
                if self.faults.events_out_of_order:
                    unsaid.reverse()
                for number, body in unsaid:
                    for _ in range(2 if self.faults.duplicate_events else 1):
                        if await self._post(client, f"evt_{number}", body):
                            self._books.said(number)
                await asyncio.sleep(0.1)

    async def _post(self, client: httpx.AsyncClient, id: str, body: str) -> bool:
        now = datetime.now(UTC)
        headers: dict[str, Any] = {
            "content-type": "application/json",
            "webhook-id": id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(id, now, body),
        }
        try:
            return (await client.post(str(self._webhook_url), content=body, headers=headers)).is_success
        except httpx.HTTPError:
            return False


def _refusal(beneficiary: str) -> tuple[str, str] | None:
    """Why a beneficiary cannot be paid: a code and a sentence; None if it can."""
    return ("account_closed", f"{beneficiary} has closed its account") if beneficiary.startswith("closed") else None


def main() -> None:
    """Run the bank until it is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1", help="(%(default)s)")
    parser.add_argument("--port", type=int, default=PORT, help="(%(default)s)")
    parser.add_argument("--file", type=Path, default=Path("var/bank.db"), help="what it remembers (%(default)s)")
    parser.add_argument("--key-window", type=float, default=KEY_WINDOW_SECONDS, help="seconds that a key lives")
    parser.add_argument("--webhook-url", default="http://127.0.0.1:8236/callbacks/bank", help="(%(default)s)")
    parser.add_argument("--webhook-secret", default=SECRET)
    arguments = parser.parse_args()
    arguments.file.parent.mkdir(parents=True, exist_ok=True)
    books = BankBooks(arguments.file, arguments.key_window)
    bank = SimulatedBank(books, arguments.webhook_url or None, arguments.webhook_secret)
    uvicorn.run(bank.application(), host=arguments.host, port=arguments.port, log_level="warning", loop="asyncio")


if __name__ == "__main__":
    main()
