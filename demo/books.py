"""Books: the end of the story. Asked often, moved once, and every total recomputed from the postings."""

from typing import Any

from demo.scene import Scene
from ledger.money import format_amount

DEPOSITS = 2
ENDINGS = {"settled": 6, "refunded": 2, "rejected": 1}
"""What the story's transfers come to. A settled one is two postings, and so is a refunded one."""

POSTINGS = DEPOSITS + 2 * (ENDINGS["settled"] + ENDINGS["refunded"])


async def audit(scene: Scene) -> None:
    """The project's own audit, and the story's own count, which must agree."""
    audited = await scene.ask("audit")
    scene.answered(audited, 0, ok=True, violations=[])
    books = audited.data
    scene.check("transfers", {status: count for status, count in books["transfers"].items() if count}, ENDINGS)
    scene.check("postings", [currency["postings"] for currency in books["currencies"]], [POSTINGS])
    scene.check("money in transit", [transit["balance_minor"] for transit in books["transit"]], [0])
    scene.check("fenced operations", books["operations"]["fenced"], 1)
    held = await scene.stage.balances("alice", "bob", "carol")
    scene.check("all the money there is", sum(amount or 0 for amount in held.values()), DEPOSITS * 100_00)
    scene.facts |= {
        "asked": scene.stage.asked,
        "replayed": scene.stage.replayed,
        "postings": POSTINGS,
        "transfers": ENDINGS,
        "held": dict(held),
    }
    scene.show.figures(_figures(scene.facts))
    scene.proven = ["the audit is clean: what was asked often has happened once"]


def _figures(facts: dict[str, Any]) -> list[tuple[str, str]]:
    endings = ", ".join(f"{count} {status}" for status, count in facts["transfers"].items())
    held = " + ".join(f"{id} {format_amount(amount, 'USD')}" for id, amount in facts["held"].items())
    return [
        ("asked", f"{facts['asked']} times for money to move"),
        ("replayed", f"{facts['replayed']} answers from the record, moving nothing"),
        ("moved", f"{facts['postings']} postings, each of them once"),
        ("transfers", endings),
        ("held", f"{held} = {format_amount(DEPOSITS * 100_00, 'USD')} USD"),
    ]
