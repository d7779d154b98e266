"""open-account, set-account, balance: the commands about one account."""

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from cli.answers import Answer, Exit
from cli.instants import show_instant
from cli.reach import books, known_otherwise, progress, temporal
from engine.settings import Settings
from ledger.account import Account
from ledger.keys import check_id
from ledger.money import say

if TYPE_CHECKING:
    from activities.messages import AccountChange, AccountOpening, DepositRequest, LegOutcome
    from ledger.reader import Reader


async def open_account(
    settings: Settings, opening: "AccountOpening", deposit: "DepositRequest | None", timeout_seconds: float
) -> Answer:
    """Make sure that an account exists, and that its first deposit has come in. Safe to repeat."""
    with progress(f"{opening.account_id}: opening"):
        async with temporal(settings, timeout_seconds) as submitter:
            opened = await submitter.open_account(opening, timeout_seconds)
            data = {"account_id": opening.account_id, "currency": opening.currency} | show_outcome(opened)
            if not opened.applied or deposit is None:
                return Answer(data, _exit(opened), _headline(opening.account_id, opened, "opened", "already open"))
            from activities.messages import LegOutcome
            from engine.claiming import claim
            from engine.results import KeyReused

            asked = deposit.as_operation()
            submit = partial(submitter.deposit, deposit)
            is_theirs = partial(known_otherwise, settings, asked.key, asked.content)
            submitted = await claim(submitter, submit, LegOutcome, is_theirs, timeout_seconds)
            if submitted.differences:
                return _deposit_reused(data, deposit, "; ".join(submitted.differences))
            try:
                deposited = await submitter.outcome(submitted, LegOutcome, timeout_seconds)
            except KeyReused as reused:
                return _deposit_reused(data, deposit, str(reused))
    data["deposit"] = {"deposit_id": deposit.deposit_id, "amount_minor": deposit.amount_minor} | show_outcome(deposited)
    headline = _headline(opening.account_id, opened, "opened", "already open")
    came = "came in" if not deposited.replayed else "had come in before"
    amount = say(deposit.amount_minor, deposit.currency)
    said = (
        f"{amount} {came} ({deposit.deposit_id})" if deposited.applied else f"{deposit.deposit_id}: {deposited.detail}"
    )
    return Answer(data, _exit(deposited), f"{headline}  {said}", hide=frozenset(data))


def _deposit_reused(data: dict[str, Any], deposit: "DepositRequest", detail: str) -> Answer:
    said = {"deposit_id": deposit.deposit_id, "outcome": "key_reused", "detail": detail}
    headline = f"[bold]{deposit.deposit_id}[/]  [red]key_reused[/]  {detail}"
    return Answer(data | {"deposit": said}, Exit.KEY_REUSED, headline, hide=frozenset({*data, "deposit"}))


async def set_account(settings: Settings, change: "AccountChange", timeout_seconds: float) -> Answer:
    """Make sure that an account has a status. Safe to repeat."""
    with progress(f"{change.account_id}: setting"):
        async with temporal(settings, timeout_seconds) as submitter:
            outcome = await submitter.set_account(change, timeout_seconds)
    data = {"account_id": change.account_id, "account_status": str(change.status)} | show_outcome(outcome)
    return said_of(change.account_id, data, outcome, change.status, f"already {change.status}")


async def balance(settings: Settings, account_id: str, as_of: int | None = None) -> Answer:
    """An account's balance and totals, from the books; or its balance at an instant (microseconds)."""
    check_id(account_id, "account id")
    async with books(settings) as reader:
        if as_of is not None:
            return await _balance_as_of(account_id, reader, as_of)
        account, held = await reader.account(account_id), await reader.held(account_id)
    if account is None:
        return no_account(account_id)
    headline = f"[bold]{account_id}[/]  {say(account.balance, account.currency)}"
    data, hide = account_fields(account), {"account_id", "balance_minor", "currency", "held_minor", "posted_minor"}
    data |= {"held_minor": held, "posted_minor": account.balance + held}
    if held:
        posted = say(account.balance + held, account.currency)
        headline += f" available  [dim]({say(held, account.currency)} more is held, {posted} with it)[/]"
    return Answer(data, headline=headline, hide=frozenset(hide))


async def _balance_as_of(account_id: str, reader: "Reader", as_of: int) -> Answer:
    """An account's balance at an instant: after everything that came before it."""
    from ledger.statement import Period

    found = await reader.statement(account_id, Period(as_of, as_of))
    if found is None:
        return no_account(account_id)
    data = {
        "account_id": account_id,
        "currency": found.account.currency,
        "balance_minor": found.closing_balance,
        "as_of": show_instant(as_of),
    }
    amount = say(found.closing_balance, found.account.currency)
    return Answer(data, headline=f"[bold]{account_id}[/]  {amount}", hide=frozenset({*data} - {"as_of"}))


def account_fields(account: Account) -> dict[str, Any]:
    """The fields of every answer about an account, in the order of the contract."""
    return {
        "account_id": account.id,
        "currency": account.currency,
        "balance_minor": account.balance,
        "debits_posted": account.debits_posted,
        "credits_posted": account.credits_posted,
        "status": str(account.status),
        "version": account.version,
        **asdict(account.limits),
    }


def show_outcome(outcome: "LegOutcome") -> dict[str, Any]:
    """The fields of every answer to a setting or a deposit."""
    return {
        "outcome": str(outcome.kind),
        "reason": outcome.code,
        "detail": outcome.detail,
        "replayed": outcome.replayed,
    }


def said_of(account_id: str, data: dict[str, Any], outcome: "LegOutcome", done: str, before: str) -> Answer:
    """The answer to a setting: what is said when it was `done` now, or had been so `before`."""
    return Answer(data, _exit(outcome), _headline(account_id, outcome, done, before))


def _exit(outcome: "LegOutcome") -> Exit:
    return Exit.OK if outcome.applied else Exit.NO


def _headline(account_id: str, outcome: "LegOutcome", done: str, before: str) -> str:
    said = (before if outcome.replayed else done) if outcome.applied else f"[yellow]{outcome.code}[/]"
    return f"[bold]{account_id}[/]  {said}"


def no_account(account_id: str) -> Answer:
    """The answer about an account that does not exist."""
    reason = "account_not_found"
    data = {"account_id": account_id, "status": None, "reason": reason}
    return Answer(data, Exit.NO, f"[bold]{account_id}[/]  [yellow]{reason}[/]", hide=frozenset(data))
