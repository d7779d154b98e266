"""The inbox of the rails' callbacks: checks who is speaking, and hands what matters to a workflow, once.

    POST /callbacks/bank      signed as Standard Webhooks say; DURABLE_TRANSFERS_BANK_SECRET
    POST /callbacks/stripe    signed as Stripe does; DURABLE_TRANSFERS_STRIPE_SECRET

    204    taken, now or earlier, or of no consequence to us
    400    the signature or the body is bad
    404    no such rail
    503    Temporal did not answer: the rail says it again

A return gives the money back. That a payout was accepted or rejected makes it ask the rail at once; the answer decides.
If it has ended otherwise, what the rail answers is kept, for an operator to correct.
"""

import argparse
import logging
import os
import sys

import uvicorn

from engine.inbox import inbox
from engine.settings import TASK_QUEUE, Settings
from rails.callbacks import readers_from_environment

PORT = 8236


def main() -> int:
    """Serve until told to stop. Returns 0 after an orderly end, 1 when it could not start."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="callbacks.py"
    )
    parser.add_argument("--host", default="127.0.0.1", help="(%(default)s)")
    parser.add_argument("--port", type=int, default=PORT, help="(%(default)s)")
    parser.add_argument("--task-queue", default=TASK_QUEUE, help="the workers' task queue (%(default)s)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s  %(message)s")
    try:
        application = inbox(Settings.from_environment(), readers_from_environment(), arguments.task_queue)
        uvicorn.run(application, host=arguments.host, port=arguments.port, log_level="warning", loop="asyncio")
    except ValueError as error:  # a secret that is none
        sys.stderr.write(f"callbacks: {error}\n")
        return 1
    except SystemExit:  # uvicorn has said why
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the SDK's native threads crash the interpreter at exit now and then (sdk-python issue 300)
