"""I6, I7, I8 and I14: what callers were told, against the books and against what they were told before.

An asking whose caller died before it heard anything belongs into the evidence too, as an unknown (exit status 5):
what nobody wrote down looks like money that moved by itself.
"""

from collections.abc import Iterator, Sequence

from tests.faults.evidence import Answer, Evidence, Row
from tests.faults.invariants import lookup
from tests.faults.invariants.lookup import TERMINAL, is_definite

LONGEST_HEALING_SECONDS = 30.0

EFFECTS = {"settled": (1, 1, 0), "refunded": (1, 0, 1), "rejected": (0, 0, 0), "cancelled": (0, 0, 0)}
"""The postings of debit, credit and refund behind each answer."""

EXITS = {
    0: frozenset({None, "accepted", "awaiting_approval", "scheduled", "debited", "settled"}),
    2: frozenset({None, "malformed"}),
    3: frozenset({None, "rejected", "refunded", "cancelled"}),
    4: frozenset({None, "key_reused"}),
    5: frozenset({None, "unknown"}),
}
"""Which statuses go with which exit status. With any other exit status, a caller was told nothing at all."""

REJECTIONS = frozenset(
    {
        "account_not_found", "account_frozen", "account_closed", "currency_mismatch", "insufficient_funds",
        "total_overflow", "version_conflict", "limit_exceeded",
    }
)  # fmt: skip  # a list of names
"""Every business answer about a transfer, repeated by hand from the contract."""

OF_ENTRIES = frozenset(
    {"quote_expired", "transfer_not_found", "not_settled", "differs_from_original", "exceeds_original"}
)
"""What only a movement of one step is told. They never become a transfer's reason either."""

LATE_LEGS = frozenset(
    {"already_credited", "already_debited", "already_rejected", "already_submitted", "already_entered"}
)
"""What a refund, a cancel or a recall is told when what it would undo was first. They never become a reason."""

REASONS: dict[str, frozenset[str | None]] = {
    "settled": frozenset({None}),
    "rejected": REJECTIONS,
    "refunded": REJECTIONS | {"cancelled", "voided", "expired", "rejected_by_rail", "decided_not_paid"},
    "cancelled": frozenset({"cancelled"}),
}
"""Why a transfer can have ended in each status."""

ACCIDENTS = frozenset(
    {
        "Killed", "Interrupted", "CancelledError", "KeyboardInterrupt",  # the caller's own end
        "Unanswered", "NotReachable", "RPCError", "TimeoutError", "RuntimeError",  # Temporal's silence
        "OutcomeUnknown", "OutOfOrder", "SQLAlchemyError", "DBAPIError", "OperationalError", "InterfaceError",
        "OSError", "FileNotFoundError", "ConnectionError", "ConnectionRefusedError", "ConnectionResetError",
        "BrokenPipeError",
    }
)  # fmt: skip  # a list of names
"""The classes of error that may stand behind an unknown. Any other is a bug that nobody has thought about."""


def acknowledged_is_in_the_books(evidence: Evidence) -> list[str]:
    """I6: what was acknowledged is in the books as it was asked and told; what was only asked has ended, or is absent.

    Look when all is over: a transfer that an operator terminated has to be submitted again first.
    """
    transfers = lookup.transfers(evidence.rows)
    found: list[str] = []
    for id, given in lookup.answers(evidence.answers).items():
        transfer = transfers.get(id)
        found += _unacknowledged(transfer, given)
        if transfer is not None and transfer["status"] not in TERMINAL:
            found.append(f"{id} was asked {len(given)} times and is still {transfer['status']}")
        if transfer is not None and all(answer.exit_status == 2 for answer in given):
            found.append(f"{id} was refused as malformed, and is in the books as {transfer['status']}")
    return found


def _unacknowledged(transfer: Row | None, given: Sequence[Answer]) -> Iterator[str]:
    for answer in given:
        told = f"{answer.transfer_id} was told {answer.status} ({answer.reason}) to {answer.caller}"
        if answer.exit_status not in (0, 3) or (answer.exit_status == 3 and answer.status is None):
            continue
        if transfer is None:
            yield f"{told}, and is not in the books"
        elif lookup.content(transfer) != answer.content:
            yield f"{told} for {answer.content}; in the books it is {lookup.content(transfer)}"
        elif is_definite(answer) and (transfer["status"], transfer["reason"]) != (answer.status, answer.reason):
            yield f"{told}; in the books it is {transfer['status']} ({transfer['reason']})"


