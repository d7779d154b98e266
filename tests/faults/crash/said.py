"""Said: what a caller was told, and what all scenarios have in common."""

from dataclasses import dataclass

PATIENCE = 60.0
AMOUNT = 25_00


@dataclass(frozen=True)
class Said:
    """What a caller was told: the ending and its reason."""

    status: str
    reason: str | None = None
