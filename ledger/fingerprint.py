"""Fingerprint: the canonical content of a request, which tells a retry from a reused key.

The content is kept whole, not hashed, so that a reused key can be answered with the fields that differ.
A stored fingerprint is compared under the recipe it was made with: a field added in a later recipe does
not turn old keys into conflicts.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as quoted

TERMS: dict[str, frozenset[str]] = {
    "hold-v1": frozenset({"expires_at"}),
    "payout-v1": frozenset({"rail", "beneficiary"}),
}
"""What a debit can be asked on beside who, to whom and how much, by recipe. The recipe tells what kind of transfer it
is, and so which workflow it belongs to. A new kind is a new line."""

APPROVALS: dict[str, str] = {
    "v1": "approval-v1",
    **{recipe: f"approval-of-{recipe}" for recipe in (*TERMS, "split-v1", "exchange-v1")},
}
"""What people can approve of, by the recipe of the operation that takes the money, and the recipe of their approval."""

_TRANSFER = frozenset({"source", "destination", "amount_minor", "currency"})

RECIPES: dict[str, frozenset[str]] = {
    "v1": _TRANSFER | {"account"},
    "capture-v1": _TRANSFER | {"captured_minor"},
    "scheduled-v1": _TRANSFER | {"due_at"},
    "settings-v1": frozenset({"account", "status"}),
    "approval-v1": _TRANSFER | {"approver"},
    "limits-v1": frozenset(
        {"account", "currency", "per_transfer_minor", "per_day_minor", "approval_above_minor", "approvals"}
    ),
    "split-v1": frozenset({"source", "amount_minor", "currency", "shares"}),
    "exchange-v1": frozenset(
        {"source", "destination", "amount_minor", "currency", "bought_minor", "bought_currency"}
        | {"desk", "spread_minor", "quote", "rate", "expires_at"}
    ),
    "reversal-v1": frozenset({"reverses", "source", "destination", "amount_minor", "currency"}),
    "entry-reversal-v1": frozenset({"reverses", "amount_minor", "currency", "original"}),
    "target-v1": frozenset({"account", "target_minor", "counterpart", "currency"}),
    **{recipe: _TRANSFER | terms for recipe, terms in TERMS.items()},
    "batch-v1": frozenset({"sha256", "lines"}),
    "decision-v1": _TRANSFER | {"decided", "by", "evidence"},
}
RECIPES |= {to: RECIPES[of] | {"approver"} for of, to in APPROVALS.items() if to not in RECIPES}
"""Which fields of a content each recipe looks at. Recipes are added, never changed."""

CURRENT = "v1"
SCHEDULED = "scheduled-v1"
"""Of a transfer that is due later, as Temporal remembers it: the books know what moved, and not since when."""

SETTINGS = "settings-v1"
CAPTURE = "capture-v1"
HOLD = "hold-v1"
LIMITS = "limits-v1"
PAYOUT = "payout-v1"

DECISION = "decision-v1"
"""Of what a person decides about a payout: what, who, and on which evidence."""

BATCH = "batch-v1"
"""Of a batch: the file that belongs to its id, for ever."""

Content = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A canonical JSON text and the recipe that made it."""

    text: str
    recipe: str = CURRENT

    @classmethod
    def of(cls, content: Content, recipe: str = CURRENT) -> "Fingerprint":
        """The fingerprint of a content under a recipe."""
        fields = RECIPES[recipe]
        return cls(canonical({name: value for name, value in content.items() if name in fields}), recipe)

    def differences(self, content: Content, recipe: str | None = None) -> list[str]:
        """What another content says otherwise, as `amount_minor: 2500 -> 9900`; empty for the same content.

        With a recipe, also whether it is of another kind: a hold is no transfer, even if what both have is the same.
        """
        others = (
            []
            if recipe is None or kind_of(recipe) == kind_of(self.recipe)
            else [f"kind: {kind_of(self.recipe)} -> {kind_of(recipe)}"]
        )
        if (again := Fingerprint.of(content, self.recipe)).text == self.text:
            return others
        before, after = json.loads(self.text), json.loads(again.text)
        names = sorted(before.keys() | after.keys())
        return others + [
            f"{name}: {before.get(name)} -> {after.get(name)}" for name in names if before.get(name) != after.get(name)
        ]


def kind_of(recipe: str) -> str:
    """What a recipe is the content of: `hold`, `capture`; `transfer` for all whose terms the books do not look at.

    Of an approval, what was approved of.
    """
    recipe = recipe.removeprefix("approval-of-")
    return recipe.rpartition("-")[0] if recipe in TERMS or recipe == CAPTURE else "transfer"


def canonical(fields: Mapping[str, str | int | None]) -> str:
    """JSON with sorted names, without spaces, ASCII only: the same text for the same fields, for ever."""
    return f"{{{','.join([_canonical_field(name, fields[name]) for name in sorted(fields)])}}}"


def _canonical_field(name: str, value: str | int | None) -> str:
    return f'"{name}":{quoted(value) if isinstance(value, str) else "null" if value is None else value}'
