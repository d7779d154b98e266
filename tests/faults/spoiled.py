"""The ways in which a run can have gone wrong: for each, the invariant that must name it, and how it is made.

Each spoils a copy of the evidence of the run that `test_invariants.py` plays: S settled, R rejected, F refunded,
`cancelled` cancelled, E settled out of what S brought, and eight that ran Bob's account dry.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.faults.evidence import Delivery, Evidence, Row


@dataclass(frozen=True)
class Spoiled:
    """One way of being wrong: the invariant that breaks, a sentence, and how it is made."""

    invariant: str
    sentence: str
    spoil: Callable[[Evidence], None]


def _row(rows: Sequence[Row], name: str, column: str = "id") -> Row:
    """The row about something; ids and keys of a run begin with a prefix of its own."""
    return next(row for row in rows if row[column] == name or str(row[column]).endswith(f".{name}"))


def _set(table: str, name: str, column: str = "id", **values: Any) -> Callable[[Evidence], None]:
    def spoil(evidence: Evidence) -> None:
        _row(getattr(evidence.rows, table), name, column).update(values)

    return spoil


def _add(table: str, name: str, column: str, **amounts: int) -> Callable[[Evidence], None]:
    def spoil(evidence: Evidence) -> None:
        row = _row(getattr(evidence.rows, table), name, column)
        row.update({column: row[column] + amount for column, amount in amounts.items()})

    return spoil


def _remove(table: str, name: str, column: str = "id") -> Callable[[Evidence], None]:
    def spoil(evidence: Evidence) -> None:
        rows = getattr(evidence.rows, table)
        rows.remove(_row(rows, name, column))

    return spoil


def _both(*spoils: Callable[[Evidence], None]) -> Callable[[Evidence], None]:
    def spoil(evidence: Evidence) -> None:
        for each in spoils:
            each(evidence)

    return spoil


def _post_again(like: str, key: str | None = None, position: int = 1) -> Callable[[Evidence], None]:
    """A posting is there again, with totals and running balances that fit: only its key gives it away."""

    def spoil(evidence: Evidence) -> None:
        rows: Any = evidence.rows
        posting = dict(_row(rows.postings, like, "operation_key"))
        posting |= {"position": position, "sequence": rows.postings[-1]["sequence"] + 1}
        if key is not None:
            owner = posting["operation_key"].rpartition(".")[0]
            posting["operation_key"] = f"{owner}.{key}"
        for side in ("debit", "credit"):
            account = _row(rows.accounts, posting[f"{side}_account_id"])
            account[f"{side}s_posted"] += posting["amount_minor"]
            posting[f"{side}_balance_after"] = account["credits_posted"] - account["debits_posted"]
        rows.postings.append(posting)

    return spoil


def _answer(name: str, caller: str = "", late: bool = False, **values: Any) -> Callable[[Evidence], None]:
    """One more answer about a transfer, like the first one that says something; `late`: asked after all others."""

    def spoil(evidence: Evidence) -> None:
        like = next(a for a in evidence.answers if a.transfer_id.endswith(f".{name}") and a.exit_status in (0, 3))
        end = max(answer.answered_at for answer in evidence.answers)
        times = {"asked_at": end + 1, "answered_at": end + 2} if late else {}
        evidence.answers = [*evidence.answers, replace(like, caller=caller or "spoiler", **(times | values))]

    return spoil


def _observed(name: str, amount: int) -> Callable[[Evidence], None]:
    def spoil(evidence: Evidence) -> None:
        getattr(evidence.observations[1], name)["USD"] += amount

    return spoil


def _executed(name: str, **values: Any) -> Callable[[Evidence], None]:
    def spoil(evidence: Evidence) -> None:
        evidence.executions = [
            replace(run, **values) if run.workflow_id.endswith(f".{name}") else run for run in evidence.executions
        ]

    return spoil


def _result(name: str, **values: Any) -> Callable[[Evidence], None]:
    def spoil(evidence: Evidence) -> None:
        next(run for run in evidence.executions if run.workflow_id.endswith(f".{name}")).result.update(values)

    return spoil


def _no_execution(evidence: Evidence) -> None:
    evidence.executions = [run for run in evidence.executions if not run.workflow_id.endswith(".S")]


def _no_money(evidence: Evidence) -> None:
    """Bob's account is never dry: somebody paid in at the beginning what he would have needed."""
    rows: Any = evidence.rows
    posting = dict(rows.postings[0]) | {"sequence": 0, "operation_key": "gift/deposit", "credit_account_id": "bob"}
    rows.postings.insert(0, posting)


def _other_balance(evidence: Evidence) -> None:
    """A rejection claims a balance that the account has never had."""
    row = next(row for row in evidence.rows.operations if row["code"] == "insufficient_funds" and ".N" in row["key"])
    row["detail"] = "account bob has 0.37 USD, 4.00 USD needed"


