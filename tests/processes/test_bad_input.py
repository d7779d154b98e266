"""Bad input at the command line: refused with exit status 2 before anything starts, or answered no with 3."""

import asyncio
import json
from collections.abc import Sequence

from tests.support.corpus import BAD_AMOUNT_TEXTS, BAD_CURRENCIES, BAD_IDS
from tests.support.databases import only_sqlite
from tests.support.processes import Folder, Said

Command = Sequence[str]

AT_ONCE = 4
"""How many processes run at a time."""

AMOUNTS = (
    "zero", "negative", "a plus sign", "too many decimals for USD", "decimals for JPY", "four decimals for KWD",
    "one more than the books can hold", "one more than the books can hold in JPY", "endless digits", "not a number",
    "an exponent", "empty", "a line end after", "a comma", "full-width digits",
)  # fmt: skip  # a list of names is read as one thing
CURRENCIES = ("empty", "unknown", "lower case", "gold", "a line end after", "full-width letters")
IDS = (
    "empty", "129 characters", "a slash", "a slash alone", "a space", "a line end after", "an escape", "an accent",
    "an emoji",
)  # fmt: skip  # as above
BYTES = "T1" + b"\xff".decode(errors="surrogateescape")
"""An argument that is no text: the process is given the byte 0xFF, and Python makes a lone surrogate of it."""


def pay(
    id: str = "T1", source: str = "alice", destination: str = "bob", amount: str = "25.00", currency: str = "USD"
) -> Command:
    """The command that transfers; by default one that would settle."""
    parties = ("--from", source, "--to", destination)
    return ("transfer", "--id", id, *parties, "--amount", amount, "--currency", currency)


def open_account(id: str = "carol", currency: str = "USD", deposit: str = "5", deposit_id: str = "D2") -> Command:
    """The command that opens an account; by default one that would bring money in."""
    return ("open-account", id, "--currency", currency, "--deposit", deposit, "--deposit-id", deposit_id)


