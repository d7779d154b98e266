"""Settings: where things are. Temporal's own variables are read by its own library (`connection.py`).

DURABLE_TRANSFERS_DATA     the data folder; default: `var` beside the code, whatever the current folder
LEDGER_DATABASE_URL        the books; default: the SQLite file `ledger.db` in the data folder
DURABLE_TRANSFERS_UI_URL   the Web UI of a Temporal that is not the embedded one, for links in the output
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TASK_QUEUE = "durable-transfers"
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process, read once."""

    data: Path
    ledger_url: str
    ui_url: str | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings. Never fails: what is wrong with them shows when they are used."""
        data = Path(environment.get("DURABLE_TRANSFERS_DATA") or ROOT / "var").absolute()
        ledger_url = environment.get("LEDGER_DATABASE_URL") or f"sqlite:///{data / 'ledger.db'}"
        return cls(data, ledger_url, environment.get("DURABLE_TRANSFERS_UI_URL"))


@dataclass(frozen=True, slots=True)
class EmbeddedAddress:
    """Where an embedded server listens: a note it leaves in the data folder, so that the starter finds it."""

    grpc: str
    ui: str | None

    def leave(self, data: Path) -> None:
        """Write the note, whole or not at all."""
        draft = data / "temporal.address.new"
        draft.write_text(json.dumps({"grpc": self.grpc, "ui": self.ui}), encoding="utf-8")
        draft.replace(data / _NOTE)

    @staticmethod
    def remove(data: Path) -> None:
        """Take the note away: the server is no longer there."""
        (data / _NOTE).unlink(missing_ok=True)

    @classmethod
    def find(cls, data: Path) -> "EmbeddedAddress | None":
        """The note in a data folder; None if there is none, or none that can be read."""
        try:
            note = json.loads((data / _NOTE).read_text(encoding="utf-8"))
            return cls(note["grpc"], note["ui"])
        except (OSError, ValueError, KeyError):
            return None


_NOTE = "temporal.address"
