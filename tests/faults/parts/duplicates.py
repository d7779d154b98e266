"""Duplicates: one id from a hundred callers at once, with the same content and with other content.

Callers are tasks of this process that submit exactly as the starter does (`engine/submitting.py`), on several
connections of their own; one round is real starter processes, some of them killed in the middle. What the amounts are
for: Alice has exactly what one effect of each id takes, so that a second one would show in her balance.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence

from activities.messages import TransferRequest
from activities.notifiers import WEBHOOK_SECRET, WEBHOOK_URL
from engine.submitting import Submitter
from tests.faults.callers import Asking, ask
from tests.faults.checking import check, effects
from tests.faults.evidence import Answer, Evidence, read_rows
from tests.faults.house import House, house
from tests.faults.kinds import Kind
from tests.faults.record import Trial
from tests.faults.run import Run
from tests.faults.webhooks import SECRET, Receiver, receiving
from tests.support.processes import hear

CALLERS = 100
CONNECTIONS = 5
AMOUNT = 1_00
SILENT = {"silent-once": 1, "silent-twice": 2, "silent-again": 1}
"""Transfers whose notification is taken without an answer, and how often."""


class _Bureau:
    """Everybody who asks, and all that they were told."""

    def __init__(self, run: Run, house: House, submitters: Sequence[Submitter]) -> None:
        self.run = run
        self.house = house
        self.answers: list[Answer] = []
        self._submitters = submitters

    async def ask_all(self, requests: Sequence[TransferRequest]) -> list[Answer]:
        """Every request at once, each by a caller of its own."""
        asked = (
            ask(self._submitters[n % len(self._submitters)], f"caller-{n}", request)
            for n, request in enumerate(requests)
        )
        answers = await asyncio.gather(*asked)
        self.answers += answers
        return answers

    async def balances(self) -> Counter[str]:
        """Every account's balance, added up from the postings."""
        balances = Counter[str]()
        for posting in (await read_rows(self.house.place.ledger_url)).postings:
            balances[posting["debit_account_id"]] -= posting["amount_minor"]
            balances[posting["credit_account_id"]] += posting["amount_minor"]
        return balances


def request(id: str, source: str = "alice", to: str = "bob", amount_minor: int = AMOUNT) -> TransferRequest:
    """By default 1.00 USD from Alice to Bob."""
    return TransferRequest(transfer_id=id, source=source, destination=to, amount_minor=amount_minor, currency="USD")


