"""Coverage-guided fuzzing of every reader (`make soak`): needs atheris, which has wheels for few Pythons."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.git_targets import PARTS, joined
from tests.fuzz.harness import TARGETS, calm
from tests.scan import planted
from tests.sources.test_git_formats import copy, varint

SECONDS = 120
"""For each target."""


def seeds() -> list[bytes]:
    """Whole files to begin with."""
    delta, commit = varint(30) + varint(9) + copy(3, 9), b"tree " + b"0" * 40 + b"\nauthor A <a> 1 +0000\n\nwords"
    entries = [bytes([3, 0]) + bytes(20) + b"a" * 30, bytes([7, 0]) + bytes(20) + delta,
               bytes([6, 0, 30]) + bytes(19) + delta, bytes([2, 0]) + bytes(20) + b"100644 a\0" + bytes(20),
               bytes([1, 0]) + bytes(20) + commit]
    files = [bytes([number]) + {"HEAD": b"ref: refs/heads/x", "config": b"[core]\n\tbare = true\n"}.get(
        name, b"a" * 40 + b" refs/heads/y\n") for number, name in enumerate(PARTS)]
    return [joined(entries), joined(files), commit, b"# clawsecrets baseline 1 salt=" + b"0" * 32 + b"\n",
            planted.tar({"a": planted.TEXT}), planted.zipped({"a": planted.TEXT}), planted.pdf(b"BT (a) Tj ET"),
            planted.database(("CREATE TABLE t(a)", ()), ("INSERT INTO t VALUES('x')", ())), planted.TEXT]


@pytest.mark.parametrize("name", TARGETS)
def test_the_targets_take_the_seeds(name: str) -> None:
    for seed in seeds():
        calm(TARGETS[name])(seed)


@pytest.mark.soak
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
@pytest.mark.parametrize("name", TARGETS)
def test_fuzz(name: str, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds()):
        (corpus / str(number)).write_bytes(seed)
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", name, str(corpus), f"-max_total_time={SECONDS}", "-timeout=20",
         "-rss_limit_mb=1500", "-max_len=20000", f"-artifact_prefix={tmp_path}/"],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
