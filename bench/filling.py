"""Filling: settled transfers written by plain SQL in seconds, with every row that as many real ones would have left.

All constraints and triggers stand while it writes. Transfer number `n` pays 1 from account `n` to account `n + 7`,
round and round, each settled before the next begins; so every balance after every posting is a formula, and the
audit of the filled books finds nothing.
"""

from sqlalchemy.ext.asyncio import AsyncEngine

from bench.load import AWAY, Load
from ledger.audit import audit
from ledger.book import Ledger
from ledger.database import AUDITING, open_database
from ledger.reader import Reader

_TRANSFERS = """
WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {last}),
t AS (
    SELECT n, n / {accounts} AS lap, n % {accounts} AS place,
        'fill-' || CAST({id} AS TEXT) AS id,
        '{name}-' || CAST(n % {accounts} AS TEXT) AS source,
        '{name}-' || CAST((n + {away}) % {accounts} AS TEXT) AS destination
    FROM numbers
)"""
_SOURCE_AFTER = "{paid_in} - 1 + CASE WHEN place >= {away} THEN 1 ELSE 0 END"
_DESTINATION_AFTER = "{paid_in} + CASE WHEN place + {away} < {accounts} THEN 1 ELSE 0 END"
_CONTENT = """'{"amount_minor":1,"currency":"USD","destination":"' || destination || '","source":"' || source || '"}'"""
_BODY = """'{"amount_minor":1,"currency":"USD","destination":"' || destination || '","detail":null,'
        || '"iso20022_status":"ACSC","reason":null,"source":"' || source || '","status":"settled","transfer_id":"' || id
        || '","type":"transfer.settled"}'"""

_INSERTS = (
    """INSERT INTO transfers (id, source_account_id, destination_account_id, amount_minor, currency, status, version,
        accepted_at, changed_at) {transfers} SELECT id, source, destination, 1, 'USD', 'settled', 3, n, n FROM t""",
    """INSERT INTO operations (key, fingerprint, fingerprint_recipe, outcome, transfer_id, recorded_at)
        {transfers} SELECT id || '/debit', {content}, 'v1', 'applied', id, n FROM t""",
    """INSERT INTO operations (key, fingerprint, fingerprint_recipe, outcome, transfer_id, recorded_at)
        {transfers} SELECT id || '/credit', {content}, 'v1', 'applied', id, n FROM t""",
    """INSERT INTO postings (operation_key, position, debit_account_id, credit_account_id, amount_minor, currency,
        debit_balance_after, credit_balance_after, recorded_at)
        {transfers} SELECT id || '/debit', 0, source, 'transit:USD', 1, 'USD', {source_after}, 1, n FROM t
        UNION ALL SELECT id || '/credit', 0, 'transit:USD', destination, 1, 'USD', 0, {destination_after}, n FROM t
        ORDER BY 9, 1 DESC""",
    """INSERT INTO transfer_events (transfer_id, sequence, from_status, to_status, operation_key, recorded_at)
        {transfers} SELECT id, 1, NULL, 'accepted', id || '/debit', n FROM t
        UNION ALL SELECT id, 2, 'accepted', 'debited', id || '/debit', n FROM t
        UNION ALL SELECT id, 3, 'debited', 'settled', id || '/credit', n FROM t""",
    """INSERT INTO notifications (key, transfer_id, body, recorded_at, delivered_at)
        {transfers} SELECT id || '/notify/settled', id, {body}, n, n FROM t""",
    """UPDATE accounts SET version = version + 2 * {laps}, debits_posted = debits_posted + {laps},
        credits_posted = credits_posted + {laps} WHERE id LIKE '{name}-%'""",
    """UPDATE accounts SET version = version + 2 * {count}, debits_posted = debits_posted + {count},
        credits_posted = credits_posted + {count} WHERE id = 'transit:USD'""",
)


async def fill(ledger: Ledger, load: Load, count: int) -> None:
    """Write `count` settled transfers between the accounts of a load that has only been opened yet.

    `count` is a multiple of the load's accounts. Raises RuntimeError if the audit finds anything afterwards.
    """
    patient = ledger.engine
    if patient.dialect.name == "postgresql":
        patient = open_database(patient.url, bounds=AUDITING)  # a posting's bounds are too short for a million
    try:
        await write(patient, load, count)
        if patient.dialect.name == "postgresql":
            async with patient.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                await connection.exec_driver_sql("VACUUM ANALYZE")  # what autovacuum would have done in those years
        report = await audit(Reader(patient))
    finally:
        if patient is not ledger.engine:
            await patient.dispose()
    if not report.ok:
        raise RuntimeError(f"the filled books are wrong: {report.violations[:3]}")


async def write(engine: AsyncEngine, load: Load, count: int) -> None:
    """The rows alone, in one transaction."""
    id = "(n * 2654435761) % 4294967296 + 10000000000" if load.scattered else "10000000000 + n"
    names = {"last": count - 1, "accounts": load.accounts, "away": AWAY, "name": load.name, "id": id}
    words = names | {"count": count, "laps": count // load.accounts, "paid_in": load.paid_in}
    filled = words | {
        "transfers": _TRANSFERS.format(**words),
        "content": _CONTENT,
        "body": _BODY,
        "source_after": _SOURCE_AFTER.format(**words),
        "destination_after": _DESTINATION_AFTER.format(**words),
    }
    async with engine.begin() as connection:
        for statement in _INSERTS:
            await connection.exec_driver_sql(statement.format(**filled))
