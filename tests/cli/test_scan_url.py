"""What a person types as the URL of a repository is not said again: it may have credentials."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import warm


@pytest.mark.parametrize("url", ["https://u:kX7qLw93@host.invalid/a", "ssh://u:kX7qLw93@host.invalid/a",
                                 "https://u:a/kX7qLw93@host.invalid/b"])
def test_credentials_of_a_url_are_not_said(url: str, tmp_path: Path) -> None:
    warm.put(tmp_path / "cache")
    start = "from clawsecrets.cli.entry import main; main()"
    run = subprocess.run([sys.executable, "-c", start, "scan", "git", url, "-v"], capture_output=True, text=True,
                         env={"CLAWSECRETS_HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    assert run.returncode in (2, 6) and "URL" in run.stderr and "cloning" in run.stderr
    assert "kX7qLw93" not in run.stdout + run.stderr