def answers_never_change(evidence: Evidence) -> list[str]:
    """I7: all definite answers about one id agree, over all callers and times, and the postings say the same.

    `replayed` is not looked at: the first effect is a replay to whoever lost its answer, and a caller that attaches
    to a workflow which was reset in the middle is told the outcome as if it were new.
    """
    postings, transfers = lookup.postings(evidence.rows), lookup.transfers(evidence.rows)
    found: list[str] = []
    for id, given in lookup.answers(evidence.answers).items():
        definite = [answer for answer in given if is_definite(answer)]
        told = {(answer.content, answer.status, answer.reason) for answer in definite}
        if len(told) > 1:
            found.append(f"{id} was told differently: {'; '.join(sorted(map(str, told)))}")
        for status in sorted({answer.status for answer in definite if answer.status}):
            moved = tuple(len(postings.get(f"{id}/{leg}", ())) for leg in ("debit", "credit", "refund"))
            debits, credits, refunds = EFFECTS[status]
            if id in transfers:
                credits *= lookup.credit_postings(transfers[id])
            if moved != (debits, credits, refunds):
                found.append(f"{id} was told {status}, and has {moved} postings of debit, credit and refund")
        found += _taken_back(id, given)
        found += _reused_by_nobody(id, given)
    return found


def _taken_back(id: str, given: Sequence[Answer]) -> Iterator[str]:
    """Whoever asks after a definite answer was given gets it too, or an unknown."""
    first: Answer | None = None
    for answer in given:
        late = first is not None and answer.asked_at > first.answered_at and answer.content == first.content
        if late and first is not None and (answer.exit_status in (2, 4) or answer.status == "debited"):
            yield (
                f"{id} was told {first.status} to {first.caller}, and later {answer.status or answer.exit_status} "
                f"to {answer.caller} for the same content"
            )
        first = first or (answer if is_definite(answer) else None)


def _reused_by_nobody(id: str, given: Sequence[Answer]) -> Iterator[str]:
    if len({answer.content for answer in given}) == 1:
        yield from (
            f"{id} was told to be used for something else to {answer.caller}, and nobody asked anything else of it"
            for answer in given
            if answer.exit_status == 4
        )


def terminal_in_time(evidence: Evidence) -> list[str]:
    """I8: all accepted transfers are terminal within 30 s after the faults stop."""
    if evidence.healed_at is None:
        return []
    found = [
        f"{transfer['id']} is still {transfer['status']} after the faults stopped"
        for transfer in evidence.rows.transfers
        if transfer["status"] not in TERMINAL
    ]
    if evidence.terminal_at is None:
        return [*found, "the faults stopped, and nobody saw all transfers terminal after that"]
    took = evidence.terminal_at - evidence.healed_at
    if took > LONGEST_HEALING_SECONDS:
        found.append(f"all was terminal {took:.1f} s after the faults stopped, and must be within 30 s")
    return found


def accidents_are_no_answers(evidence: Evidence) -> list[str]:
    """I14: each answer is one of the contract, each accident is of a known class, and neither is told as the other."""
    pinned = [(row["key"], row["code"]) for row in evidence.rows.operations if row["outcome"] == "rejected"]
    ended = [(row["id"], row["reason"]) for row in evidence.rows.transfers if row["status"] == "rejected"]
    wrong = [
        *((key, code) for key, code in pinned if code not in REJECTIONS | LATE_LEGS | OF_ENTRIES),
        *((id, reason) for id, reason in ended if reason not in REJECTIONS),
    ]
    return [
        *(told for answer in evidence.answers for told in _unclassified(answer)),
        *(f"{what} was rejected for {why}, which is no business answer" for what, why in wrong),
    ]


def _unclassified(answer: Answer) -> Iterator[str]:
    told = f"{answer.caller} was told exit {answer.exit_status}, {answer.status} ({answer.reason}), {answer.error}"
    if answer.status not in EXITS.get(answer.exit_status, ()):
        yield f"{told} about {answer.transfer_id}: no answer of the contract"
    elif answer.exit_status == 5 and answer.error not in ACCIDENTS:
        yield f"{told} about {answer.transfer_id}: an accident of no known class"
    elif answer.exit_status != 5 and answer.error is not None:
        yield f"{told} about {answer.transfer_id}: an accident, told as an answer"
    elif is_definite(answer) and answer.reason not in REASONS[str(answer.status)]:
        yield f"{told} about {answer.transfer_id}: not a reason of the contract"
