"""Shells with compiled rules: made once for all tests of a worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.shell import Shell


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder with compiled rules."""
    shell = Shell(tmp_path_factory.mktemp("warm") / "s")
    said = shell.scan("stdin", stdin=b"nothing")
    assert said.code == 0, said
    return shell.root / "home" / "cache"


@pytest.fixture
def shell(tmp_path: Path, warm: Path) -> Shell:
    """A shell with a home that knows nothing but the compiled rules."""
    return Shell(tmp_path / "shell", warm)


@pytest.fixture(scope="module")
def shells(tmp_path_factory: pytest.TempPathFactory, warm: Path) -> Callable[[], Shell]:
    """Makes shells for fixtures of a module."""
    return lambda: Shell(tmp_path_factory.mktemp("shell") / "s", warm)
