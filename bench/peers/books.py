"""Books: whether a contestant moved the money once, and all of it. Asked of the rows, after each of its visits."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.peers.work import ACCOUNTS, PAID_IN, STEPS, TABLES
from ledger.audit import audit
from ledger.reader import Reader

_THEIRS = {
    "debits": "SELECT count(*) FROM postings WHERE step = 'debit' AND credit_account_id = 'transit'",
    "credits": "SELECT count(*) FROM postings WHERE step = 'credit' AND debit_account_id = 'transit'",
    "transfers with both": """SELECT count(*) FROM postings d JOIN postings c USING (transfer_id)
        WHERE d.step = 'debit' AND c.step = 'credit' AND d.amount_minor = c.amount_minor""",
    "notifications": "SELECT count(*) FROM notifications JOIN postings USING (transfer_id) WHERE step = 'credit'",
}
"""Each of these must be the number of transfers."""

_WRONG_BALANCES = """SELECT count(*) FROM accounts a WHERE balance <> :paid_in
    - (SELECT coalesce(sum(amount_minor), 0) FROM postings WHERE debit_account_id = a.id)
    + (SELECT coalesce(sum(amount_minor), 0) FROM postings WHERE credit_account_id = a.id)"""

_OURS = {
    "settled transfers": "SELECT count(*) FROM transfers WHERE status = 'settled'",
    "transfers": "SELECT count(*) FROM transfers",
    "debits": "SELECT count(*) FROM postings WHERE operation_key = split_part(operation_key, '/', 1) || '/debit'",
    "credits": "SELECT count(*) FROM postings WHERE operation_key = split_part(operation_key, '/', 1) || '/credit'",
    "delivered notifications": "SELECT count(*) FROM notifications WHERE delivered_at IS NOT NULL",
}


async def create(engine: AsyncEngine) -> None:
    """Make the books of the others, with money in all accounts."""
    async with engine.begin() as connection:
        for statement in TABLES:
            await connection.execute(text(statement))


async def wrong_of_theirs(engine: AsyncEngine, transfers: int, keyed: bool) -> list[str]:
    """What is wrong with the books of the others after so many transfers. `keyed` if each step leaves its key."""
    found = await _counted(engine, _THEIRS, transfers)
    async with engine.connect() as connection:
        balances = (await connection.execute(text(_WRONG_BALANCES), {"paid_in": PAID_IN})).scalar_one()
        total = (await connection.execute(text("SELECT sum(balance) FROM accounts"))).scalar_one()
        keys = (await connection.execute(text("SELECT count(*) FROM keys"))).scalar_one()
    found += [f"{balances} balances are not the sum of their postings"] if balances else []
    found += [f"the balances sum to {total}"] if total != ACCOUNTS * PAID_IN else []
    found += [f"{keys} keys"] if keys != (transfers * len(STEPS) if keyed else 0) else []
    return found


async def wrong_of_ours(engine: AsyncEngine, transfers: int) -> list[str]:
    """What is wrong with this engine's books after so many transfers: counted, and audited."""
    report = await audit(Reader(engine))
    return [*await _counted(engine, _OURS, transfers), *(str(violation) for violation in report.violations[:3])]


async def _counted(engine: AsyncEngine, questions: dict[str, str], transfers: int) -> list[str]:
    async with engine.connect() as connection:
        counts = {name: (await connection.execute(text(asked))).scalar_one() for name, asked in questions.items()}
    return [f"{count} {name} of {transfers} transfers" for name, count in counts.items() if count != transfers]
