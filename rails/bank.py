"""The bank's rail: the client of `simulated_bank.py`, over HTTP.

A bank that takes its time is found out by a look-up: a submit waits two seconds only.
"""

from typing import Any

import httpx

from rails.rail import Accepted, Answer, NoAnswer, NotKnown, Payment, Rejected

NAME = "bank"
TIMEOUT_SECONDS = 2.0
KEY_WINDOW_SECONDS = 24 * 3600.0
"""For how long the bank promises to remember a key."""


class BankRail:
    """A rail that refuses requests which come too late, and whose look-ups miss nothing."""

    name = NAME
    look_up_misses_nothing = True

    def __init__(self, url: str, key_window_seconds: float = KEY_WINDOW_SECONDS) -> None:
        self.key_window_seconds = key_window_seconds
        self._client = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_SECONDS, trust_env=False)

    async def submit(self, payment: Payment) -> Answer:
        """POST the payment under its key. Raises NoAnswer."""
        body = {
            "amount_minor": payment.amount_minor,
            "currency": payment.currency,
            "beneficiary": payment.beneficiary,
            "valid_until": payment.valid_until,
        }
        response = await self._ask("POST", "/payments", json=body, headers={"idempotency-key": payment.key})
        return _answer(response)

    async def look_up(self, payment: Payment) -> Answer | NotKnown:
        """GET what the bank has under the key. Raises NoAnswer."""
        response = await self._ask("GET", f"/payments/{payment.key}")
        return NotKnown() if response.status_code == httpx.codes.NOT_FOUND else _answer(response)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _ask(self, method: str, path: str, **what: Any) -> httpx.Response:
        try:
            return await self._client.request(method, path, **what)
        except httpx.HTTPError as error:
            raise NoAnswer(f"the bank did not answer: {type(error).__name__}: {error}") from error


def _answer(response: httpx.Response) -> Answer:
    """What a response says about a payment. Only 200 with a status that is known decides."""
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise NoAnswer("the bank has too many requests", retry_after_seconds=_seconds(response))
    if response.status_code != httpx.codes.OK:
        raise NoAnswer(f"the bank answered {response.status_code}: {response.text[:200]}")
    try:
        said = response.json()
        if said["status"] == "accepted":
            return Accepted(str(said["reference"]))
        if said["status"] == "rejected":
            return Rejected(str(said["code"]), said.get("detail"))
    except (ValueError, KeyError, TypeError) as error:
        raise NoAnswer(f"the bank's answer cannot be read: {error}") from error
    raise NoAnswer(f"the bank answered something unknown: {said['status']}")


def _seconds(response: httpx.Response) -> float:
    try:
        return max(0.0, float(response.headers["retry-after"]))
    except (KeyError, ValueError):
        return 1.0
