"""Rail: what a network that moves money outside our books is asked, what it answers, and what its silence allows.

    asked for less than its key's life    submit; after silence look up; else ask again later, with the same key
    asked for longer                      look up; only if that says "never heard of it", and the rail promises that
                                          its look-ups miss nothing, submit again; else a person has to look

Only an answer of the rail decides. Its silence never does, and neither does the time that has passed.
"""

import time
from dataclasses import dataclass, replace
from typing import Protocol

VALID_SECONDS = 30.0
"""How long one request may be on its way. A rail that can is told, and refuses one that comes later: a process that
was frozen between the decision to submit and the submit cannot pay after everybody else has given its key up."""


@dataclass(frozen=True, slots=True)
class Payment:
    """What a rail shall pay, once per `key`. `first_asked_at`, `valid_until`: seconds since 1970."""

    key: str
    amount_minor: int
    currency: str
    beneficiary: str
    first_asked_at: float
    valid_until: float | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The rail has taken the payment, and calls it `reference`. What comes back later is a return."""

    reference: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The rail has not paid, and never will under this key. `code` is its own word for why."""

    code: str
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class NotKnown:
    """The rail has not heard of the key up to now. That is no promise for a request that is still on its way."""


Answer = Accepted | Rejected


class NoAnswer(Exception):
    """Nothing that decides: a timeout, a lost connection, an error of the rail's. It may have paid.

    `retry_after_seconds` is how long it asks to be left alone, if it does.
    """

    def __init__(self, detail: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class KeyTooOld(NoAnswer):
    """The rail may have forgotten the key, and cannot say for certain that it never paid: a person must look."""


class Rail(Protocol):
    """One network. Every method may be called again; none of them takes longer than an activity may."""

    name: str
    key_window_seconds: float
    """For how long after the first request with a key another one changes nothing."""

    look_up_misses_nothing: bool
    """Whether `NotKnown` means that no request with this key has arrived so far."""

    async def submit(self, payment: Payment) -> Answer:
        """Ask for a payment. Raises NoAnswer."""

    async def look_up(self, payment: Payment) -> Answer | NotKnown:
        """What became of a payment, without asking for it. Raises NoAnswer."""

    async def aclose(self) -> None:
        """Give back what it holds."""


def valid_seconds(rail: Rail) -> float:
    """For how long after the look at the clock one request is valid."""
    return min(VALID_SECONDS, rail.key_window_seconds / 4)


async def pay(rail: Rail, payment: Payment, now: float | None = None) -> Answer:
    """Ask a rail for a payment that may have been asked for before, as the picture above says. Raises NoAnswer.

    `now` is an earlier look at the clock, if what the caller has made sure of since must still hold for the request.

    No two requests with one key are ever carried out, if the rail keeps its promises and the clocks agree: a request
    arrives within `valid` of a look at the clock or of a look-up, and the key lives for longer than that.
    """
    if now is None:
        now = time.time()  # before anything else: whatever holds us up from here on makes the request invalid
    valid = valid_seconds(rail)
    payment = replace(payment, valid_until=now + valid)
    if now - payment.first_asked_at + valid < rail.key_window_seconds:
        return await _submit_or_look_up(rail, payment)
    known = await rail.look_up(payment)
    if not isinstance(known, NotKnown):
        return known
    if not rail.look_up_misses_nothing:
        raise KeyTooOld(f"{rail.name} may have forgotten {payment.key}, and does not find it: ask its people")
    return await rail.submit(payment)


async def _submit_or_look_up(rail: Rail, payment: Payment) -> Answer:
    try:
        return await rail.submit(payment)
    except NoAnswer as silence:
        if silence.retry_after_seconds is not None:
            raise
        known = await rail.look_up(payment)
        if isinstance(known, NotKnown):
            raise
        return known
