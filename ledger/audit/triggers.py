"""Whether the database still refuses what it must refuse: the triggers that the migrations made, by name."""

from ledger import schema
from ledger.audit.check import Check

_APPEND_ONLY = ("operations", "postings", "transfer_events", "reversals", "entry_reversals", "limit_uses", "approvals")
_REFERRING = ("operations", "postings", "transfer_events", "notifications")
_OWN_RULES = {
    "accounts_only_grow": "accounts",
    "transfers_live_once": "transfers",
    "transfers_keep_their_terms": "transfers",
    "notifications_delivered_once": "notifications",
    "reversals_within_the_transfer": "reversals",
    "entry_reversals_within_the_original": "entry_reversals",
}


def expected(dialect: str) -> dict[str, str]:
    """The name of each trigger that must be there, and its table."""
    kept = {f"{table}_never_deleted": table for table in schema.metadata.tables}
    unchanged = {f"{table}_never_changed": table for table in _APPEND_ONLY}
    # Only SQLite has INSERT OR REPLACE, which deletes without firing a delete trigger.
    unreplaced = {f"{table}_never_replaced": table for table in schema.metadata.tables} if dialect == "sqlite" else {}
    # There a foreign key does it, and PostgreSQL's would ask for every row by itself.
    referring = {f"{table}_refer": table for table in _REFERRING} if dialect == "postgresql" else {}
    return _OWN_RULES | kept | unchanged | unreplaced | referring


def _missing(dialect: str, standing: str) -> str:
    names = " UNION ALL ".join(
        f"SELECT '{name}' AS name, '{table}' AS table_name" for name, table in sorted(expected(dialect).items())
    )
    return f"""
        SELECT expected.name AS subject, expected.table_name FROM ({names}) AS expected
        WHERE NOT EXISTS ({standing})"""


CHECKS = (
    Check(
        "triggers",
        "Every trigger that keeps the books append-only is there, enabled, and refuses.",
        {
            "sqlite": _missing(
                "sqlite",
                """
                SELECT 1 FROM sqlite_master
                WHERE type = 'trigger' AND sqlite_master.name = expected.name AND tbl_name = expected.table_name
                  AND sql LIKE '%RAISE(ABORT%'""",
            ),
            "postgresql": _missing(
                "postgresql",
                """
                SELECT 1 FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
                WHERE tgname = expected.name AND tgrelid = to_regclass(expected.table_name) AND tgenabled IN ('O', 'A')
                  AND prosrc LIKE '%RAISE EXCEPTION%'""",
            ),
        },
        "is not there, or does not refuse: {table_name} can be rewritten",
    ),
)
