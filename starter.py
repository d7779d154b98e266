"""Starter: starts transfers, follows them, and asks the books; `starter.py --help` has the commands.

Here is what scripts rely on, whatever the command (`cli/app.py`): one exit status for each end of a process.
"""

import contextlib
import gc
import os
import signal
import sys
import traceback
from types import FrameType

UNKNOWN = 5
"""`cli.answers.Exit.UNKNOWN`, without what that imports."""


def main() -> int:
    """Run the command. Returns the exit status."""
    signal.signal(signal.SIGINT, _interrupted)  # from here on, while imports run, and after the answer
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # told to stop is the same as Ctrl-C
    gc.disable()  # while it imports, it would look for garbage a hundred times; so short a process leaves none
    try:
        from cli.app import command_line

        command_line(_tell)(prog_name="starter.py")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except BrokenPipeError:  # of a help text that nobody reads to its end; answers look after themselves
        return 0
    except Exception:  # a bug of ours says nothing about the money: the same command again
        traceback.print_exc()
        return UNKNOWN
    return 0


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    sys.stderr.write("unknown: interrupted. Run the same command again.\n")
    os._exit(UNKNOWN)


def _tell(as_json: bool) -> int:
    try:
        from demo.story import tell
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] != "demo":
            raise
        sys.stderr.write("starter.py: the demo is not part of this installation\n")
        return 2
    gc.enable()  # this one runs for a while
    return tell(as_json)


if __name__ == "__main__":
    code = main()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)  # the SDK's native threads crash the interpreter at exit now and then (sdk-python issue 300)