def _later_posting_first(evidence: Evidence) -> None:
    """S was told before E was asked, and E's postings come before those of S in the sequence."""
    rows: Any = evidence.rows
    early = [row for row in rows.postings if row["operation_key"].endswith((".S/debit", ".S/credit"))]
    late = [row for row in rows.postings if row["operation_key"].endswith((".E/debit", ".E/credit"))]
    for one, other in zip(early, late, strict=True):
        one["sequence"], other["sequence"] = other["sequence"], one["sequence"]
    rows.postings.sort(key=lambda row: row["sequence"])


def _deliver(key: str, body: str | None = None, at: float | None = None) -> Callable[[Evidence], None]:
    """One more delivery under a key of the transfer S."""

    def spoil(evidence: Evidence) -> None:
        like = next(delivery for delivery in evidence.deliveries if ".S/" in delivery.key)
        changed = Delivery(
            like.key.rpartition(".")[0] + "." + key, body or like.body, at if at is not None else like.at
        )
        evidence.deliveries = [*evidence.deliveries, changed]

    return spoil


def _never_delivered(evidence: Evidence) -> None:
    evidence.deliveries = [delivery for delivery in evidence.deliveries if ".S/" not in delivery.key]


def _event_gone(evidence: Evidence) -> None:
    events: Any = evidence.rows.transfer_events
    events.remove(next(row for row in events if row["transfer_id"].endswith(".S") and row["sequence"] == 2))


def _refund_settled(evidence: Evidence) -> None:
    """S is settled and was refunded as well: its credit came to life after the refund."""
    rows: Any = evidence.rows
    refund = dict(_row(rows.operations, "S/credit", "key"))
    refund["key"] = refund["key"].replace("/credit", "/refund")
    rows.operations.append(refund)
    _post_again("S/credit", "S/refund", position=0)(evidence)
    rows.postings[-1]["credit_account_id"] = "alice"


