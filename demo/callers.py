"""Callers: the first half of the story. What callers do wrong, and what goes wrong for them."""

import signal

from demo.scene import Scene, transfer
from demo.unkeyed import PAY, balance
from engine.submitting import workflow_id

USD_100 = ("--currency", "USD", "--deposit", "100.00")


async def open_accounts(scene: Scene) -> None:
    """Alice with a deposit, Bob without."""
    await scene.look("before", alice="", bob="")
    scene.answered(
        await scene.ask("open-account", "alice", *USD_100, "--deposit-id", "D1"), 0, outcome="applied", replayed=False
    )
    scene.answered(await scene.ask("open-account", "bob", "--currency", "USD"), 0, outcome="applied")
    await scene.look("after", alice="100.00", bob="0.00")
    scene.proven = ["the deposit came in; both accounts are open"]


async def move_money(scene: Scene) -> None:
    """A plain transfer."""
    await scene.look("before", alice="100.00", bob="0.00")
    scene.answered(await scene.ask(*transfer("T2", "25.00")), 0, status="settled", replayed=False)
    await scene.look("after", alice="75.00", bob="25.00")
    scene.proven = ["settled: Bob has what Alice gave, and the caller knows it"]


async def lose_the_answer(scene: Scene) -> None:
    """The caller dies before it hears the outcome, and asks again."""
    await scene.look("before", alice="75.00", bob="25.00")
    lost = await scene.ask(*transfer("T3", "25.00"), armed="starter.after_start=kill")
    scene.check("the first caller was killed before it heard anything", lost.killed, True)
    scene.show.event("SIGKILL: the caller is gone, its transfer is not")
    await scene.stage.client.get_workflow_handle(workflow_id("T3")).result()
    await scene.look("answer lost", alice="50.00", bob="50.00")
    scene.answered(await scene.ask(*transfer("T3", "25.00")), 0, status="settled", replayed=True)
    await scene.look("asked again", alice="50.00", bob="50.00")
    scene.proven = ["the same outcome, replayed: the second asking moved nothing"]


async def pay_without_a_key(scene: Scene) -> None:
    """The same accident against a table that remembers no ids."""
    database = str(scene.stage.data / "unkeyed.db")
    pay = ["-m", "demo.unkeyed", database, "--pay", "2500"]
    await scene.stage.hear(await scene.stage.start(["-m", "demo.unkeyed", database, "--open", "10000"]))
    scene.show.balances("before", {"alice": balance(database)})
    statement = PAY.replace("?", "2500").split()
    scene.show.command(statement, "sql>")
    lost = await scene.stage.hear(await scene.stage.start([*pay, "--lose-answer"]))
    scene.check("the client's exit status", lost.exit, -signal.SIGKILL)
    scene.show.balances("answer lost", {"alice": balance(database)})
    scene.show.event("SIGKILL: the client is gone, its commit is not")
    scene.show.command(statement, "sql>")
    retried = await scene.stage.hear(await scene.stage.start(pay))
    left = balance(database)
    scene.show.balances("asked again", {"alice": left})
    scene.check("what the retry was told", retried.data, {"balance_minor": left})
    scene.check("what is left after one payment of 25.00", left, 5000)
    scene.facts["charged_minor"] = 10000 - left
    scene.harm = ["charged twice: a payment of 25.00 has cost 50.00"]


async def reuse_an_id(scene: Scene) -> None:
    """The same id with another amount."""
    await scene.look("before", alice="50.00", bob="50.00")
    detail = "amount_minor: 2500 -> 9900"
    told = await scene.ask(*transfer("T2", "99.00"))
    scene.answered(told, 4, status="key_reused", detail=detail)
    await scene.look("after", alice="50.00", bob="50.00")
    scene.proven = [f"exit 4, key_reused, and what differs: {detail}"]


async def ask_for_too_much(scene: Scene) -> None:
    """A rejection, which is pinned to its id."""
    no = {"status": "rejected", "reason": "insufficient_funds"}
    await scene.look("before", alice="50.00", bob="50.00")
    scene.answered(await scene.ask(*transfer("T6", "60.00")), 3, **no, replayed=False)
    await scene.look("T6", alice="50.00", bob="50.00")
    scene.answered(await scene.ask("open-account", "alice", *USD_100, "--deposit-id", "D6"), 0, outcome="applied")
    await scene.look("deposit", alice="150.00", bob="50.00")
    scene.answered(await scene.ask(*transfer("T6", "60.00")), 3, **no, replayed=True)
    await scene.look("T6 again", alice="150.00", bob="50.00")
    scene.answered(await scene.ask(*transfer("T6b", "60.00")), 0, status="settled", replayed=False)
    await scene.look("T6b", alice="90.00", bob="110.00")
    scene.proven = [
        "T6: rejected (insufficient_funds), exit 3, and the same after the deposit",
        "T6b: settled, because a new try has a new id",
    ]