async def run_all(place: Folder, commands: Sequence[Command]) -> list[Said]:
    """Run the starter with each of these, a few at a time."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def run(command: Command) -> Said:
        async with slots:
            return await place.starter(*command)

    return await asyncio.gather(*(run(command) for command in commands))


async def let_through(place: Folder, commands: dict[str, Command]) -> dict[str, Said]:
    """The commands that are not refused as they should be. Every other one is asked with --json."""
    asked = [(*command, "--json") if number % 2 else command for number, command in enumerate(commands.values())]
    answers = zip(commands, asked, await run_all(place, asked), strict=True)
    return {
        name: said
        for name, command, said in answers
        if not (refused_for_programs(said) if "--json" in command else refused(said))
    }


def refused(said: Said) -> bool:
    """Exit status 2 and one line that says why."""
    return (
        said.exit == 2 and said.output == "" and said.errors.startswith("malformed: ") and said.errors.count("\n") == 1
    )


def refused_for_programs(said: Said) -> bool:
    """Exit status 2 and one JSON object that says why."""
    if said.exit != 2 or said.errors or said.output.count("\n") != 1:
        return False
    answer = json.loads(said.output)
    return isinstance(answer, dict) and answer["status"] == "malformed" and bool(answer["reason"])


async def nothing_has_happened(place: Folder) -> None:
    """The books hold what the fixture put there, and are right."""
    audit = await place.audit()
    assert audit["operations"] == {"applied": 1, "rejected": 0, "fenced": 0}
    assert not any(audit["transfers"].values())
    assert await place.balances("alice", "bob") == [100_00, 0]
    assert (await place.starter("balance", "carol", "--json")).json["reason"] == "account_not_found"


@only_sqlite
async def test_a_bad_amount_or_currency_is_refused_before_anything_starts(running: Folder) -> None:
    """
    What people mistype and what programs get wrong: a sentence, exit 2, and not a trace in the books.
    """
    commands: dict[str, Command] = {}
    for name in AMOUNTS:
        amount, currency = BAD_AMOUNT_TEXTS[name]
        commands[f"amount: {name}"] = pay(amount=amount, currency=currency)
    for name in CURRENCIES:
        commands[f"currency: {name}"] = pay(currency=BAD_CURRENCIES[name])
    commands["currency: bytes"] = pay(currency=BYTES)
    commands["amount: bytes"] = pay(amount=BYTES)
    commands["deposit: negative"] = open_account(deposit="-5")
    commands["deposit: too many decimals"] = open_account(deposit="25.001")
    commands["account currency: gold"] = open_account(currency="XAU")

    assert await let_through(running, commands) == {}
    await nothing_has_happened(running)


@only_sqlite
async def test_a_bad_id_is_refused_wherever_it_is_given(running: Folder) -> None:
    """
    As the id of a transfer, a deposit or an account, by every command that takes one; bytes that are no text too.
    """
    commands: dict[str, Command] = {f"transfer: {name}": pay(id=BAD_IDS[name]) for name in IDS}
    commands |= {
        "transfer: bytes": pay(id=BYTES),
        "from: a space": pay(source="ali ce"),
        "from: bytes": pay(source=BYTES),
        "to: empty": pay(destination=""),
        "to: a slash": pay(destination="bob/credit"),
        "open-account: empty": open_account(id=""),
        "open-account: bytes": open_account(id=BYTES),
        "deposit: a slash": open_account(deposit_id="D2/deposit"),
        "deposit: bytes": open_account(deposit_id=BYTES),
        "deposit: a space": open_account(deposit_id="D 2"),
        "set-account: bytes": ("set-account", BYTES, "--status", "frozen"),
        "balance: a line end": ("balance", "alice\n"),
        "statement: bytes": ("statement", BYTES),
        "statement: bytes as its beginning": ("statement", "alice", "--from", BYTES),
        "status: bytes": ("status", BYTES),
        "explain: bytes": ("explain", BYTES),
        "cancel: an escape": ("cancel", BAD_IDS["an escape"]),
        "cancel: bytes as its reason": ("cancel", "T1", "--reason", BYTES),
    }

    assert await let_through(running, commands) == {}
    await nothing_has_happened(running)


@only_sqlite
async def test_the_ledgers_own_accounts_and_a_transfer_to_oneself_are_refused(running: Folder) -> None:
    """
    Nobody pays from transit or into cash, opens them, freezes them, or moves money in a circle.
    """
    commands: dict[str, Command] = {"to oneself": pay(destination="alice")}
    for own in ("transit:USD", "cash:USD"):
        commands |= {
            f"from {own}": pay(source=own),
            f"to {own}": pay(destination=own),
            f"open {own}": open_account(id=own),
            f"freeze {own}": ("set-account", own, "--status", "frozen"),
        }

    assert await let_through(running, commands) == {}
    await nothing_has_happened(running)


@only_sqlite
async def test_an_account_that_cannot_take_part_is_a_rejection_that_stays(running: Folder) -> None:
    """
    Unknown, frozen, closed, or of another currency: exit 3, recorded, and the same answer once the account is open.
    """
    unusable = ("frozen", "closed")
    await run_all(running, [("open-account", status, "--currency", "USD") for status in unusable])
    await run_all(running, [("set-account", status, "--status", status) for status in unusable])
    commands = {
        "from-unknown": (pay("from-unknown", source="nobody"), "account_not_found"),
        "to-unknown": (pay("to-unknown", destination="nobody"), "account_not_found"),
        "from-frozen": (pay("from-frozen", source="frozen"), "account_frozen"),
        "to-frozen": (pay("to-frozen", destination="frozen"), "account_frozen"),
        "from-closed": (pay("from-closed", source="closed"), "account_closed"),
        "to-closed": (pay("to-closed", destination="closed"), "account_closed"),
        "in-euros": (pay("in-euros", currency="EUR"), "currency_mismatch"),
    }
    expected = [(3, "rejected", reason) for _, reason in commands.values()]
    as_json = [(*command, "--json") for command, _ in commands.values()]

    first = await run_all(running, as_json)
    await run_all(running, [("set-account", account, "--status", "open") for account in unusable])
    again = await run_all(running, as_json)
    recorded = await run_all(running, [("status", id, "--json") for id in commands])

    for answers in (first, again, recorded):
        assert [(said.exit, said.json["status"], said.json["reason"]) for said in answers] == expected
    assert [said.json["replayed"] for said in first + again] == [False] * 7 + [True] * 7
    assert await running.balances("alice", "bob", "frozen", "closed") == [100_00, 0, 0, 0]
    applied = 1 + 2 * len(unusable)  # the fixture's deposit, and each change of an account
    assert (await running.audit())["operations"] == {"applied": applied, "rejected": len(commands), "fenced": 0}
