"""A repository elsewhere: all its refs, in a private folder that is gone afterwards."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clawsecrets.clients.git import clone


@contextmanager
def cloned(url: str, file: bool = False) -> Iterator[Path]:
    """A bare clone of `url`, with every ref that it shows. `file`: `file://` URLs too. UsageError, GitFailed."""
    folder = tempfile.mkdtemp(prefix="clawsecrets-")
    try:
        clone(url, Path(folder, "repository.git"), file)
        yield Path(folder, "repository.git")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
