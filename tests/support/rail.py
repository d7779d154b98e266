"""A rail that remembers what it saw: a fake of the world outside. Real ones are in `tests/rails/`."""

from typing import TypeVar

from rails.rail import Accepted, Answer, NoAnswer, NotKnown, Payment, Rejected

Said = TypeVar("Said", Answer, Answer | NotKnown)


class RememberingRail:
    """Pays once per key, unless the beneficiary is `closed`; is silent, before or after it has acted, when told to."""

    name = "bank"
    key_window_seconds = 24 * 3600.0
    look_up_misses_nothing = True

    def __init__(self) -> None:
        self.paid: dict[str, Answer] = {}
        self.submits: list[str] = []
        self.look_ups: list[str] = []
        self.silent_before = 0
        """How many of the next submits are lost on their way there."""

        self.retry_after_seconds = 0.1
        self.silent = False
        """Whether answers are lost on their way back, of submits and look-ups."""

    async def submit(self, payment: Payment) -> Answer:
        """See Rail."""
        self.submits.append(payment.key)
        if self.silent_before:
            self.silent_before -= 1
            raise NoAnswer("lost on its way there", retry_after_seconds=0.1)
        closed = payment.beneficiary == "closed"
        answer = Rejected("account_closed") if closed else Accepted(f"pay_{len(self.paid) + 1}")
        return self._say(self.paid.setdefault(payment.key, answer))

    async def look_up(self, payment: Payment) -> Answer | NotKnown:
        """See Rail."""
        self.look_ups.append(payment.key)
        return self._say(self.paid.get(payment.key, NotKnown()))

    def pays(self, key: str) -> None:
        """It has carried out a request of which nobody knew what had become."""
        self.paid[key] = Accepted(f"pay_{len(self.paid) + 1}")

    async def aclose(self) -> None:
        """Nothing to give back."""

    def _say(self, answer: Said) -> Said:
        if self.silent:
            raise NoAnswer("lost on its way back", retry_after_seconds=self.retry_after_seconds)
        return answer
