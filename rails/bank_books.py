"""What the simulated bank remembers, in a SQLite file: payments, keys for a while, returns, and what it has yet to say.

A bank that was killed and started again knows everything that it had answered, and may know more.
"""

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

_TABLES = """
CREATE TABLE IF NOT EXISTS payments (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL, amount_minor INTEGER NOT NULL, currency TEXT NOT NULL,
    beneficiary TEXT NOT NULL, status TEXT NOT NULL, code TEXT, detail TEXT, paid_at REAL NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS payments_by_key ON payments (key);
CREATE TABLE IF NOT EXISTS keys (
    key TEXT PRIMARY KEY, asked TEXT NOT NULL, number INTEGER NOT NULL, first_seen_at REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS returns (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, due_at REAL NOT NULL, said INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY, body TEXT NOT NULL, delivered INTEGER NOT NULL DEFAULT 0) STRICT;
"""


class OtherContent(Exception):
    """The key was used for another payment."""


class BankBooks:
    """The bank's own books. `key_window_seconds`: how long a key is remembered; a payment is for ever."""

    def __init__(self, path: Path, key_window_seconds: float) -> None:
        self._window = key_window_seconds
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.row_factory = sqlite3.Row
        self._database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + _TABLES)

    def pay(self, key: str, asked: dict[str, Any], refusal: tuple[str, str] | None) -> dict[str, Any]:
        """Carry out a payment, or find the one that this key has made. Raises OtherContent."""
        text, now = json.dumps(asked, sort_keys=True), time.time()
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.execute("DELETE FROM keys WHERE first_seen_at < ?", (now - self._window,))
            known = self._database.execute("SELECT * FROM keys WHERE key = ?", (key,)).fetchone()
            if known is not None:
                if known["asked"] != text:
                    raise OtherContent(key)
                return self._payment("number = ?", known["number"]) or {}
            code, detail = refusal or (None, None)
            number = self._database.execute(
                "INSERT INTO payments (key, amount_minor, currency, beneficiary, status, code, detail, paid_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    key,
                    asked["amount_minor"],
                    asked["currency"],
                    asked["beneficiary"],
                    "rejected" if refusal else "accepted",
                    code,
                    detail,
                    now,
                ),
            ).lastrowid
            self._database.execute("INSERT INTO keys VALUES (?, ?, ?, ?)", (key, text, number, now))
            payment = self._payment("number = ?", number) or {}
            self._say(f"payment.{payment['status']}", payment)
            return payment

    def find(self, key: str) -> dict[str, Any] | None:
        """The payment of a key, however old; None if there is none."""
        return self._payment("key = ? ORDER BY number", key)

    def payments(self) -> list[dict[str, Any]]:
        """Every payment, in order: a key that is there twice has paid twice."""
        return [_said(row) for row in self._database.execute("SELECT * FROM payments ORDER BY number")]

    def plan_return(self, key: str, in_seconds: float) -> bool:
        """Give an accepted payment back, once, after a while. False if there is no such payment."""
        payment = self.find(key)
        if payment is None or payment["status"] != "accepted":
            return False
        row = (key, time.time() + in_seconds)
        self._database.execute("INSERT OR IGNORE INTO returns (key, due_at, said) VALUES (?, ?, 0)", row)
        return True

    def return_what_is_due(self) -> None:
        """Say of each return whose time has come that the money came back."""
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            due = "SELECT * FROM returns WHERE said = 0 AND due_at <= ?"
            for row in self._database.execute(due, (time.time(),)).fetchall():
                payment = self.find(row["key"]) or {}
                self._say("payment.returned", payment | {"return_id": f"ret_{row['number']}"})
                self._database.execute("UPDATE returns SET said = 1 WHERE number = ?", (row["number"],))

    def unsaid(self) -> list[tuple[int, str]]:
        """The events that nobody has taken yet: number and body."""
        rows = self._database.execute("SELECT number, body FROM events WHERE delivered = 0 ORDER BY number")
        return [(row["number"], row["body"]) for row in rows]

    def said(self, number: int) -> None:
        """Somebody has taken an event."""
        self._database.execute("UPDATE events SET delivered = 1 WHERE number = ?", (number,))

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _say(self, type: str, payment: dict[str, Any]) -> None:
        body = json.dumps({"type": type, "happened_at": time.time(), **payment})
        self._database.execute("INSERT INTO events (body) VALUES (?)", (body,))

    def _payment(self, where: str, value: Any) -> dict[str, Any] | None:
        row = self._database.execute(f"SELECT * FROM payments WHERE {where}", (value,)).fetchone()
        return None if row is None else _said(row)


def _said(row: sqlite3.Row) -> dict[str, Any]:
    """A payment as the bank shows it."""
    return {"reference": f"pay_{row['number']}", **{name: row[name] for name in row.keys()[1:-1]}}
