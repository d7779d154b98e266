"""Callbacks: what rails say on their own account, believed only with their signature.

DURABLE_TRANSFERS_BANK_SECRET      `whsec_...`, what the bank signs with, as Standard Webhooks say
DURABLE_TRANSFERS_STRIPE_SECRET    `whsec_...`, the secret of Stripe's webhook endpoint
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import stripe
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from rails import bank
from rails import stripe as stripe_rail

BANK_SECRET, STRIPE_SECRET = "DURABLE_TRANSFERS_BANK_SECRET", "DURABLE_TRANSFERS_STRIPE_SECRET"


class BadSignature(Exception):
    """Nobody knows who said this, or when."""


class BadCallback(Exception):
    """The rail said it, and it cannot be read."""


@dataclass(frozen=True, slots=True)
class GivenBack:
    """A payment was returned. `return_id` is the same in every callback about the same return."""

    rail: str
    return_id: str
    payment_key: str


@dataclass(frozen=True, slots=True)
class Spoken:
    """A rail has decided about a payment: it is worth asking. `event_id` is the same in every repeat."""

    rail: str
    event_id: str
    payment_key: str
    accepted: bool


Reader = Callable[[Mapping[str, str], bytes], GivenBack | Spoken | None]
"""Headers and body to what matters; None if nothing does. Raises BadSignature or BadCallback."""


def readers_from_environment(environment: Mapping[str, str] = os.environ) -> dict[str, Reader]:
    """A reader for each rail whose secret is configured. Raises ValueError for a secret that is none."""
    readers: dict[str, Reader] = {}
    if secret := environment.get(BANK_SECRET):
        readers[bank.NAME] = bank_reader(secret)
    if secret := environment.get(STRIPE_SECRET):
        readers[stripe_rail.NAME] = stripe_reader(secret)
    return readers


def bank_reader(secret: str) -> Reader:
    """Reads what the simulated bank says."""
    webhook = Webhook(secret)

    def read(headers: Mapping[str, str], body: bytes) -> GivenBack | Spoken | None:
        try:
            webhook.verify(body, dict(headers))
        except WebhookVerificationError as error:
            raise BadSignature(str(error)) from error
        except ValueError as error:  # it reads the body as JSON, too
            raise BadCallback(str(error)) from error
        try:
            event = json.loads(body)
            if event["type"] in ("payment.accepted", "payment.rejected"):
                accepted = event["type"] == "payment.accepted"
                return Spoken(bank.NAME, headers["webhook-id"], str(event["key"]), accepted)
            if event["type"] != "payment.returned":
                return None
            return GivenBack(bank.NAME, str(event["return_id"]), str(event["key"]))
        except (ValueError, KeyError, TypeError) as error:
            raise BadCallback(f"{type(error).__name__}: {error}") from error

    return read


def stripe_reader(secret: str) -> Reader:
    """Reads what Stripe says: a payout that failed or was cancelled after it had been made came back."""

    def read(headers: Mapping[str, str], body: bytes) -> GivenBack | Spoken | None:
        try:
            stripe.WebhookSignature.verify_header(
                body.decode(), headers.get("stripe-signature", ""), secret, tolerance=300
            )
        except (stripe.SignatureVerificationError, UnicodeDecodeError) as error:
            raise BadSignature(str(error)) from error
        try:
            event = json.loads(body)
            if event["type"] not in ("payout.created", "payout.paid", "payout.failed", "payout.canceled"):
                return None
            payout = event["data"]["object"]
            if (key := payout["metadata"].get(stripe_rail.KEY)) is None:
                return None  # somebody else's payout
            if event["type"] in ("payout.created", "payout.paid"):
                return Spoken(stripe_rail.NAME, str(event["id"]), str(key), accepted=True)
            return GivenBack(stripe_rail.NAME, str(payout["id"]), str(key))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadCallback(f"{type(error).__name__}: {error}") from error

    return read
