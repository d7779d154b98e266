"""What is pinned of the others, and that nothing else is used."""

import json
import re

import pytest

from bench.peers.environments import HERE, NotInstalled, check_integrity, versions

LOCKS = ("dbos.lock", "restate.lock")


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_of_a_lock_is_pinned_by_hashes(lock: str) -> None:
    """In the form of requirements.lock: exact versions, hashes, and no word of where anything is downloaded from."""
    text = (HERE / lock).read_text(encoding="utf-8")
    packages = [line for line in text.splitlines() if not line.startswith("    --hash=sha256:")]

    assert "://" not in text
    assert all(re.fullmatch(r"[a-z0-9.-]+==[^ ]+( ; .+)? \\", line) for line in packages)
    assert len(re.findall(r"==.*\\\n    --hash=sha256:[0-9a-f]{64}", text)) == len(packages)


def test_npm_is_given_exact_versions_and_each_has_its_hash() -> None:
    """A package-lock.json would hold addresses; integrity.json holds only what a package must be."""
    wanted = json.loads((HERE / "package.json").read_text(encoding="utf-8"))["optionalDependencies"]
    known = json.loads((HERE / "integrity.json").read_text(encoding="utf-8"))

    assert set(known) == {f"{name}@{version}" for name, version in wanted.items()}
    assert all(re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", integrity) for integrity in known.values())
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())
    assert not (HERE / "package-lock.json").exists()


@pytest.mark.parametrize("place", ["node_modules/@restatedev/server", "node_modules/a/node_modules/stranger"])
def test_a_package_of_npm_that_is_not_known_is_not_used(place: str) -> None:
    """Another content under a known version, or a package that came along with it."""
    known = {"@restatedev/server@1.0.0": "sha512-right"}
    check_integrity({"packages": {"node_modules/@restatedev/server": installed("sha512-right")}}, known)

    with pytest.raises(NotInstalled, match="is not what"):
        check_integrity({"packages": {place: installed("sha512-wrong")}}, known)


def installed(integrity: str) -> dict[str, str]:
    return {"version": "1.0.0", "integrity": integrity}


def test_the_versions_on_the_page_are_those_that_are_pinned() -> None:
    """They are read from the locks, not written down twice."""
    assert versions().keys() == {"DBOS", "Restate", "restate-sdk"}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions().values())
