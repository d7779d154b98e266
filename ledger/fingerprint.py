"""Fingerprint: the canonical content of a request, which tells a retry from a reused key.

The content is kept whole, not hashed, so that a reused key can be answered with the fields that differ.
A stored fingerprint is compared under the recipe it was made with: a field added in a later recipe does
not turn old keys into conflicts.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

RECIPES: dict[str, frozenset[str]] = {
    "v1": frozenset({"source", "destination", "account", "amount_minor", "currency"}),
    "settings-v1": frozenset({"account", "status"}),
}
"""Which fields of a content each recipe looks at. Recipes are added, never changed."""

CURRENT = "v1"
SETTINGS = "settings-v1"

Content = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A canonical JSON text and the recipe that made it."""

    text: str
    recipe: str = CURRENT

    @classmethod
    def of(cls, content: Content, recipe: str = CURRENT) -> "Fingerprint":
        """The fingerprint of a content under a recipe: sorted keys, no spaces, ASCII only."""
        fields = RECIPES[recipe]
        return cls(_canonical({name: value for name, value in content.items() if name in fields}), recipe)

    def differences(self, content: Content) -> list[str]:
        """What another content says otherwise, as `amount_minor: 2500 -> 9900`; empty for the same content."""
        if (again := Fingerprint.of(content, self.recipe)).text == self.text:
            return []
        before, after = json.loads(self.text), json.loads(again.text)
        names = sorted(before.keys() | after.keys())
        return [
            f"{name}: {before.get(name)} -> {after.get(name)}" for name in names if before.get(name) != after.get(name)
        ]


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
