"""Notifications: at least once to the outside, one effect per key there, and never in the money's way."""

import asyncio
import json
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from standardwebhooks import Webhook

from activities.notifiers import (
    WEBHOOK_SECRET,
    WEBHOOK_URL,
    DeliveryFailed,
    LogNotifier,
    WebhookNotifier,
    notifier_from_environment,
)
from ledger.errors import MalformedRequest
from ledger.transfer import Status
from tests.support.bank import PATIENCE, Bank
from tests.support.databases import only_sqlite

SECRET = "whsec_" + b64encode(secrets.token_bytes(24)).decode()


@dataclass
class Receiver:
    """A webhook receiver on a real socket: verifies signatures, drops repeats, and can act and then not answer."""

    effects: dict[str, str] = field(default_factory=dict)
    deliveries: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    silent: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hooks"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        original = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        original = {name.lower(): value for name, value in original.items()}
        body = (await reader.readexactly(int(headers["content-length"]))).decode()
        Webhook(SECRET).verify(body, original)
        key = original["webhook-id"]
        self.deliveries.append(key)
        self.effects.setdefault(key, body)
        if self.silent:
            self.silent -= 1
        else:
            status = self.statuses.pop(0) if self.statuses else 200
            writer.write(f"HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        writer.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A running receiver."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    async with server:
        yield receiver


async def _deliver_until_taken(notifier: WebhookNotifier, key: str, body: str) -> None:
    while True:
        try:
            return await notifier.deliver(key, body)
        except DeliveryFailed:
            continue


async def test_a_webhook_is_signed_and_carries_its_key_as_id(receiver: Receiver) -> None:
    """
    The receiver verifies the signature with the library of the specification, and knows the message by its key.
    """
    notifier = WebhookNotifier(receiver.url, SECRET)

    await notifier.deliver("T1/notify/settled", '{"status":"settled"}')

    assert receiver.effects == {"T1/notify/settled": '{"status":"settled"}'}
    await notifier.aclose()


async def test_a_receiver_that_acts_and_does_not_answer_sees_the_same_key_again(receiver: Receiver) -> None:
    """
    Silence is not a delivery, so it is repeated; the receiver drops the repeat by its id.
    """
    notifier = WebhookNotifier(receiver.url, SECRET)
    receiver.silent, receiver.statuses = 1, [503]

    await _deliver_until_taken(notifier, "T1/notify/settled", "{}")

    assert receiver.deliveries == ["T1/notify/settled"] * 3
    assert len(receiver.effects) == 1
    await notifier.aclose()


async def test_a_receiver_that_is_not_there_is_a_failed_delivery() -> None:
    """
    Refused connections are accidents to be retried, with the address in the message.
    """
    notifier = WebhookNotifier("http://127.0.0.1:9/hooks", SECRET)

    with pytest.raises(DeliveryFailed, match=r"127\.0\.0\.1:9"):
        await notifier.deliver("T1/notify/settled", "{}")
    await notifier.aclose()


async def test_the_settings_choose_the_notifier() -> None:
    """
    The log without a URL, a webhook with one, and a clear refusal of a URL without a secret.
    """
    assert isinstance(notifier_from_environment({}), LogNotifier)
    webhook = notifier_from_environment({WEBHOOK_URL: "http://127.0.0.1:9/", WEBHOOK_SECRET: SECRET})
    assert isinstance(webhook, WebhookNotifier)
    await webhook.aclose()
    with pytest.raises(MalformedRequest, match=WEBHOOK_SECRET):
        notifier_from_environment({WEBHOOK_URL: "http://127.0.0.1:9/"})


async def test_the_log_takes_every_notification(caplog: pytest.LogCaptureFixture) -> None:
    """
    Without a receiver, the log has the key and the body.
    """
    with caplog.at_level("INFO", logger="durable_transfers.notify"):
        await LogNotifier().deliver("T1/notify/settled", '{"status":"settled"}')

    assert caplog.messages == ['T1/notify/settled {"status":"settled"}']


async def test_a_receiver_out_for_lunch_does_not_hold_up_the_transfer(bank: Bank) -> None:
    """
    The transfer ends as settled at once; a Notification workflow of its own goes on telling.
    """
    request = bank.request()
    bank.notifier.refusals = 6

    outcome = await bank.transfer(request)

    assert outcome.status == "settled"
    key = f"{request.transfer_id}/notify/settled"
    await bank.client.get_workflow_handle(f"notification/{key}").result()
    assert bank.notifier.keys(request.transfer_id) == [key]
    assert bank.notifier.refused == 6
    assert await bank.balances() == [75_00, 25_00, 0]


async def test_a_crash_between_delivery_and_its_note_delivers_again_with_the_same_key(
    bank: Bank, arm: Callable[[str], None]
) -> None:
    """
    At least once: the receiver sees the key twice, and never two keys for one ending.
    """
    request = bank.request()
    key = f"{request.transfer_id}/notify/settled"
    arm(f"notify.after_delivery[{key}]=raise@1")

    await bank.transfer(request)

    assert bank.notifier.keys(request.transfer_id) == [key, key]
    notification = await bank.ledger.notification(key)
    assert notification is not None
    assert notification.delivered_at is not None


async def test_a_notification_says_what_the_books_say(bank: Bank) -> None:
    """
    The body is the outbox's row, written in the transaction that ended the transfer.
    """
    request = bank.request(destination="nobody")

    await bank.transfer(request)

    body = json.loads(bank.notifier.seen[-1][1])
    assert body["type"] == "transfer.rejected"
    assert (body["status"], body["iso20022_status"], body["reason"]) == ("rejected", "RJCT", "account_not_found")
    assert (body["amount_minor"], body["currency"], body["source"]) == (25_00, "USD", "alice")


@only_sqlite
async def test_a_receiver_that_hangs_leaves_room_for_money(idle_bank: Bank) -> None:
    """
    Four slots, two deliveries that do not end, ten transfers: all settle, and what was refused is told later.
    """
    bank = idle_bank
    requests = [bank.request(f"T{number}", amount_minor=1_00) for number in range(10)]
    keys = {f"{request.transfer_id}/notify/settled" for request in requests}
    bank.notifier.answers.clear()

    async with bank.working(activity_slots=4):
        submitted = [await bank.start(request) for request in requests]
        async with asyncio.timeout(PATIENCE):
            while {await bank.status(request) for request in requests} != {Status.SETTLED}:
                await asyncio.sleep(0.02)
        seen_by_then = list(bank.notifier.seen)
        bank.notifier.answers.set()
        outcomes = [await bank.outcome(each) for each in submitted]
        async with asyncio.timeout(PATIENCE):
            while {key for key, _ in bank.notifier.seen} != keys:
                await asyncio.sleep(0.05)

    assert seen_by_then == []
    assert bank.notifier.most_hanging == 2
    assert {outcome.status for outcome in outcomes} == {Status.SETTLED}
    assert await bank.balances() == [90_00, 10_00, 0]
