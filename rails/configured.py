"""Configured: the rails that the settings ask for, by the name that payouts call them.

DURABLE_TRANSFERS_BANK_URL           `bank`: where the simulated bank listens
DURABLE_TRANSFERS_BANK_KEY_WINDOW    for how many seconds the bank promises to remember a key (86400)
DURABLE_TRANSFERS_STRIPE_KEY         `stripe`: the secret API key
DURABLE_TRANSFERS_STRIPE_URL         another server that speaks Stripe's language, for tests
"""

import os
from collections.abc import Mapping
from math import inf

from rails.bank import KEY_WINDOW_SECONDS, BankRail
from rails.rail import Rail
from rails.stripe import StripeRail

BANK_URL, BANK_KEY_WINDOW = "DURABLE_TRANSFERS_BANK_URL", "DURABLE_TRANSFERS_BANK_KEY_WINDOW"
STRIPE_KEY, STRIPE_URL = "DURABLE_TRANSFERS_STRIPE_KEY", "DURABLE_TRANSFERS_STRIPE_URL"


def rails_from_environment(environment: Mapping[str, str] = os.environ) -> dict[str, Rail]:
    """Every rail that is configured; none is fine, too. Raises ValueError for a setting that cannot be right."""
    rails: list[Rail] = []
    if url := environment.get(BANK_URL):
        window = environment.get(BANK_KEY_WINDOW, KEY_WINDOW_SECONDS)
        if not 0 < (seconds := float(window)) < inf:
            raise ValueError(f"{BANK_KEY_WINDOW} is {window}: it must be a number of seconds above 0")
        rails.append(BankRail(url, seconds))
    if key := environment.get(STRIPE_KEY):
        rails.append(StripeRail(key, environment.get(STRIPE_URL)))
    return {rail.name: rail for rail in rails}
