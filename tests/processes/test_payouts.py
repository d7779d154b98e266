"""Payouts over the simulated bank, as an operator has them: a worker, a bank and an inbox, each a process."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook

from engine.embedded import free_port
from rails.callbacks import BANK_SECRET
from rails.configured import BANK_KEY_WINDOW, BANK_URL
from rails.simulated_bank import SECRET
from tests.processes.conftest import open_accounts
from tests.support.databases import only_sqlite
from tests.support.outside_bank import OutsideBank, outside_bank
from tests.support.processes import PATIENCE, Folder

PAYOUT = ("payout", "--from", "alice", "--amount", "25.00", "--rail", "bank", "--json")
ACCOUNTS = ("alice", "bank:USD")


@pytest.fixture
async def inbox_url(place: Folder) -> str:
    """Where the inbox will listen."""
    return f"http://127.0.0.1:{free_port(0)}/callbacks/bank"


@pytest.fixture
async def outside(place: Folder, tmp_path: Path, inbox_url: str) -> AsyncIterator[OutsideBank]:
    """A bank, and a worker that is told where it is. Alice has 100.00 USD."""
    async with outside_bank(tmp_path, "--webhook-url", inbox_url) as outside:
        place.more |= {BANK_URL: outside.url, BANK_SECRET: SECRET}
        await place.worker()
        await open_accounts(place)
        assert (await place.starter("open-account", "bank:USD", "--currency", "USD")).exit == 0
        yield outside


async def take_callbacks(place: Folder, url: str) -> None:
    """Start the inbox, and wait until it listens."""
    await place.start("callbacks.py", "--port", str(httpx.URL(url).port), log=place.path / "inbox.log")
    async with asyncio.timeout(PATIENCE), httpx.AsyncClient(trust_env=False) as client:
        while True:
            try:
                await client.post(url)
                return
            except httpx.TransportError:
                await asyncio.sleep(0.05)


async def post(url: str, body: str, secret: str = SECRET) -> int:
    """Post a callback as the bank does; the status of the answer."""
    now = datetime.now(UTC)
    signature = Webhook(secret).sign("evt_1", now, body)
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        return (await client.post(url, content=body, headers=headers)).status_code


async def test_a_payout_settles_and_is_told_again(place: Folder, outside: OutsideBank) -> None:
    """The same command gives the same answer, and the bank pays once; a closed account is given back."""
    first = await place.starter(*PAYOUT, "--id", "P1", "--beneficiary", "acct-1")
    again = await place.starter(*PAYOUT, "--id", "P1", "--beneficiary", "acct-1")
    closed = await place.starter(*PAYOUT, "--id", "P2", "--beneficiary", "closed-1")
    other = await place.starter(*PAYOUT, "--id", "P1", "--beneficiary", "acct-2")

    assert [first.exit, again.exit, closed.exit, other.exit] == [0, 0, 3, 4]
    assert (first.json["status"], again.json["replayed"]) == ("settled", True)
    assert (closed.json["status"], closed.json["reason"]) == ("refunded", "rejected_by_rail")
    assert [(paid["key"], paid["status"]) for paid in await outside.payments()] == [
        ("P1/submit", "accepted"),
        ("P2/submit", "rejected"),
    ]
    assert await place.balances(*ACCOUNTS) == [75_00, 25_00]
    await place.audit()


@only_sqlite
async def test_whatever_dies_or_misbehaves_the_bank_pays_once(place: Folder, outside: OutsideBank) -> None:
    """It drops its answer, fails, is busy and is killed in the middle; so is the worker right before and after."""
    for process in place.started:
        if process.returncode is None:
            process.kill()
            await process.wait()
    await outside.misbehave(drops_answer=1, fails_before_acting=1, fails_after_acting=1, too_many=1)
    dying = await place.worker(armed="rail.before_submit=kill@3")
    asking = asyncio.create_task(
        place.starter(*PAYOUT, "--id", "P1", "--beneficiary", "acct-1", "--timeout", str(PATIENCE))
    )
    await dying.wait()
    await outside.kill()
    dying = await place.worker(armed="rail.after_submit=kill@1")
    await asyncio.sleep(1)
    await outside.start()
    await dying.wait()
    await place.worker()

    answer = await asking

    assert (answer.exit, answer.json["status"]) == (0, "settled")
    assert [paid["key"] for paid in await outside.payments()] == ["P1/submit"]
    assert await place.balances(*ACCOUNTS) == [75_00, 25_00]
    await place.audit()


@only_sqlite
async def test_a_late_return_gives_the_money_back_once(place: Folder, outside: OutsideBank, inbox_url: str) -> None:
    """The bank says everything twice and in the wrong order, and before anybody listens. Alice has it back once."""
    await outside.misbehave(duplicate_events=True, events_out_of_order=True)
    await place.starter(*PAYOUT, "--id", "P1", "--beneficiary", "acct-1")
    await outside.give_back("P1/submit")
    await take_callbacks(place, inbox_url)

    async with asyncio.timeout(PATIENCE):
        while await place.balances(*ACCOUNTS) != [100_00, 0]:
            await asyncio.sleep(0.1)
    repeated = await post(inbox_url, '{"type": "payment.returned", "key": "P1/submit", "return_id": "ret_1"}')

    assert repeated == httpx.codes.NO_CONTENT
    assert (await place.starter("status", "bank:ret_1", "--json")).json["kind"] == "reversal"
    assert (await place.starter("status", "P1", "--json")).json["status"] == "settled"
    assert await place.balances(*ACCOUNTS) == [100_00, 0]
    await place.audit()


@only_sqlite
async def test_what_is_no_callback_of_the_banks_is_refused(place: Folder, outside: OutsideBank, inbox_url: str) -> None:
    """
    A forged signature, no signature, nonsense, an id with a slash, an unknown rail, an unknown payout; what contradicts
    the bank's own books, which are looked up.
    """
    await place.starter(*PAYOUT, "--id", "P1", "--beneficiary", "acct-1")
    await take_callbacks(place, inbox_url)
    good = '{"type": "payment.returned", "key": "P1/submit", "return_id": "ret_1"}'
    forged = "whsec_" + "A" * 32
    async with httpx.AsyncClient(trust_env=False) as client:
        unsigned = (await client.post(inbox_url, content=good)).status_code

    statuses = [
        await post(inbox_url, good, secret=forged),
        await post(inbox_url, "nonsense"),
        await post(inbox_url, good.replace("ret_1", "a/b")),
        await post(inbox_url.replace("bank", "stripe"), good),
        await post(inbox_url, good.replace("P1", "nobody")),
        await post(inbox_url, good.replace("returned", "accepted")),
        await post(inbox_url, good.replace("returned", "rejected")),
    ]

    assert [unsigned, *statuses] == [400, 400, 400, 400, 404, 204, 204, 204]
    assert await place.balances(*ACCOUNTS) == [75_00, 25_00]


@only_sqlite
async def test_a_person_decides_about_what_a_dead_bank_does_not_say(place: Folder, outside: OutsideBank) -> None:
    """Not as long as its key lives; then once, and whoever says otherwise is told so. Who and why are in the books."""
    await outside.kill()
    for process in place.started:
        if process.returncode is None:
            process.kill()
            await process.wait()
    place.more |= {BANK_KEY_WINDOW: "6"}
    await place.worker()
    await place.starter(*PAYOUT, "--id", "P1", "--beneficiary", "acct-1", "--no-wait")
    decide = ("decide", "P1", "--by", "carol", "--json")
    async with asyncio.timeout(PATIENCE):
        while (early := await place.starter(*decide, "--not-paid", "a letter")).json["reason"] != "decision_refused":
            await asyncio.sleep(0.2)
        while (first := await place.starter(*decide, "--not-paid", "a letter")).json["reason"] == "decision_refused":
            await asyncio.sleep(1)
    again = await place.starter(*decide, "--not-paid", "a letter")
    otherwise = await place.starter(*decide, "--paid", "pay_1")
    told = await place.starter("explain", "P1", "--json")

    assert [early.exit, first.exit, again.exit, otherwise.exit] == [3, 3, 3, 4]
    assert (first.json["status"], first.json["decision"], again.json["decision"]) == (
        "refunded",
        "not_paid",
        "not_paid",
    )
    assert "decided: not_paid -> paid" in otherwise.json["detail"]
    assert "not_paid, says carol: a letter" in [line["detail"] for line in told.json["timeline"]]
    assert await place.balances(*ACCOUNTS) == [100_00, 0]
    await place.audit()
