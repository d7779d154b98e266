"""Stripe's rail: payouts through the official library, with its idempotency key.

Stripe keeps an idempotency key for at least 24 hours. It has no look-up by key, so that the key is also put into the
payout's metadata, and the payouts are gone through, the newest first. Stripe does not promise that a list shows what
was asked a moment ago, and so a payout that is not found after its key's life is left to a person.
"""

from typing import Any

import stripe

from rails.rail import Accepted, Answer, NoAnswer, NotKnown, Payment, Rejected

NAME = "stripe"
TIMEOUT_SECONDS = 2
KEY_WINDOW_SECONDS = 24 * 3600.0
KEY = "durable_transfers_key"
"""Under which name the key is in a payout's metadata."""

_CAME_TO_NOTHING = ("failed", "canceled")
_NOT_CARRIED_OUT = (400, 402, 404)
"""With these Stripe says that it has not carried out a request, and why it never will."""

_SLACK_SECONDS = 3600.0


class StripeRail:
    """A rail that cannot be told until when a request is valid."""

    name = NAME
    key_window_seconds = KEY_WINDOW_SECONDS
    look_up_misses_nothing = False

    def __init__(self, api_key: str, url: str | None = None) -> None:
        self._connections = stripe.HTTPXClient(timeout=TIMEOUT_SECONDS, allow_sync_methods=False)
        self._client = stripe.StripeClient(
            api_key,
            base_addresses={"api": url} if url else None,
            max_network_retries=0,  # asking again is Temporal's work
            http_client=self._connections,
        )

    async def submit(self, payment: Payment) -> Answer:
        """Create a payout. Raises NoAnswer."""
        try:
            payout = await self._client.v1.payouts.create_async(
                {
                    "amount": payment.amount_minor,
                    "currency": payment.currency.lower(),
                    "destination": payment.beneficiary,
                    "metadata": {KEY: payment.key},
                },
                {"idempotency_key": payment.key},
            )
        except stripe.StripeError as error:
            return _refusal(error)
        return _answer(payout)

    async def look_up(self, payment: Payment) -> Answer | NotKnown:
        """Go through the payouts until the key is found, or they are older than the payment. Raises NoAnswer."""
        try:
            page = await self._client.v1.payouts.list_async({"limit": 100})
            async for payout in page.auto_paging_iter():
                if payout.metadata is not None and payout.metadata.to_dict().get(KEY) == payment.key:
                    return _answer(payout)
                if payout.created < payment.first_asked_at - _SLACK_SECONDS:
                    break
        except stripe.StripeError as error:
            raise _silence(error) from error
        return NotKnown()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connections.close_async()  # type: ignore[no-untyped-call]  # the library's own


def _answer(payout: Any) -> Answer:
    if payout.status in _CAME_TO_NOTHING:
        return Rejected(payout.failure_code or payout.status, payout.failure_message)
    return Accepted(payout.id)


def _refusal(error: stripe.StripeError) -> Rejected:
    """What an error of a request says: that it never happened, or nothing (NoAnswer is raised)."""
    decides = isinstance(error, stripe.InvalidRequestError | stripe.CardError)
    if decides and error.http_status in _NOT_CARRIED_OUT:
        return Rejected(error.code or "invalid_request", error.user_message)
    raise _silence(error) from error


def _silence(error: stripe.StripeError) -> NoAnswer:
    wait = 1.0 if isinstance(error, stripe.RateLimitError) else None
    return NoAnswer(f"Stripe did not decide: {type(error).__name__}: {error}", retry_after_seconds=wait)
