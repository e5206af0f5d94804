"""Shells with compiled rules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell with a home that knows nothing but the compiled rules."""
    return Shell(tmp_path / "shell")


@pytest.fixture(scope="module")
def shells(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Shell]:
    """Makes shells for fixtures of a module."""
    return lambda: Shell(tmp_path_factory.mktemp("shell") / "s")
