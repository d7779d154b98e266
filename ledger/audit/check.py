"""Check: one rule of the books as one statement that selects whatever breaks it.

The statements are plain SQL that both databases run, so that an auditor can paste them into a shell. They
aggregate where the rows are: what comes back is violations, one row each, and never the books themselves.

Sums are exact. Totals over many accounts pass 2^63, where SQLite's SUM fails and a bigint overflows; so a
sum is taken of the upper and of the lower 32 bits by themselves, and comes as the two columns `x_high` and
`x_low` (0 <= x_low < 2^32). Equal pairs are equal sums, and `x_high < 0` is a negative one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

VIOLATIONS_SHOWN = 100
"""The most violations of one check that a report lists; one more says how many were left out."""

Row = Mapping[str, Any]

_LOW = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is not as it must be: the check that says so, what it is about, and one sentence."""

    check: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class Check:
    """A rule in one sentence, and the SQL that selects a `subject` and what `says` names for all that breaks it.

    Where the two databases need other words, `sql` holds a statement for each. `confirmed` looks at each row
    again, for what SQL can only suspect.
    """

    name: str
    rule: str
    sql: str | Mapping[str, str]
    says: str
    confirmed: Callable[[Row], bool] = lambda _row: True

    async def violations(self, connection: AsyncConnection) -> list[Violation]:
        """What breaks this rule, at most `VIOLATIONS_SHOWN` of it and a count of the rest, in bounded memory."""
        sql = self.sql if isinstance(self.sql, str) else self.sql[connection.dialect.name]
        found: list[Violation] = []
        more = 0
        async with connection.stream(text(sql)) as result:
            async for mapping in result.mappings():
                row = whole(mapping)
                if not self.confirmed(row):
                    continue
                if len(found) == VIOLATIONS_SHOWN:
                    more += 1
                    continue
                found.append(Violation(self.name, row["subject"], self.says.format_map(row)))
        if more:
            found.append(Violation(self.name, "*", f"{more} more like these"))
        return found


def whole(row: RowMapping) -> dict[str, Any]:
    """A row with each pair `x_high`, `x_low` put together as the int `x`."""
    values = {str(name): value for name, value in row.items()}
    names = [name.removesuffix("_high") for name in values if name.endswith("_high")]
    return values | {name: (int(values[f"{name}_high"]) << 32) + int(values[f"{name}_low"]) for name in names}


def exact_sum(name: str, column: str, sign: str = "1", over: str = "") -> str:
    """The pair `name`: the exact sum of a bigint column, each with its sign (1 or -1); with `over` a running sum."""
    return _pair(name, _sum(f"({column} >> 32) * {sign}", over), _sum(f"({column} & {_LOW}) * {sign}", over))


def exact_sum_of_pairs(name: str, pair: str) -> str:
    """The pair `name`: the exact sum of pairs."""
    return _pair(name, _sum(f"{pair}_high"), _sum(f"{pair}_low"))


def is_exactly(pair: str, column: str) -> str:
    """Whether a bigint column is the number that a pair says."""
    return f"(COALESCE({pair}_high, 0) = {column} >> 32 AND COALESCE({pair}_low, 0) = ({column} & {_LOW}))"


def differ(one: str, other: str) -> str:
    """Whether two values differ, where NULL is a value (IS DISTINCT FROM, which SQLite has only since 3.39)."""
    return f"(({one} = {other}) IS NOT TRUE AND ({one} IS NOT NULL OR {other} IS NOT NULL))"


def one_of(values: list[str]) -> str:
    """Words of ours as the right-hand side of IN."""
    return f"({', '.join(repr(str(value)) for value in values)})"


def _pair(name: str, high: str, low: str) -> str:
    return f"({high}) + (({low}) >> 32) AS {name}_high, ({low}) & {_LOW} AS {name}_low"


def _sum(expression: str, over: str = "") -> str:
    return f"CAST(COALESCE(SUM({expression}){over}, 0) AS BIGINT)"