SPOILED = [
    Spoiled("I1", "a debit was lost from the postings", _remove("postings", "S/debit", "operation_key")),
    Spoiled("I1", "a total is one unit off", _add("accounts", "bob", "id", credits_posted=1)),
    Spoiled("I1", "a running balance is false", _add("postings", "S/credit", "operation_key", credit_balance_after=1)),
    Spoiled("I1", "a posting moves one unit more", _add("postings", "S/credit", "operation_key", amount_minor=1)),
    Spoiled("I1", "a posting is in another currency", _set("postings", "S/credit", "operation_key", currency="EUR")),
    Spoiled("I1", "an observer saw a debit without its credit", _observed("debits", 1)),
    Spoiled("I1", "an observer saw totals without their posting", _observed("posted", -1)),
    Spoiled("I2", "a credit is gone and its money still in transit", _remove("postings", "S/credit", "operation_key")),
    Spoiled("I2", "a settled transfer is said to be debited", _set("transfers", "S", status="debited")),
    Spoiled("I2", "an observer saw money in transit that nobody sent", _observed("transit_balance", 25_00)),
    Spoiled("I2", "an observer saw a debited transfer without its money", _observed("in_transit", 25_00)),
    Spoiled("I3", "an account was debited more than it had", _set("postings", "S/debit", "operation_key",
                                                                  amount_minor=100_01)),
    Spoiled("I3", "transit gave what it had not", _post_again("S/credit")),
    Spoiled("I3", "a deposit is gone from the beginning", _remove("postings", "first-alice/deposit", "operation_key")),
    Spoiled("I4", "a posting is there twice under its own key", _post_again("S/credit")),
    Spoiled("I4", "a posting is there at the same position twice", _post_again("S/credit", position=0)),
    Spoiled("I4", "a rejected key has moved money", _post_again("S/debit", "R/debit", position=0)),
    Spoiled("I4", "a fenced key has moved money", _post_again("S/credit", "F/credit", position=0)),
    Spoiled("I4", "a posting has no operation", _remove("operations", "S/credit", "key")),
    Spoiled("I4", "an applied key has moved nothing", _remove("postings", "S/credit", "operation_key")),
    Spoiled("I4", "a key moved what nobody asked under it", _set("postings", "S/credit", "operation_key",
                                                                 amount_minor=99_00)),
    Spoiled("I4", "money went to somebody else", _set("postings", "E/credit", "operation_key",
                                                      credit_account_id="alice")),
    Spoiled("I4", "a refund went to somebody else", _set("postings", "F/refund", "operation_key",
                                                         credit_account_id="bob")),
    Spoiled("I4", "a cancel left the debit without its fence", _remove("operations", "cancelled/debit", "key")),
    Spoiled("I4", "a fence was put at another moment", _add("operations", "cancelled/debit", "key", recorded_at=1)),
    Spoiled("I4", "a fence was put by nobody", _set("operations", "cancelled/debit", "key", code="x/cancel")),
    Spoiled("I5", "a settled transfer was refunded too", _refund_settled),
    Spoiled("I5", "a rejected transfer is said to be settled", _set("transfers", "R", status="settled")),
    Spoiled("I5", "a refund never happened", _both(_remove("operations", "F/refund", "key"),
                                                   _remove("postings", "F/refund", "operation_key"))),
    Spoiled("I5", "an event in the middle is gone", _event_gone),
    Spoiled("I5", "an event was brought by another transfer", _set("transfer_events", "S/credit", "operation_key",
                                                                   operation_key="N1/credit")),
    Spoiled("I5", "a refunded transfer was settled first", _set("transfer_events", "F/refund", "operation_key",
                                                                from_status="settled")),
    Spoiled("I5", "a status has another reason than its event", _set("transfers", "F", reason="bad luck")),
    Spoiled("I6", "an acknowledged transfer is in no book", _remove("transfers", "S")),
    Spoiled("I6", "an acknowledged transfer is still on its way", _set("transfers", "S", status="debited")),
    Spoiled("I6", "the books have another amount than was acknowledged", _set("transfers", "S", amount_minor=1)),
    Spoiled("I6", "an answer says another status than the books", _answer("S", exit_status=3, status="refunded",
                                                                          reason="cancelled")),
    Spoiled("I7", "two callers were told two endings", _answer("S", exit_status=3, status="rejected",
                                                               reason="insufficient_funds")),
    Spoiled("I7", "a rejected key applied later", _both(_post_again("S/debit", "R/debit", position=0))),
    Spoiled("I7", "a reason changed", _answer("R", reason="account_closed")),
    Spoiled("I7", "another content was acknowledged too", _answer("S", content=("alice", "bob", 99_00, "USD"))),
    Spoiled("I7", "an owner was told later that its id is not its own", _answer("S", late=True, exit_status=4,
                                                                                status="key_reused")),
    Spoiled("I7", "an id was told to be reused and nobody else had asked", _answer("E", exit_status=4,
                                                                                   status="key_reused")),
    Spoiled("I7", "a settled transfer was on its way again later", _answer("S", late=True, status="debited")),
    Spoiled("I8", "it took 31 seconds", lambda evidence: setattr(evidence, "terminal_at",
                                                                 (evidence.healed_at or 0) + 31)),
    Spoiled("I8", "nobody saw it terminal", lambda evidence: setattr(evidence, "terminal_at", None)),
    Spoiled("I8", "one transfer never ended", _set("transfers", "N3", status="debited")),
    Spoiled("I9", "a transfer comes before one that was told before it was asked", _later_posting_first),
    Spoiled("I9", "a rejection has no moment in which the account was dry", _no_money),
    Spoiled("I9", "a rejection saw a balance that never was", _other_balance),
    Spoiled("I10", "a notification was delivered that is not in the outbox", _deliver("X/notify/settled")),
    Spoiled("I10", "a settled transfer was told to be refunded too", _deliver("S/notify/refunded")),
    Spoiled("I10", "a repeat had another body", _deliver("S/notify/settled", body="{}")),
    Spoiled("I10", "a notification came before anybody had asked", _deliver("S/notify/settled", at=0.0)),
    Spoiled("I10", "a delivered notification never arrived", _never_delivered),
    Spoiled("I10", "an ending has no notification", _remove("notifications", "S/notify/settled", "key")),
    Spoiled("I10", "a transfer on its way was notified", _set("transfers", "S", status="debited")),
    Spoiled("I10", "a notification says another amount", _set("notifications", "S/notify/settled", "key", body="{}")),
    Spoiled("I11", "Temporal says settled and the books say nothing", _remove("transfers", "S")),
    Spoiled("I11", "Temporal says refunded and the books settled", _result("S", status="refunded")),
    Spoiled("I11", "Temporal gives another reason", _result("R", reason="account_closed")),
    Spoiled("I11", "Temporal has nothing of a settled transfer", _no_execution),
    Spoiled("I11", "a transfer failed for a bug", _executed("S", status="FAILED", failure_type="Bug", result=None)),
    Spoiled("I11", "a transfer was terminated and nobody knows", _executed("S", status="TERMINATED", result=None)),
    Spoiled("I14", "a timeout was told as a rejection", _answer("R", reason="TimeoutError")),
    Spoiled("I14", "an accident was told as an answer", _answer("S", error="OperationalError")),
    Spoiled("I14", "an unknown has no class", _answer("S", exit_status=5, status="unknown", reason="?")),
    Spoiled("I14", "an unknown comes of a bug", _answer("S", exit_status=5, status=None, error="KeyError")),
    Spoiled("I14", "an exit status is none of the contract", _answer("S", exit_status=1)),
    Spoiled("I14", "a lock was recorded as a rejection", _set("operations", "R/debit", "key", code="database_busy")),
    Spoiled("I14", "a rejection has a reason of nobody's", _set("transfers", "R", reason="serialization_failure")),
]  # fmt: skip  # a table: the invariant that must name it, what is wrong, and how it is made
