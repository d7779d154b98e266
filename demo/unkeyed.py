"""Unkeyed: the contrast. A payment as one would write it at first: `balance = balance - 2500`, without a key.

    python -m demo.unkeyed accounts.db --open 10000               the balance, in minor units
    python -m demo.unkeyed accounts.db --pay 2500                 take that much, and say what is left
    python -m demo.unkeyed accounts.db --pay 2500 --lose-answer   ... killed after the commit, before it says so

Nothing is wrong with the transaction. What is missing is memory: a retry looks like another payment.
"""

import argparse
import json
import os
import signal
import sqlite3
import sys

PAY = "UPDATE accounts SET balance = balance - ? WHERE id = 'alice'"
_ACCOUNTS = "CREATE TABLE accounts (id TEXT PRIMARY KEY, balance INTEGER NOT NULL)"


def main() -> int:
    """Do what the arguments say and print the balance as JSON. Not idempotent, which is the point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database")
    parser.add_argument("--open", type=int, metavar="MINOR")
    parser.add_argument("--pay", type=int, metavar="MINOR")
    parser.add_argument("--lose-answer", action="store_true")
    arguments = parser.parse_args()
    connection = sqlite3.connect(arguments.database)
    with connection:  # one transaction, committed at its end
        if arguments.open is not None:
            connection.execute(_ACCOUNTS)
            connection.execute("INSERT INTO accounts VALUES ('alice', ?)", (arguments.open,))
        if arguments.pay is not None:
            connection.execute(PAY, (arguments.pay,))
    if arguments.lose_answer:
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdout.write(json.dumps({"balance_minor": balance(arguments.database)}) + "\n")
    return 0


def balance(database: str) -> int:
    """What Alice has in that table, in minor units."""
    with sqlite3.connect(database) as connection:
        return int(connection.execute("SELECT balance FROM accounts WHERE id = 'alice'").fetchone()[0])


if __name__ == "__main__":
    sys.exit(main())
