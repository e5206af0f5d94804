"""The real components that tests marked `real` need: is one there, and (run as a module) install them all.

    python -m tests.real_components      exit code 1, and one line per component, when one could not be installed
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.real import ci_tools, compose, docker, machine, network, openbao, openclaw, postgres


@dataclass(frozen=True)
class Component:
    """`missing` answers why it cannot be used now, or an empty string; `install` brings it or raises."""

    missing: Callable[[], str]
    install: Callable[[], object]


def _openclaw_missing() -> str:
    root = openclaw.location()
    if (root / "node_modules" / "openclaw" / "package.json").is_file() and openclaw.node().is_file():
        return ""
    return f"openclaw {openclaw.OPENCLAW} is not installed; `make real` does it, with npm"


COMPONENTS: Mapping[str, Component] = {
    "openclaw": Component(_openclaw_missing, openclaw.ensure_installed),
    "docker": Component(docker.missing, docker.ensure_installed),
    "systemd": Component(machine.missing, machine.ensure_installed),
    "compose": Component(compose.missing, compose.ensure_installed),
    "openbao": Component(openbao.missing, openbao.ensure_installed),
    "namespaces": Component(network.missing, network.ensure_installed),
    "ci-tools": Component(ci_tools.missing, ci_tools.ensure_installed),
    "postgresql": Component(postgres.missing, postgres.ensure_installed),
}
DEFAULT = "openclaw"
"""What a bare `@pytest.mark.real` means."""


def main() -> int:
    """Install every component; each failure is one line on stderr."""
    failed = 0
    for name, component in COMPONENTS.items():
        try:
            component.install()
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            print(f"{name} could not be installed: {error}", file=sys.stderr)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
