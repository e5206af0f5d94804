"""What every test of the crash matrix begins with: the forking child, a provider, a folder, a server."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.harness import Child, provider
from tests.fake_provider import RemoteFake
from tests.real.openbao import Dev


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    with Child() as made:
        yield made


@pytest.fixture
def fake() -> Iterator[RemoteFake]:
    """Each test has its own: what lived under the last one is gone."""
    with provider() as made:
        yield made


@pytest.fixture
def bao() -> Iterator[Dev]:
    """In memory. Each test has its own."""
    with Dev() as made:
        yield made


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where there is such a file system: a killed process loses no page cache, so fsync has no say here."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as made:
        yield Path(made)
