"""Answers: the exit codes scripts rely on, and one way for every command to give its answer.

0  settled, or accepted with --no-wait    nothing to do
1  the audit or the sweep found something  look at it
2  malformed request or usage              fix it
3  a business answer: no                   a new id if it is wanted again
4  key_reused: the id was something else   fix the id
5  unknown: not reachable, too slow        run the same command again
"""

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import typer


class Exit(IntEnum):
    """The exit status of every command."""

    OK = 0
    WRONG = 1
    MALFORMED = 2
    NO = 3
    KEY_REUSED = 4
    UNKNOWN = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command says: `data` for programs (--json), `show` for people, and the exit status.

    Without `show`, people see the headline and the fields of `data` that are not in `hide`.
    """

    data: dict[str, Any]
    exit: Exit = Exit.OK
    headline: str | None = None
    show: Callable[[], None] | None = None
    hide: frozenset[str] = field(default_factory=frozenset)


def give(work: Callable[[], Coroutine[Any, Any, Answer]], as_json: bool, subject: dict[str, Any]) -> None:
    """Run a command's work and give its answer, or say which accident kept it from one. Ends the command.

    `subject` names what was asked about; with --json it is part of the answer even when there is none.
    """
    answer = _attempt(work, subject)
    with contextlib.suppress(OSError):  # a full disk or a closed pipe does not change how the transfer ended
        if as_json:
            sys.stdout.write(json.dumps(answer.data, ensure_ascii=True) + "\n")
        elif answer.show is not None:
            answer.show()
        else:
            _show(answer)
        sys.stdout.flush()
    raise typer.Exit(answer.exit)


def _attempt(work: Callable[[], Coroutine[Any, Any, Answer]], subject: dict[str, Any]) -> Answer:
    from ledger.errors import MalformedRequest

    at_once = signal.signal(signal.SIGINT, signal.default_int_handler)  # now there is work that wants to end in order
    try:
        return asyncio.run(work())
    except MalformedRequest as error:
        return _accident(subject, Exit.MALFORMED, "malformed", str(error))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return _accident(subject, Exit.UNKNOWN, "unknown", "interrupted; what was started goes on by itself")
    except Exception as error:
        if type(error).__name__ == "ValidationError":
            from engine.converter import explain

            return _accident(subject, Exit.MALFORMED, "malformed", explain(error))  # type: ignore[arg-type]  # pydantic's, not imported for its start-up cost
        if not _is_silence(error):
            raise
        return _accident(subject, Exit.UNKNOWN, "unknown", str(error))
    finally:
        signal.signal(signal.SIGINT, at_once)


def _is_silence(error: Exception) -> bool:
    """Whether an exception means that somebody did not answer, which is all that scripts may retry on."""
    from sqlalchemy.exc import SQLAlchemyError

    from engine.connection import NotReachable
    from engine.results import KeyReused, Unanswered

    return isinstance(error, NotReachable | Unanswered | KeyReused | SQLAlchemyError | OSError)


def _accident(subject: dict[str, Any], exit: Exit, status: str, reason: str) -> Answer:
    advice = "Run the same command again." if exit is Exit.UNKNOWN else None
    data = subject | {"status": status, "reason": reason}
    headline = f"{status}: {reason}" + (f" {advice}" if advice else "")

    def show() -> None:
        sys.stderr.write(f"{headline}\n")

    return Answer(data, exit, show=show)


def _show(answer: Answer) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=True)  # a link that is broken over two lines is no link
    if answer.headline:
        console.print(answer.headline)
    for name, value in answer.data.items():
        if name not in answer.hide and value is not None:
            console.print(f"  [dim]{name:<16}[/] {escape(str(value))}")
