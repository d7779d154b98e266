"""Entry: what all kinds have in common. A kind adds its fields, its checks, and what it moves."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from ledger.fingerprint import Content
from ledger.keys import Leg, entry_cancel_key, operation_key
from ledger.operation import Operation, Posting
from ledger.operations import plain


@dataclass(frozen=True, slots=True)
class Entry(ABC):
    """One entry, once per `id`, the caller's business id. Its other fields are what a retry must repeat exactly."""

    leg: ClassVar[Leg]
    recipe: ClassVar[str]

    id: str

    @property
    def key(self) -> str:
        """The key of its one operation: `<id>/<kind>`."""
        return operation_key(self.id, self.leg)

    def content(self) -> Content:
        """What a retry must repeat exactly, as a fingerprint is taken of it."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "id"}

    @classmethod
    def of(cls, id: str, content: Mapping[str, Any]) -> Self:
        """The entry of an id and a content, as they stand in the books. Raises MalformedRequest, or TypeError."""
        return cls(id, **content)

    @abstractmethod
    def operation(self) -> Operation:
        """The one operation that it is."""

    def is_moved_by(self, postings: Sequence[Posting]) -> bool:
        """Whether these are the postings that it has when it has happened, as far as they alone can tell."""
        return Counter(postings) == Counter(self.operation().postings)

    def cancellation(self, reason: str, detail: str | None = None) -> Operation:
        """What fences it, unless it has ended: then `already_entered` or `already_rejected`. Nothing moves."""
        return Operation(
            key=entry_cancel_key(self.key),
            content=self.content(),
            recipe=self.recipe,
            fences=self.key,
            reason=reason,
            detail=plain(detail),
            tells=True,
        )
