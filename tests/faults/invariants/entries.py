"""What an entry must have moved, made of what was asked alone: nothing here knows the engine's own code."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence

from tests.faults.evidence import Row

Asked = Mapping[str, str | int]
Move = tuple[object, ...]
KINDS = frozenset({"split", "exchange", "reversal", "target"})


def due(kind: str, asked: Asked, posted: Sequence[Row]) -> list[Move]:
    """From whom, to whom, how much, in which currency. A target's amount is read off its running balance."""
    amount, currency = asked.get("amount_minor"), asked["currency"]
    match kind:
        case "split":
            shares = [share.split("/") for share in str(asked["shares"]).split(" ")]
            return [(asked["source"], account, int(minor), currency) for account, minor in shares]
        case "exchange":
            desk, bought = asked["desk"], asked["bought_currency"]
            moves: list[Move] = [
                (asked["source"], f"{desk}:{currency}", amount, currency),
                (f"{desk}:{bought}", asked["destination"], asked["bought_minor"], bought),
            ]
            if asked["spread_minor"]:
                moves.append((f"{desk}:{bought}", f"{desk}-spread:{bought}", asked["spread_minor"], bought))
            return moves
        case "reversal" if "original" in asked:
            return _came_back(asked, posted)
        case "reversal":
            return [(asked["source"], asked["destination"], amount, currency)]
        case _:
            return [_brought(asked, row) for row in posted]


def _came_back(asked: Asked, posted: Sequence[Row]) -> list[Move]:
    """The postings themselves if each goes a way of the original's back, no further, and they bring what was asked."""
    kind, original = str(asked["reverses"]).partition("/")[2], json.loads(str(asked["original"]))
    most: Counter[Move] = Counter()
    for giver, taker, amount, currency in due(kind, original, ()):
        most[taker, giver, currency] += int(str(amount))
    moves = [(r["debit_account_id"], r["credit_account_id"], r["amount_minor"], r["currency"]) for r in posted]
    way_back = Counter[Move]()
    for giver, taker, amount, currency in moves:
        way_back[giver, taker, currency] += amount
    source, currency = original["source"], asked["currency"]
    brought = sum(move[2] for move in moves if (move[1], move[3]) == (source, currency))
    there = brought == asked["amount_minor"] and all(amount <= most[way] for way, amount in way_back.items())
    return list(moves) if there else [(source, "what was asked for is not what came back", brought, currency)]


def _brought(asked: Asked, row: Row) -> Move:
    """The posting itself if it left the account at its target, else one that nobody made."""
    account, other = asked["account"], asked["counterpart"]
    side = "debit" if row["debit_account_id"] == account else "credit"
    between = (account, other) if side == "debit" else (other, account)
    reached = row[f"{side}_balance_after"] == asked["target_minor"]
    return *between, row["amount_minor"] if reached else None, asked["currency"]
