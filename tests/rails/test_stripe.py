"""Stripe's rail, through the official library, against a server that speaks Stripe's language."""

import hashlib
import hmac
import json
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from rails.callbacks import BadCallback, BadSignature, GivenBack, Spoken, stripe_reader
from rails.rail import Accepted, KeyTooOld, NoAnswer, NotKnown, Payment, Rejected, pay
from rails.stripe import StripeRail
from tests.rails.stripe_stand_in import Front, installed, stripe_stand_in

SECRET = "whsec_test"
DAY = 24 * 3600.0

pytestmark = [
    pytest.mark.timeout(600),  # the first time, it is installed
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),  # Stripe's library calls httpx so
]


@pytest.fixture(scope="module")
def library() -> Path:
    """localstripe, installed the first time that it is needed."""
    try:
        return installed()
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode()
        if "from versions: none" not in said:  # an index answers, and what is pinned is not right
            raise AssertionError(said) from error
        pytest.skip(reason=f"localstripe cannot be installed without a package index: {said[-300:]}")


@pytest.fixture(scope="module")
def stand_in(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A Stripe for all of these tests."""
    with stripe_stand_in(library, tmp_path_factory.mktemp("stripe")) as front:
        yield front


@pytest.fixture
def front(stand_in: Front) -> Front:
    """A Stripe that has forgotten everything."""
    stand_in.forget()
    return stand_in


@pytest.fixture
async def rail(front: Front) -> AsyncIterator[StripeRail]:
    """The way to it."""
    rail = StripeRail("sk_test_12345", front.url)
    yield rail
    await rail.aclose()


def payment(key: str = "P1/submit", currency: str = "EUR", asked_seconds_ago: float = 0) -> Payment:
    """25.00 to a bank account."""
    return Payment(key, 25_00, currency, "ba_1", time.time() - asked_seconds_ago)


async def test_a_payout_is_asked_with_its_key_and_found_by_it(front: Front, rail: StripeRail) -> None:
    """
    The key is the idempotency key, and in the metadata; of two payouts each is found by its own.
    """
    first, second = await pay(rail, payment("P1/submit")), await pay(rail, payment("P2/submit"))
    again = await pay(rail, payment("P1/submit"))

    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    assert (again, first.reference == second.reference) == (first, False)
    assert front.asked == [("POST", "P1/submit"), ("POST", "P2/submit"), ("POST", "P1/submit")]
    assert await rail.look_up(payment("P1/submit")) == first
    assert await rail.look_up(payment("P2/submit")) == second
    assert await rail.look_up(payment("P3/submit")) == NotKnown()


async def test_a_lost_answer_is_looked_up(front: Front, rail: StripeRail) -> None:
    """
    Stripe has made the payout and its answer never came: the payouts are gone through.
    """
    front.loses_answers = 1

    answer = await pay(rail, payment())

    assert isinstance(answer, Accepted)
    assert await rail.look_up(payment()) == answer
    assert len(front.kept) == 1


async def test_what_stripe_refuses_is_rejected(rail: StripeRail) -> None:
    """
    It was not carried out, and Stripe says why. (The stand-in pays in euros only.)
    """
    answer = await pay(rail, payment(currency="USD"))

    assert isinstance(answer, Rejected)
    assert await rail.look_up(payment()) == NotKnown()


async def test_a_stripe_that_is_not_there_decides_nothing(front: Front) -> None:
    """
    No connection is no rejection.
    """
    rail = StripeRail("sk_test_12345", "http://127.0.0.1:1")

    with pytest.raises(NoAnswer):
        await pay(rail, payment())


async def test_after_its_key_s_life_a_payout_that_is_not_found_is_left_to_a_person(
    front: Front, rail: StripeRail
) -> None:
    """
    It is never submitted again, because a list may miss what is new, and never given back for that.
    """
    with pytest.raises(KeyTooOld):
        await pay(rail, payment(asked_seconds_ago=DAY))
    assert [method for method, _ in front.asked] == ["GET"]

    made = await rail.submit(payment())
    assert await pay(rail, payment(asked_seconds_ago=DAY)) == made


def _callback(event: Any, secret: str = SECRET, age_seconds: float = 0) -> tuple[dict[str, str], bytes]:
    """A callback signed as Stripe does."""
    body, at = json.dumps(event), int(time.time() - age_seconds)
    signature = hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
    return {"stripe-signature": f"t={at},v1={signature}"}, body.encode()


def _event(type: str, metadata: dict[str, str]) -> dict[str, Any]:
    return {"id": "evt_1", "type": type, "data": {"object": {"id": "po_1", "metadata": metadata}}}


def test_a_failed_payout_is_a_return() -> None:
    """
    Its id is the return's, whatever the event's: Stripe says `failed` and `canceled` of one payout once.
    """
    read = stripe_reader(SECRET)
    ours, others = {"durable_transfers_key": "P1/submit"}, {"order": "7"}

    assert read(*_callback(_event("payout.failed", ours))) == GivenBack("stripe", "po_1", "P1/submit")
    assert read(*_callback(_event("payout.paid", ours))) == Spoken("stripe", "evt_1", "P1/submit", accepted=True)
    assert read(*_callback(_event("payout.updated", ours))) is None
    assert read(*_callback(_event("payout.failed", others))) is None
    with pytest.raises(BadCallback):
        read(*_callback({"type": "payout.failed"}))


def test_a_callback_that_is_not_stripes_is_refused() -> None:
    """
    Another secret, an old signature, none at all.
    """
    read, event = stripe_reader(SECRET), _event("payout.failed", {})
    for headers, body in (
        _callback(event, secret="whsec_other"),
        _callback(event, age_seconds=3600),
        ({}, b"{}"),
    ):
        with pytest.raises(BadSignature):
            read(headers, body)
