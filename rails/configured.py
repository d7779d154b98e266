"""Configured: the rails that the settings ask for, by the name that payouts call them.

DURABLE_TRANSFERS_BANK_URL      `bank`: where the simulated bank listens
DURABLE_TRANSFERS_STRIPE_KEY    `stripe`: the secret API key
DURABLE_TRANSFERS_STRIPE_URL    another server that speaks Stripe's language, for tests
"""

import os
from collections.abc import Mapping

from rails.bank import BankRail
from rails.rail import Rail
from rails.stripe import StripeRail

BANK_URL = "DURABLE_TRANSFERS_BANK_URL"
STRIPE_KEY, STRIPE_URL = "DURABLE_TRANSFERS_STRIPE_KEY", "DURABLE_TRANSFERS_STRIPE_URL"


def rails_from_environment(environment: Mapping[str, str] = os.environ) -> dict[str, Rail]:
    """Every rail that is configured; none is fine, too."""
    rails: list[Rail] = []
    if url := environment.get(BANK_URL):
        rails.append(BankRail(url))
    if key := environment.get(STRIPE_KEY):
        rails.append(StripeRail(key, environment.get(STRIPE_URL)))
    return {rail.name: rail for rail in rails}
