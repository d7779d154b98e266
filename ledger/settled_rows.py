"""Settled rows: the nine rows of each transfer that was settled at once, made by the database from what differs.

    what Python sends    id, accounts, amount, currency, mark, three balances: one narrow row for each transfer
    what SQL makes       a row of transfers, two operations, two postings, three events, one notification

To make nine tuples of a transfer and to hand them over costs more than everything that is decided about it. SQLite gets
the narrow rows in a table of its own in memory, and its thread holds no lock of Python's while it makes the others;
PostgreSQL gets them as columns, and makes all of them in one statement. What the rows say is what the rules would have
written (`settling.unfold`); a test holds them to each other.
"""

from collections.abc import Sequence
from functools import cache
from json.encoder import encode_basestring_ascii as quoted

from sqlalchemy import Connection

from ledger import bulk
from ledger.books import Settled

_COLUMNS = (
    "id", "source", "destination", "amount_minor", "currency", "mark", "quoted_mark",
    "source_after", "transit_after_debit", "destination_after",
)  # fmt: skip  # what is asked, and the balances
_TYPES = ("TEXT", "TEXT", "TEXT", "BIGINT", "TEXT", "TEXT", "TEXT", "BIGINT", "BIGINT", "BIGINT")

_STAGE = """
CREATE TEMP TABLE IF NOT EXISTS settled (place INTEGER PRIMARY KEY, id TEXT, source TEXT, destination TEXT,
    amount_minor INTEGER, currency TEXT, mark TEXT, quoted_mark TEXT, source_after INTEGER, transit_after_debit INTEGER,
    destination_after INTEGER)"""

_CONTENT = """'{"amount_minor":' || amount_minor || ',"currency":"' || currency || '","destination":"' || destination
        || '","source":"' || source || '"}'"""  # `fingerprint.canonical`: nothing in an id has a sign to escape
_BODY = """'{"amount_minor":' || amount_minor || ',"currency":"' || currency || '","destination":"' || destination
        || '","detail":' || quoted_mark || ',"iso20022_status":"ACSC","reason":null,"source":"' || source
        || '","status":"settled","transfer_id":"' || id || '","type":"transfer.settled"}'"""  # `Notification.body`

_INSERTS = {
    "transfers": """
    INSERT INTO transfers (id, source_account_id, destination_account_id, amount_minor, currency, status, detail,
        version, accepted_at, changed_at)
    SELECT id, source, destination, amount_minor, currency, 'settled', mark, 3, @now, @now FROM settled
    ORDER BY place""",
    "operations": f"""
    INSERT INTO operations (key, fingerprint, fingerprint_recipe, outcome, transfer_id, recorded_at)
    SELECT id || '/' || leg, {_CONTENT}, 'v1', 'applied', id, @now
    FROM settled CROSS JOIN (SELECT 'debit' AS leg UNION ALL SELECT 'credit') AS legs""",
    "postings": """
    INSERT INTO postings (operation_key, position, debit_account_id, credit_account_id, amount_minor, currency,
        debit_balance_after, credit_balance_after, recorded_at)
    SELECT CASE leg WHEN 1 THEN id || '/debit' ELSE id || '/credit' END, 0,
        CASE leg WHEN 1 THEN source ELSE 'transit:' || currency END,
        CASE leg WHEN 1 THEN 'transit:' || currency ELSE destination END, amount_minor, currency,
        CASE leg WHEN 1 THEN source_after ELSE transit_after_debit - amount_minor END,
        CASE leg WHEN 1 THEN transit_after_debit ELSE destination_after END, @now
    FROM settled CROSS JOIN (SELECT 1 AS leg UNION ALL SELECT 2) AS legs ORDER BY place, leg""",
    "events": """
    INSERT INTO transfer_events (transfer_id, sequence, from_status, to_status, operation_key, detail, recorded_at)
    SELECT id, sequence, before, after, id || leg, CASE sequence WHEN 1 THEN NULL ELSE mark END, @now
    FROM settled CROSS JOIN (
        SELECT 1 AS sequence, NULL AS before, 'accepted' AS after, '/debit' AS leg
        UNION ALL SELECT 2, 'accepted', 'debited', '/debit' UNION ALL SELECT 3, 'debited', 'settled', '/credit'
    ) AS events""",
    "notifications": f"""
    INSERT INTO notifications (key, transfer_id, body, recorded_at)
    SELECT id || '/notify/settled', id, {_BODY}, @now FROM settled""",
}


def insert(connection: Connection, settled: Sequence[Settled], now: int) -> None:
    """Write the rows of transfers that were settled at once, in order."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(_STAGE)
        bulk.insert_into(connection, "temp.settled", _COLUMNS, [_row(one) for one in settled])
        for statement in _INSERTS.values():
            connection.exec_driver_sql(statement.replace("@now", "?1"), (now,))
        connection.exec_driver_sql("DELETE FROM temp.settled")
    else:
        columns = [list(column) for column in zip(*(_row(one) for one in settled), strict=True)]
        connection.exec_driver_sql(_on_postgresql(), (*columns, now))


def _row(one: Settled) -> bulk.Row:
    state, source_after, transit_after_debit, destination_after, _ = one
    t, mark = state.transfer, state.detail
    asked = (t.id, t.source, t.destination, t.amount_minor, t.currency, mark, "null" if mark is None else quoted(mark))
    return (*asked, source_after, transit_after_debit, destination_after)


@cache
def _on_postgresql() -> str:
    arrays = ", ".join(f"CAST(${number} AS {kind}[])" for number, kind in enumerate(_TYPES, 1))
    settled = f"settled AS (SELECT * FROM unnest({arrays}) WITH ORDINALITY AS new ({', '.join(_COLUMNS)}, place))"
    filled = {
        name: statement.replace("@now", f"CAST(${len(_COLUMNS) + 1} AS BIGINT)") for name, statement in _INSERTS.items()
    }
    last = filled.pop("notifications")
    return (
        f"WITH {', '.join([settled, *(f'new_{name} AS ({statement})' for name, statement in filled.items())])} {last}"
    )
