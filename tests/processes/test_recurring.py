"""recurring as scripts meet it: exit status, one JSON object, and balances."""

from datetime import UTC, datetime

from temporalio.client import Client, ScheduleBackfill

from tests.support.databases import only_sqlite
from tests.support.processes import Folder, Said

ORDER = ("--from", "alice", "--to", "bob", "--amount", "10.00", "--cron", "0 9 1 * *")
MARCH = ("--from", "2026-03-01", "--to", "2026-05-01")


async def _recurring(place: Folder, *arguments: str) -> Said:
    return await place.starter("recurring", *arguments, "--json")


async def _paid(place: Folder, *balances: int) -> None:
    while await place.balances("alice", "bob") != list(balances):
        pass


async def _in_the_web_ui(temporal: Client, place: Folder) -> None:
    """Backfill the first of April in the Web UI."""
    client = Client(**(temporal.config() | {"namespace": place.more["TEMPORAL_NAMESPACE"]}))
    first = datetime(2026, 4, 1, 9, tzinfo=UTC)
    await client.get_schedule_handle("recurring/rent").backfill(ScheduleBackfill(start_at=first, end_at=first))


@only_sqlite
async def test_every_command_can_be_repeated(running: Folder) -> None:
    """
    A backfill and a trigger of what it has paid pay once; a change is for later ones; a deletion ends it.
    """
    made, again = [await _recurring(running, "create", "rent", *ORDER) for _ in range(2)]
    other = await _recurring(running, "create", "rent", *ORDER[:-1], "0 9 2 * *")
    filled = [await _recurring(running, "backfill", "rent", *MARCH) for _ in range(2)]
    await _paid(running, 80_00, 20_00)
    first = "2026-03-01T09:00:00Z"
    triggered = [await _recurring(running, "trigger", "rent", "--occurrence", first) for _ in range(2)]
    changed = [await _recurring(running, "change", "rent", "--amount", "30.00") for _ in range(2)]
    reused = await _recurring(running, "trigger", "rent", "--occurrence", first)
    following = changed[0].json["next"][0]
    early = [await _recurring(running, "trigger", "rent", "--occurrence", following) for _ in range(2)]
    other_payee = ("change", "rent", "--to", "carol", "--cron", "0 9 2 * *", "--expected-version")
    too_late, moved, repeated = [await _recurring(running, *other_payee, version) for version in ("1", "2", "2")]
    no_more = await _recurring(running, "trigger", "rent", "--occurrence", following)
    shown = await _recurring(running, "show", "rent")
    deleted = [await _recurring(running, "delete", "rent") for _ in range(2)]

    assert (made.exit, made.json["status"], made.json["amount_minor"]) == (0, "active", 10_00)
    assert made.json == again.json
    assert (other.exit, other.json["status"]) == (4, "key_reused")
    assert other.json["detail"] == "cron: 0 9 1 * * -> 0 9 2 * *"
    assert filled[0].json == filled[1].json
    assert filled[0].json["transfer_ids"] == ["rent.2026-03-01T090000Z", "rent.2026-04-01T090000Z"]
    assert [(said.exit, said.json["replayed"]) for said in triggered] == [(0, True)] * 2
    assert [(said.exit, said.json["amount_minor"]) for said in changed] == [(0, 30_00)] * 2
    assert (reused.exit, reused.json["status"]) == (4, "key_reused")
    assert [(said.exit, said.json["replayed"]) for said in early] == [(0, False), (0, True)]
    assert (too_late.exit, too_late.json["status"], too_late.json["reason"]) == (3, None, "version_conflict")
    assert too_late.json["detail"].startswith("it is at version 2, not 1")
    assert (moved.exit, moved.json) == (0, repeated.json)
    assert [moved.json[name] for name in ("to", "cron", "amount_minor", "version")] == ["carol", "0 9 2 * *", 30_00, 3]
    assert (no_more.exit, "does not recur at" in no_more.json["reason"]) == (2, True)
    assert [row["amount_minor"] for row in shown.json["last"]] == [30_00, 10_00, 10_00]
    assert {row["status"] for row in shown.json["last"]} == {"settled"}
    assert [(said.exit, said.json["status"]) for said in deleted] == [(0, "deleted")] * 2
    assert await running.balances("alice", "bob") == [50_00, 50_00]
    assert (await running.audit())["ok"]