async def run(run: Run) -> None:
    """All cases on one house."""
    rounds = 1 if run.quick else 50
    async with receiving() as receiver:
        receiver.on_silence = lambda key: run.record.fault(Kind.RECEIVER_SILENT, key)
        more = {WEBHOOK_URL: receiver.url, WEBHOOK_SECRET: SECRET}
        async with house(run, **more) as home:
            # Bodies move 1 to 10 cents; whatever wins must be paid.
            await home.open(alice=rounds * AMOUNT, rich=1_000_00, bob=0, carol=0, dave=0)
            bureau = _Bureau(run, home, [Submitter(await home.client()) for _ in range(CONNECTIONS)])
            silent = asyncio.create_task(_silent_receiver(bureau, receiver))
            await _repeats(bureau, rounds)
            await _refused_repeats(bureau, max(1, rounds // 10))
            await _bodies(bureau, max(1, rounds // 5))
            await _killed_callers(bureau)
            await silent
            await _afterwards(bureau, receiver)


async def _repeats(bureau: _Bureau, rounds: int) -> None:
    name = f"one id, {CALLERS} callers at once, {rounds} rounds"
    if not bureau.run.wants(name):
        return
    with bureau.run.record.case(name) as trial:
        before = await bureau.balances()
        for number in range(rounds):
            bureau.run.record.fault(Kind.CALLER_REPEATS, f"repeated-{number}", CALLERS - 1)
            answers = await bureau.ask_all([request(f"repeated-{number}")] * CALLERS)
            told = Counter((answer.exit_status, answer.status, answer.reason) for answer in answers)
            trial.expect(told == {(0, "settled", None): CALLERS}, f"repeated-{number}: told {told}")
        moved = await bureau.balances() - before
        trial.expect(moved["bob"] == rounds * AMOUNT, f"Bob got {moved['bob']} for {rounds} effects of {AMOUNT}")
        bureau.run.record.figure("equal answers to callers of the same id", rounds * CALLERS)


async def _refused_repeats(bureau: _Bureau, rounds: int) -> None:
    name = f"one id that is refused, {CALLERS} callers at once, {rounds} rounds"
    if not bureau.run.wants(name):
        return
    with bureau.run.record.case(name) as trial:
        before = await bureau.balances()
        for number in range(rounds):
            bureau.run.record.fault(Kind.CALLER_REPEATS, f"refused-{number}", CALLERS - 1)
            answers = await bureau.ask_all([request(f"refused-{number}", "carol")] * CALLERS)
            told = Counter((answer.exit_status, answer.status, answer.reason) for answer in answers)
            due = {(3, "rejected", "insufficient_funds"): CALLERS}
            trial.expect(told == due, f"refused-{number}: told {told}")
        trial.expect(await bureau.balances() == before, "money moved for a refused transfer")


async def _bodies(bureau: _Bureau, rounds: int) -> None:
    name = f"one id, 10 bodies, {CALLERS} callers at once, {rounds} rounds"
    if not bureau.run.wants(name):
        return
    with bureau.run.record.case(name) as trial:
        for number in range(rounds):
            id = f"contested-{number}"
            bodies = [request(id, "rich", "bob" if n % 2 else "carol", n + 1) for n in range(10)]
            asked = bodies * (CALLERS // 10)
            bureau.run.random.shuffle(asked)
            bureau.run.record.fault(Kind.CALLER_OTHER_CONTENT, id, CALLERS - CALLERS // 10)
            before = await bureau.balances()
            answers = await bureau.ask_all(asked)
            _one_body_wins(trial, id, asked, answers, await bureau.balances(), before)


def _one_body_wins(
    trial: Trial,
    id: str,
    asked: Sequence[TransferRequest],
    answers: Sequence[Answer],
    after: Counter[str],
    before: Counter[str],
) -> None:
    won = {answer.content for answer in answers if answer.exit_status == 0}
    if len(won) != 1:
        trial.problems.append(f"{id}: {len(won)} bodies were settled: {sorted(won)}")
        return
    (winner,) = won
    for body, answer in zip(asked, answers, strict=True):
        has = {"source": winner[0], "destination": winner[1], "amount_minor": winner[2], "currency": winner[3]}
        wants = body.model_dump(exclude={"transfer_id"})
        differ = "; ".join(f"{name}: {has[name]} -> {wants[name]}" for name in sorted(has) if has[name] != wants[name])
        due = (4, "key_reused", differ) if differ else (0, "settled", None)
        told = (answer.exit_status, answer.status, answer.reason)
        trial.expect(told == due, f"{id}: {wants} was told {told}, and must be told {due}")
    moved = {account: after[account] - before[account] for account in ("rich", "bob", "carol", "transit:USD")}
    due_moves = dict.fromkeys(moved, 0) | {"rich": -winner[2], winner[1]: winner[2]}
    trial.expect(moved == due_moves, f"{id}: moved {moved}, and must have moved {due_moves}")


async def _killed_callers(bureau: _Bureau) -> None:
    """Real starters of one id at once: killed before they started it, after, and somewhere; then all ask again."""
    name = "one id, 8 starters at once, some killed"
    if not bureau.run.wants(name):
        return
    with bureau.run.record.case(name) as trial:
        wanted = request("by-starters", "rich")
        armed = [f"starter.{site}[transfer/by-starters]=kill" for site in ("before_start", "after_start")]
        said = await asyncio.gather(
            *(_starter(bureau, wanted, n, (*armed, "kill", "kill", *[""] * 4)[n]) for n in range(8))
        )
        again = await asyncio.gather(*(_starter(bureau, wanted, n, "") for n in range(8, 12)))
        killed = [answer for answer in said[:4] if answer.error == "Killed"]
        trial.expect(len(killed) == 4, f"only {len(killed)} of 4 callers were killed")
        told = {(answer.exit_status, answer.status, answer.reason) for answer in (*said[4:], *again)}
        trial.expect(told == {(0, "settled", None)}, f"the others were told {told}")
        bureau.answers += [*said, *again]


async def _starter(bureau: _Bureau, wanted: TransferRequest, number: int, fate: str) -> Answer:
    place = bureau.house.place
    arguments = ["--id", wanted.transfer_id, "--from", wanted.source, "--to", wanted.destination, "--amount", "1.00"]
    asking = Asking.now(f"starter-{number}", wanted)
    process = await place.start(
        "starter.py", "transfer", *arguments, "--timeout", "60", "--json", armed=fate if fate != "kill" else ""
    )
    if fate == "kill":
        await asyncio.sleep(bureau.run.random.uniform(0.2, 1.0))
        if process.returncode is None:
            bureau.run.record.fault(Kind.CALLER_KILLED, f"starter-{number} somewhere")
            process.kill()
    answer = asking.heard(await hear(process))
    if fate.startswith("starter.") and answer.error == "Killed":
        bureau.run.record.fault(Kind.CALLER_KILLED, f"starter-{number} at {fate}")
    return answer


async def _silent_receiver(bureau: _Bureau, receiver: Receiver) -> None:
    name = "the receiver takes notifications and does not say so"
    if not bureau.run.wants(name):
        return
    with bureau.run.record.case(name) as trial:
        receiver.silences |= SILENT
        answers = await bureau.ask_all([request(id, "rich", "dave") for id in SILENT])
        trial.expect({answer.status for answer in answers} == {"settled"}, f"told {answers}")
        async with asyncio.timeout(60):
            while any(receiver.times(id).total() <= silences for id, silences in SILENT.items()):
                await asyncio.sleep(0.05)
        for id, silences in SILENT.items():
            times = receiver.times(id)
            trial.expect(times == {f"{id}/notify/settled": silences + 1}, f"{id}: delivered {dict(times)}")
            bureau.run.record.figure("deliveries of a notification that was taken silently", times.total())


async def _afterwards(bureau: _Bureau, receiver: Receiver) -> None:
    """Everything at once by the invariants: also that nothing but what the cases looked at has moved."""
    with bureau.run.record.case("afterwards: books, answers, deliveries and executions agree") as trial:
        client = await bureau.house.client()
        evidence = await check(
            trial, bureau.house.place.ledger_url, client, answers=bureau.answers, deliveries=receiver.deliveries
        )
        trial.expect(receiver.forged == 0, f"{receiver.forged} notifications had a wrong signature")
        trial.expect(_one_effect_each(evidence), "a key of a notification has other than one effect at the receiver")
        bureau.run.record.effects(**effects(evidence))


def _one_effect_each(evidence: Evidence) -> bool:
    """A receiver that drops repeats by their key has one effect for each ending in the books, and no other."""
    return {delivery.key for delivery in evidence.deliveries} == {row["key"] for row in evidence.rows.notifications}
