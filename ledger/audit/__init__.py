"""Audit: questions to the books, recomputed from the postings, as of one instant. Changes nothing.

    accounts      totals, running balances, guards
    totals        conservation per currency, transit
    operations    keys, postings, fingerprints, fences
    entries       splits, exchanges, reversals, targets
    transfers     statuses, events, notifications
    limits        uses of daily limits, approvals
    payouts       submissions and recalls
    triggers      whether the database still refuses what it must

A clean report means that all of these hold; each violation names its check, what it is about, and why. A
ledger of any size is audited in bounded memory if it was opened with `Reader.open_read_only` (an engine that
writes keeps SQLite's sorting in memory).
"""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.audit import accounts, entries, limits, operations, payouts, transfers, triggers
from ledger.audit.check import Check, Violation
from ledger.audit.totals import CurrencyTotals, TransitTotals, totals
from ledger.database import reading
from ledger.operation import OutcomeKind
from ledger.reader import Reader
from ledger.transfer import Status

__all__ = ["CHECKS", "AuditReport", "CurrencyTotals", "TransitTotals", "Violation", "audit"]

_RULES = (accounts, operations, entries, transfers, limits, payouts, triggers)
CHECKS: tuple[Check, ...] = tuple(check for rules in _RULES for check in rules.CHECKS)
"""Every rule that is asked one by one. `conservation` and `transit` come with the totals."""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What the books say at one instant. Money is in minor units.

    `transfers` counts by status and `operations` by recorded outcome, each with all of them, also at 0.
    """

    ok: bool
    currencies: tuple[CurrencyTotals, ...]
    transit: tuple[TransitTotals, ...]
    transfers: dict[str, int]
    operations: dict[str, int]
    violations: tuple[Violation, ...]

    def as_json(self) -> dict[str, Any]:
        """The report as JSON has it: `ok, currencies, transit, transfers, operations, violations`."""
        return asdict(self)


async def audit(reader: Reader) -> AuditReport:
    """Ask everything, in one snapshot. Safe beside writers, who neither wait for it nor hold it up.

    Raises what the database raises when the books cannot be read (sqlalchemy.exc.SQLAlchemyError).
    """
    async with reading(reader.engine) as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("SET LOCAL statement_timeout = 0"))  # sized for transfers, not for audits
        figures = await totals(connection)
        found = [violation for check in CHECKS for violation in await check.violations(connection)]
        statuses = await _counts(connection, "transfers", "status", [*Status])
        recorded = [OutcomeKind.APPLIED, OutcomeKind.REJECTED, OutcomeKind.FENCED]
        outcomes = await _counts(connection, "operations", "outcome", recorded)
    violations = (*figures.violations, *found)
    return AuditReport(not violations, figures.currencies, figures.transit, statuses, outcomes, violations)


async def _counts(connection: AsyncConnection, table: str, column: str, values: list[Any]) -> dict[str, int]:
    rows = await connection.execute(text(f"SELECT {column}, COUNT(*) FROM {table} GROUP BY {column}"))
    counted = {str(value): int(count) for value, count in rows}
    return {str(value): 0 for value in values} | counted