@only_sqlite
async def test_what_is_paused_and_what_has_failed_is_shown(running: Folder, temporal: Client) -> None:
    """
    `list` and `show` say which is paused; `show` says why an occurrence was not paid.
    """
    await _recurring(running, "create", "rent", *ORDER)
    paused = [await _recurring(running, "pause", "rent", "--reason", "a dispute") for _ in range(2)]
    await _recurring(running, "backfill", "rent", *MARCH)
    await _paid(running, 80_00, 20_00)
    await _recurring(running, "change", "rent", "--amount", "30.00")
    reused = await _recurring(running, "backfill", "rent", *MARCH)
    await _in_the_web_ui(temporal, running)
    while not any(row.get("failure") for row in (await _recurring(running, "show", "rent")).json["last"]):
        pass
    shown, for_people = await _recurring(running, "show", "rent"), await running.starter("recurring", "show", "rent")
    while not (listed := await _recurring(running, "list")).json["recurring"]:
        pass
    resumed = [await _recurring(running, "resume", "rent") for _ in range(2)]

    assert [(said.exit, said.json["status"], said.json["note"]) for said in paused] == [(0, "paused", "a dispute")] * 2
    assert (reused.exit, reused.json["status"], len(reused.json["reused"])) == (4, "key_reused", 2)
    assert "amount_minor: 1000 -> 3000" in shown.json["last"][0]["failure"]
    assert "amount_minor: 1000 -> 3000" in for_people.output
    assert [row["status"] for row in listed.json["recurring"]] == ["paused"]
    assert [(said.exit, said.json["status"]) for said in resumed] == [(0, "active")] * 2
    assert await running.balances("alice", "bob") == [80_00, 20_00]


@only_sqlite
async def test_what_cannot_be_is_told_apart(running: Folder) -> None:
    """
    2 for what could never be, 3 for what nobody has made.
    """
    await _recurring(running, "create", "rent", *ORDER)
    tomorrow = f"{datetime.now(UTC).year + 1}-01-01"
    malformed = [
        await _recurring(running, *arguments)
        for arguments in (
            ("create", "a/b", *ORDER),
            ("create", "r2", *ORDER, "--every", "30d"),
            ("create", "r2", *ORDER[:-2], "--every", "a month"),
            ("create", "r2", *ORDER[:-1], "0 9 1 * 1"),
            ("trigger", "rent"),
            ("trigger", "rent", "--occurrence", "2026-03-02T09:00:00Z"),
            ("backfill", "rent", "--from", "2026-03-01", "--to", tomorrow),
            ("backfill", "rent", "--from", "2026-03-02", "--to", "2026-03-01"),
            ("change", "rent", "--amount", "-1"),
            ("change", "rent", "--amount", "0"),
            ("change", "rent", "--to", "alice"),
            ("change", "rent", "--cron", "0 9 1 * *", "--every", "1d"),
            ("change", "rent"),
        )
    ]
    unknown = [
        await _recurring(running, *arguments)
        for arguments in (
            ("show", "nothing"),
            ("pause", "nothing"),
            ("resume", "nothing"),
            ("change", "nothing", "--amount", "1"),
            ("backfill", "nothing", *MARCH),
            ("trigger", "nothing", "--occurrence", "2026-03-01T09:00:00Z"),
        )
    ]

    assert [said.exit for said in malformed] == [2] * len(malformed)
    assert "--occurrence must name the one to pay; the next are 20" in malformed[4].json["reason"]
    assert [(said.exit, said.json["reason"]) for said in unknown] == [(3, "recurring_not_found")] * len(unknown)
    assert await running.balances("alice", "bob") == [100_00, 0]
