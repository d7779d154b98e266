"""Pairs: what two actors do at the same time, and everything that may come of it, in words and balances.

Every result is that of one of the two after the other. Alice has 30.00 and Bob 30.00, so one transfer of 25.00 from
Alice leaves no room for another.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ledger.account import AccountStatus
from ledger.operation import OpenAccount, Request, SetAccountStatus
from ledger.operations import cancel, credit, debit, deposit, refund
from ledger.transfer import Transfer

Result = tuple[tuple[str, ...], tuple[str, ...], tuple[int, int]]
"""What the first was told, what the second was told, and what Alice and Bob have in the end."""

BEFORE, DEBITED, SETTLED = (30_00, 30_00), (5_00, 30_00), (5_00, 55_00)


class World:
    """The accounts and transfers of one schedule: no other schedule touches them."""

    def __init__(self, name: str) -> None:
        self.alice, self.bob = f"alice-{name}", f"bob-{name}"
        self.transfer = Transfer(f"T-{name}", self.alice, self.bob, 25_00, "USD")
        self.another = Transfer(f"U-{name}", self.alice, self.bob, 25_00, "USD")
        self.back = Transfer(f"V-{name}", self.bob, self.alice, 25_00, "USD")
        self.notification = f"T-{name}/notify/settled"

    def opening(self) -> list[Request]:
        """What brings it about."""
        accounts = (self.alice, self.bob)
        opened: list[Request] = [OpenAccount(account_id, "USD") for account_id in accounts]
        return [*opened, *(deposit(f"first-{account_id}", account_id, 30_00, "USD") for account_id in accounts)]


Requests = Callable[[World], Sequence[Request]]


@dataclass(frozen=True)
class Pair:
    """Two actors. `fine`: on PostgreSQL they also stop between the statements of a transaction."""

    name: str
    first: Requests
    second: Requests
    allowed: frozenset[Result]
    before: Requests = lambda _: ()
    fine: bool = True
    notifies: bool = False
    """They deliver the transfer's notification; what they ask is asked by the activity."""


def _either(*results: Result) -> frozenset[Result]:
    return frozenset(results)


def _same_twice(then: tuple[int, int]) -> frozenset[Result]:
    return _either((("applied",), ("again",), then), (("again",), ("applied",), then))


def _debit(world: World) -> Sequence[Request]:
    return (debit(world.transfer),)


def _credit(world: World) -> Sequence[Request]:
    return (credit(world.transfer),)


def _refund(world: World) -> Sequence[Request]:
    return (refund(world.transfer, "asked"),)


def _cancel(world: World) -> Sequence[Request]:
    return (cancel(world.transfer, "asked"),)


def _whole(world: World) -> Sequence[Request]:
    return debit(world.transfer), credit(world.transfer)


def _back(world: World) -> Sequence[Request]:
    return debit(world.back), credit(world.back)


def _another(world: World) -> Sequence[Request]:
    return (debit(world.another),)


def _freeze(world: World) -> Sequence[Request]:
    return (SetAccountStatus(world.bob, AccountStatus.FROZEN),)


def _nothing(_: World) -> Sequence[Request]:
    return ()


_WHOLE: Mapping[str, frozenset[Result]] = {
    "start/start": frozenset(
        ((debited, credited), (_other(debited), _other(credited)), SETTLED)
        for _other in [{"applied": "again", "again": "applied"}.__getitem__]
        for debited in ("applied", "again")
        for credited in ("applied", "again")
    )
}

PAIRS = (
    Pair(
        "debit/debit", _debit, _another,
        _either(
            (("applied",), ("rejected insufficient_funds",), DEBITED),
            (("rejected insufficient_funds",), ("applied",), DEBITED),
        ),
    ),
    Pair("same debit/same debit", _debit, _debit, _same_twice(DEBITED)),
    Pair("credit/credit", _credit, _credit, _same_twice(SETTLED), before=_debit),
    Pair(
        "late credit/refund", _credit, _refund,
        _either(
            (("applied",), ("rejected already_credited",), SETTLED),
            (("fenced again",), ("applied",), BEFORE),
        ),
        before=_debit,
    ),
    Pair(
        "A to B/B to A", _whole, _back,
        _either((("applied", "applied"), ("applied", "applied"), BEFORE)),
        fine=False,
    ),
    Pair("start/start", _whole, _whole, _WHOLE["start/start"], fine=False),
    Pair("refund/refund", _refund, _refund, _same_twice(BEFORE), before=_debit),
    Pair(
        "notify/notify", _nothing, _nothing,
        _either(*((((one,), (other,), SETTLED)) for one, other in [
            ("delivered", "delivered"), ("delivered", "was delivered"), ("was delivered", "delivered"),
        ])),
        before=_whole, fine=False, notifies=True,
    ),
    Pair(
        "cancel/debit", _cancel, _debit,
        _either(
            (("applied",), ("fenced again",), BEFORE),
            (("rejected already_debited",), ("applied",), DEBITED),
        ),
    ),
    Pair(
        "freeze/credit", _freeze, _credit,
        _either((("applied",), ("rejected account_frozen",), DEBITED), (("applied",), ("applied",), SETTLED)),
        before=_debit,
    ),
)  # fmt: skip  # a pair is read as one thing
