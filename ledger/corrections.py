"""Corrections: what makes the books true again once a rail has contradicted them, and whether that has happened.

    given back, and yet paid    the transfer `<id>.correction` takes the same once more, unless the rail has returned it
    settled, and yet not paid   the reversal `<id>.correction` gives back what no other one has

A correction that was rejected or cancelled is so for ever. Only then is there a next one, `<id>.correction.2`, so that
of all of them at most one moves money, whoever asks and however often.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count, takewhile

from sqlalchemy import func, select, text

from ledger import schema
from ledger.database import reading
from ledger.entries import Reversal
from ledger.fingerprint import PAYOUT
from ledger.keys import CORRECTION, LONGEST_ID, Leg, correction_id, operation_key
from ledger.operation import OutcomeKind
from ledger.reader import Reader
from ledger.transfer import Status, Transfer, TransferState

_SAID = {Status.REFUNDED: Leg.ACCEPTED, Status.SETTLED: Leg.REJECTED}
"""What contradicts a payout that has ended so."""

_NUMBER = f"substr(c.id, length(t.id) + {len(CORRECTION) + 2})"
TAKES_AGAIN = f"""c.terms IS NULL
    AND (c.id = t.id || '{CORRECTION}' OR c.id > t.id || '{CORRECTION}.' AND c.id < t.id || '{CORRECTION}/'
         AND rtrim({_NUMBER}, '0123456789') = '' AND {_NUMBER} <> '1' AND substr({_NUMBER}, 1, 1) > '0')
    AND c.source_account_id = t.source_account_id AND c.destination_account_id = t.destination_account_id
    AND c.amount_minor = t.amount_minor AND c.currency = t.currency"""
"""The SQL of whether the transfer `c` is a correction of the payout `t`: one rule for the command and the audit.

Anybody may pick such an id. So it must take the same, and on no terms: a hold may give most of it back.
"""

_REVERSED = """'{"amount_minor":' || t.amount_minor || ',"currency":"' || t.currency || '","destination":"'
    || t.source_account_id || '","reverses":"' || t.id || '","source":"' || t.destination_account_id || '"}'"""
_RAIL = "substr(t.destination_account_id, 1, length(t.destination_account_id) - length(t.currency) - 1)"
RETURNED = f"""EXISTS (SELECT 1 FROM operations b WHERE b.key > {_RAIL} || ':' AND b.key < {_RAIL} || ';'
    AND b.key LIKE '_%{operation_key("", Leg.REVERSAL)}' AND b.fingerprint_recipe = '{Reversal.recipe}'
    AND b.fingerprint = {_REVERSED} AND b.outcome = '{OutcomeKind.REJECTED}')"""
"""The SQL of whether the rail of the payout `t`, which was given back, has returned all of it: `<rail>:<return id>`.

The books could not take it, for they had not settled `t`. The rail has nothing of ours, and nothing is to be taken."""

_MADE = text(f"SELECT c.id, c.status FROM transfers t JOIN transfers c ON {TAKES_AGAIN} WHERE t.id = :id ORDER BY c.id")
_HAS_RETURNED = text(f"SELECT 1 FROM transfers t WHERE t.id = :id AND {RETURNED}")


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A rail has said, under `key` and with this `word`, that a payout ended otherwise than in the books.

    `correction` is what corrects it, or has if it is `corrected`. It is None if the rail, or other reversals, have
    given all of it back; or, of what is not corrected, if the payout's id leaves no room for one of its correction.
    """

    key: str
    word: str | None
    corrected: bool
    correction: Transfer | Reversal | None


async def read_contradiction(books: Reader, state: TransferState) -> Contradiction | None:
    """What a rail says against a transfer's ending; None if nothing does."""
    leg = _SAID.get(state.status) if state.terms == PAYOUT else None
    if leg is None:
        return None
    key, o = operation_key(state.transfer.id, leg), schema.operations.c
    async with reading(books.engine) as connection:
        said = (await connection.execute(select(o.key, o.detail).where(o.key == key))).first()
    if said is None:
        return None
    take = _taken_again if state.status is Status.REFUNDED else _given_back
    corrected, correction = await take(books, state.transfer)
    return Contradiction(key, said.detail, corrected, correction)


async def _taken_again(books: Reader, payout: Transfer) -> tuple[bool, Transfer | Reversal | None]:
    """Whether the money was taken again, and by which transfer it was or is to be.

    If the rail has returned it, nothing is to be taken, and what was is to be given back.
    """
    async with reading(books.engine) as connection:
        made = [(Status(row.status), row.id) for row in await connection.execute(_MADE, {"id": payout.id})]
        returned = (await connection.execute(_HAS_RETURNED, {"id": payout.id})).first() is not None
    settled = [replace(payout, id=id) for status, id in made if status is Status.SETTLED]
    if returned:
        back = [await _given_back(books, taken) for taken in settled]
        return next((each for each in back if not each[0]), (True, None))
    if settled:
        return True, settled[0]
    for status, id in made:
        if not status.terminal:
            return False, replace(payout, id=id)
    for id in _ids(payout):
        if await books.transfer(id) is None:
            return False, replace(payout, id=id)
    return False, None


async def _given_back(books: Reader, payout: Transfer) -> tuple[bool, Reversal | None]:
    """Whether all of it has come back, and by which of the corrections it did or is to."""
    r = schema.reversals.c
    async with reading(books.engine) as connection:
        back = await connection.scalar(select(func.sum(r.amount_minor)).where(r.transfer_id == payout.id))
    left, done = payout.amount_minor - int(back or 0), None
    for id in _ids(payout):
        ended = [(entry, outcome) for entry, outcome in await books.entries(id) if entry.leg == Leg.REVERSAL]
        if not ended and left:
            return False, Reversal(id, payout.id, payout.destination, payout.source, left, payout.currency)
        if not ended:
            break
        done = next((it for it, how in ended if how.applied and it.content().get("reverses") == payout.id), done)
    return left == 0, done if isinstance(done, Reversal) and not left else None


def _ids(payout: Transfer) -> Iterator[str]:
    """The ids of its corrections, the first one first, as far as there is room for them."""
    return takewhile(lambda id: len(id) <= LONGEST_ID, (correction_id(payout.id, number) for number in count(1)))
