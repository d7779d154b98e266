"""The figures of an audit, per currency and recomputed from the postings, and the two rules that tie them together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.account import Guard
from ledger.audit.accounts import TOTALS
from ledger.audit.check import Row, Violation, exact_sum, exact_sum_of_pairs, whole
from ledger.keys import transit_account
from ledger.transfer import Status


@dataclass(frozen=True, slots=True)
class CurrencyTotals:
    """All that was ever posted in one currency, in minor units. `held_minor` is what the asset accounts hold."""

    currency: str
    postings: int
    debits_minor: int
    credits_minor: int
    held_minor: int


@dataclass(frozen=True, slots=True)
class TransitTotals:
    """The transit account of one currency, in minor units, beside the transfers debited and not ended."""

    currency: str
    balance_minor: int
    open_minor: int
    open_transfers: int


@dataclass(frozen=True, slots=True)
class Totals:
    """The figures, one line for each currency that has accounts, in the order of their codes."""

    currencies: tuple[CurrencyTotals, ...]
    transit: tuple[TransitTotals, ...]
    violations: tuple[Violation, ...]


_BY_CURRENCY_AND_KIND = f"""
{TOTALS}
SELECT currency, guard, id = '{transit_account("")}' || currency AS is_transit,
       CAST(SUM(times_debited) AS BIGINT) AS postings,
       {exact_sum_of_pairs("debits", "debits")}, {exact_sum_of_pairs("credits", "credits")},
       {exact_sum("kept_debits", "debits_posted")}, {exact_sum("kept_credits", "credits_posted")}
FROM totals GROUP BY 1, 2, 3"""

_POSTED = f"SELECT currency, {exact_sum('amount', 'amount_minor')} FROM postings GROUP BY currency"

_OPEN = f"""
SELECT currency, COUNT(*) AS transfers, {exact_sum("amount", "amount_minor")}
FROM transfers WHERE status = '{Status.DEBITED}' GROUP BY currency"""


async def totals(connection: AsyncConnection) -> Totals:
    """Add up the books. Reads only."""
    kinds = await _rows(connection, _BY_CURRENCY_AND_KIND)
    posted = {row["currency"]: row["amount"] for row in await _rows(connection, _POSTED)}
    on_their_way = {row["currency"]: row for row in await _rows(connection, _OPEN)}
    codes = sorted({row["currency"] for row in kinds} | posted.keys() | on_their_way.keys())
    by_code = {code: [row for row in kinds if row["currency"] == code] for code in codes}
    transit = tuple(_transit(code, by_code[code], on_their_way.get(code)) for code in codes)
    return Totals(
        tuple(_currency(code, by_code[code]) for code in codes),
        transit,
        (*_conservation(by_code, posted), *_transit_violations(transit)),
    )


def _currency(code: str, rows: Sequence[Row]) -> CurrencyTotals:
    assets = [row for row in rows if row["guard"] == Guard.CREDITS_MUST_NOT_EXCEED_DEBITS]
    held = _sum(assets, "debits") - _sum(assets, "credits")
    return CurrencyTotals(code, _sum(rows, "postings"), _sum(rows, "debits"), _sum(rows, "credits"), held)


def _transit(code: str, rows: Sequence[Row], on_their_way: Row | None) -> TransitTotals:
    own = [row for row in rows if row["is_transit"]]
    balance = _sum(own, "credits") - _sum(own, "debits")
    if on_their_way is None:
        return TransitTotals(code, balance, 0, 0)
    return TransitTotals(code, balance, on_their_way["amount"], on_their_way["transfers"])


def _conservation(by_code: dict[str, list[Row]], posted: dict[str, int]) -> Iterator[Violation]:
    """In each currency, the accounts' debits, the accounts' credits and the postings are one sum."""
    for code, rows in by_code.items():
        debits, credits, amount = _sum(rows, "kept_debits"), _sum(rows, "kept_credits"), posted.get(code, 0)
        if not debits == credits == amount:
            detail = f"the accounts have {debits} debits and {credits} credits; the postings are {amount}"
            yield Violation("conservation", code, detail)


def _transit_violations(transit: Sequence[TransitTotals]) -> Iterator[Violation]:
    """The balance of transit is the sum of the transfers that are debited and not ended."""
    for line in transit:
        if line.balance_minor != line.open_minor:
            detail = f"holds {line.balance_minor}; {line.open_transfers} transfers on their way are {line.open_minor}"
            yield Violation("transit", transit_account(line.currency), detail)


def _sum(rows: Sequence[Row], name: str) -> int:
    return sum(int(row[name]) for row in rows)


async def _rows(connection: AsyncConnection, sql: str) -> list[Row]:
    return [whole(row) for row in (await connection.execute(text(sql))).mappings()]
