"""Notification: what the outside is told, written in the transaction that made it true. One row of `notifications`."""

from typing import NamedTuple

from ledger.fingerprint import Content, canonical
from ledger.keys import notification_key
from ledger.operation import ENDING, OutcomeKind, reason_of
from ledger.transfer import TransferState


class Notification(NamedTuple):
    """The ending of a transfer, with the state that it has then."""

    key: str
    state: TransferState

    @property
    def body(self) -> str:
        """What is delivered: JSON text."""
        state = self.state
        body = {
            "type": f"transfer.{state.status}",
            "transfer_id": state.transfer.id,
            "status": state.status,
            "iso20022_status": state.status.iso20022,
            "reason": state.reason,
            "detail": state.detail,
            **state.transfer.content(),
        }
        if state.captured_minor is not None:
            body["captured_minor"] = state.captured_minor
        return canonical(body)


class EntryNotification(NamedTuple):
    """The same of the ending of an entry: the key of the entry, what was asked under it, and how that ended.

    Of one that was cancelled, the reason is what its detail begins with.
    """

    entry_key: str
    content: Content
    kind: OutcomeKind
    code: str | None = None
    detail: str | None = None

    @property
    def key(self) -> str:
        """Its own key."""
        return notification_key(self.entry_key, ENDING[self.kind])

    @property
    def body(self) -> str:
        """What is delivered: JSON text."""
        (id, _, leg), status = self.entry_key.partition("/"), ENDING[self.kind]
        body = {
            "type": f"{leg}.{status}",
            "id": id,
            "kind": leg,
            "status": status,
            "iso20022_status": status.iso20022,
            "reason": reason_of(self.kind, self.code, self.detail),
            "detail": self.detail,
        }
        return canonical({**body, **self.content})
