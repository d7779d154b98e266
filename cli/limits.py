"""set-limits: what may be taken from an account at once, in a day, and without anybody's approval."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cli.accounts import said_of, show_outcome
from cli.answers import Answer
from cli.reach import progress, temporal
from engine.settings import Settings
from ledger.limits import NONE, Change, Limits
from ledger.money import parse_amount

if TYPE_CHECKING:
    from activities.limits import LimitChange


async def set_limits(settings: Settings, change: "LimitChange", timeout_seconds: float) -> Answer:
    """Make sure that an account has these limits. Safe to repeat."""
    from engine.limits import set_limits

    with progress(f"{change.account_id}: setting"):
        async with temporal(settings, timeout_seconds) as submitter:
            outcome = await set_limits(submitter, change, timeout_seconds)
    named = change.model_dump(exclude_none=True, include={"currency", *asdict(Limits())})
    data: dict[str, Any] = {"account_id": change.account_id} | named | show_outcome(outcome)
    return said_of(change.account_id, data, outcome, "limits set", "limits already so")


def parse_limit(text: str | None, currency: str, or_zero: bool = False) -> Change:
    """An amount such as 25.00 in minor units, or NONE. Raises MalformedRequest."""
    return text if text is None or text == NONE else parse_amount(text, currency, or_zero)
