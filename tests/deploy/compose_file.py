"""The compose file as the tests read it, and its scripts as they run them."""

import re
import subprocess
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML

from engine.settings import ROOT

COMPOSE: dict[str, Any] = YAML(typ="safe").load(ROOT / "docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def run_script(script: str, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a script of the compose file as its own interpreter line says."""
    return subprocess.run([ROOT / "deploy" / script], env=dict(environment), capture_output=True, text=True)


def attributes() -> dict[str, str]:
    """The search attributes of the compose file, name and type."""
    listed: str = SERVICES["temporal-namespace"]["environment"]["SEARCH_ATTRIBUTES"]
    return dict(pair.split("=") for pair in listed.split())


def with_defaults(value: str) -> str:
    """A value of the compose file as it is where no variable is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)
