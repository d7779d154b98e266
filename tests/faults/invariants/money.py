"""I1, I2 and I3: what the money itself must obey, by adding up the postings again, in the order of their sequence."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from tests.faults.evidence import Evidence, Observation, Rows
from tests.faults.invariants import lookup
from tests.faults.invariants.lookup import TERMINAL, TRANSIT

GUARDED = frozenset({"debits_must_not_exceed_credits", "credits_must_not_exceed_debits"})


def conservation(evidence: Evidence) -> list[str]:
    """I1: in each currency all debits, all credits and all postings are one sum, at every instant that was seen."""
    return [
        *_observed(evidence, "debits, credits and postings", lambda seen: (seen.debits, seen.credits, seen.posted)),
        *_wrong_postings(evidence.rows),
        *_wrong_running_balances(evidence.rows),
        *_wrong_totals(evidence.rows),
        *_wrong_sums(evidence.rows),
    ]


def transit(evidence: Evidence) -> list[str]:
    """I2: in transit is what was debited and has not ended; nothing once all is terminal."""
    return [
        *_observed(
            evidence, "transit and transfers on their way", lambda seen: (seen.transit_balance, seen.in_transit)
        ),
        *_wrong_transit(evidence.rows),
    ]


def guards(evidence: Evidence) -> list[str]:
    """I3: after every posting, both accounts of it are within their guards."""
    accounts, balances, found = lookup.accounts(evidence.rows), Counter[str](), []
    for posting in evidence.rows.postings:
        for side, account_id, amount in lookup.changes(posting):
            guard = accounts.get(account_id, {}).get("guard")
            balances[account_id] += lookup.signed(guard, side, amount)
            if guard in GUARDED and balances[account_id] < 0:
                found.append(
                    f"{account_id} is {balances[account_id]} after posting {posting['sequence']} "
                    f"({posting['operation_key']}), below its guard {guard}"
                )
    return found


SumsOf = Callable[[Observation], tuple[Mapping[str, int], ...]]
"""From an observation, the sums that must be equal in it."""


def _observed(evidence: Evidence, what: str, sums: SumsOf) -> Iterator[str]:
    for seen in evidence.observations:
        read = sums(seen)
        for currency in sorted({currency for each in read for currency in each}):
            amounts = [each.get(currency, 0) for each in read]
            if len(set(amounts)) > 1:
                shown = ", ".join(map(str, amounts))
                yield f"seen at {seen.at:.3f}: {what} of {currency} are {shown}, and must be one sum"


def _wrong_postings(rows: Rows) -> Iterator[str]:
    accounts = lookup.accounts(rows)
    for posting in rows.postings:
        debited, credited = posting["debit_account_id"], posting["credit_account_id"]
        currencies = [accounts.get(id, {}).get("currency") for id in (debited, credited)]
        if debited == credited or posting["amount_minor"] <= 0 or set(currencies) != {posting["currency"]}:
            yield (
                f"posting {posting['sequence']} ({posting['operation_key']}) moves {posting['amount_minor']} "
                f"{posting['currency']} from {debited} ({currencies[0]}) to {credited} ({currencies[1]})"
            )


def _wrong_running_balances(rows: Rows) -> Iterator[str]:
    accounts, balances = lookup.accounts(rows), Counter[str]()
    for posting in rows.postings:
        for side, account_id, amount in lookup.changes(posting):
            balances[account_id] += lookup.signed(accounts.get(account_id, {}).get("guard"), side, amount)
            said = posting[f"{side}_balance_after"]
            if said != balances[account_id]:
                yield (
                    f"posting {posting['sequence']} ({posting['operation_key']}) says that {account_id} has {said} "
                    f"after it; its postings so far make {balances[account_id]}"
                )


def _wrong_totals(rows: Rows) -> Iterator[str]:
    debits, credits = Counter[str](), Counter[str]()
    for posting in rows.postings:
        debits[posting["debit_account_id"]] += posting["amount_minor"]
        credits[posting["credit_account_id"]] += posting["amount_minor"]
    for account in rows.accounts:
        id, kept = account["id"], (account["debits_posted"], account["credits_posted"])
        if kept != (debits[id], credits[id]):
            yield f"{id} keeps {kept} debited and credited; its postings make {(debits[id], credits[id])}"


def _wrong_sums(rows: Rows) -> Iterator[str]:
    debits, credits, posted = Counter[str](), Counter[str](), Counter[str]()
    for account in rows.accounts:
        debits[account["currency"]] += account["debits_posted"]
        credits[account["currency"]] += account["credits_posted"]
    for posting in rows.postings:
        posted[posting["currency"]] += posting["amount_minor"]
    for currency in sorted(debits.keys() | credits.keys() | posted.keys()):
        if not debits[currency] == credits[currency] == posted[currency]:
            yield (
                f"{currency}: the accounts have {debits[currency]} debits and {credits[currency]} credits, "
                f"the postings are {posted[currency]}"
            )


def _wrong_transit(rows: Rows) -> Iterator[str]:
    held, by_status, by_postings = Counter[str](), Counter[str](), Counter[str]()
    postings = lookup.postings(rows)
    for posting in rows.postings:
        for side, account_id, amount in lookup.changes(posting):
            if account_id.startswith(TRANSIT):
                held[account_id.removeprefix(TRANSIT)] += lookup.signed(None, side, amount)
    for transfer in rows.transfers:
        debit, credit, refund = (f"{transfer['id']}/{leg}" in postings for leg in ("debit", "credit", "refund"))
        is_open = debit and not credit and not refund
        by_postings[transfer["currency"]] += transfer["amount_minor"] * is_open
        by_status[transfer["currency"]] += transfer["amount_minor"] * (transfer["status"] == "debited")
    all_ended = all(transfer["status"] in TERMINAL for transfer in rows.transfers)
    for currency in sorted(held.keys() | by_status.keys()):
        if not held[currency] == by_status[currency] == by_postings[currency]:
            yield (
                f"{TRANSIT}{currency} holds {held[currency]}; transfers that are debited make {by_status[currency]}, "
                f"those debited by their postings and not ended {by_postings[currency]}"
            )
        if all_ended and held[currency]:
            yield f"{TRANSIT}{currency} holds {held[currency]}, and every transfer is terminal"
