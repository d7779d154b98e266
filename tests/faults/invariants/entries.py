"""What an entry must have moved, made of what was asked alone: nothing here knows the engine's own code."""

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
        case "reversal":
            return [(asked["source"], asked["destination"], amount, currency)]
        case _:
            return [_brought(asked, row) for row in posted]


def _brought(asked: Asked, row: Row) -> Move:
    """The posting itself if it left the account at its target, else one that nobody made."""
    account, other = asked["account"], asked["counterpart"]
    side = "debit" if row["debit_account_id"] == account else "credit"
    between = (account, other) if side == "debit" else (other, account)
    reached = row[f"{side}_balance_after"] == asked["target_minor"]
    return *between, row["amount_minor"] if reached else None, asked["currency"]
