"""The worker's image, as far as it can be tested without building it: what it copies, installs and runs."""

from engine.settings import ROOT


def test_the_image_copies_what_exists_and_the_build_context_has_it() -> None:
    """`.dockerignore` lets nothing in but what the image copies."""
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert "*" in ignored
    assert allowed == _copied()
    assert [source for source in sorted(allowed) if not (ROOT / source).exists()] == []


def test_the_image_copies_every_package_of_the_project() -> None:
    """A new package that is not copied would be missed at the first start of a worker, not before."""
    packages = {path.parent.name for path in ROOT.glob("[a-z]*/*.py")} - {
        "tests",
        "bench",
        "demo",
        "docs",
        "deploy",
        "var",
    }
    assert (
        packages | {"worker.py", "starter.py", "callbacks.py", "pyproject.toml", "requirements-worker.lock"}
        == _copied()
    )


def test_the_image_installs_only_what_is_pinned_and_runs_as_nobody_special() -> None:
    """Hashes for every dependency, a user that is not root, and SIGTERM straight to Python."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert "FROM python:3.12-slim" in lines
    assert any("pip install" in line and "--require-hashes" in line for line in lines)
    assert "USER worker" in lines
    assert lines[-1] == 'ENTRYPOINT ["python", "worker.py"]'


def _copied() -> set[str]:
    """What the image copies from the project."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    return {source for line in lines if line.startswith("COPY ") for source in line.split()[1:-1]}
