"""In git's own hooks: what they are told by their surroundings is what is scanned."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.plants.git_plants import Garden

ROOT = Path(__file__).resolve().parents[2]

COMMIT = """
from pathlib import Path
from clawsecrets.sources.git.staged import StagedSource
from tests.sources.git_eye import scan
found, skipped, _ = scan(StagedSource(Path(".")))
assert not skipped, skipped
Path(OUT).write_text(" ".join(sorted(found)))
"""

RECEIVE = """
import sys
from pathlib import Path
from clawsecrets.sources.git.narrow import Narrow
from clawsecrets.sources.git.source import GitSource
from tests.sources.git_eye import located, scan
seen = []
for line in sys.stdin:
    old, new, ref = line.split()
    source = GitSource(Path("."), narrow=Narrow(commits=f"{old}..{new}"))
    found, skipped, _ = scan(source)
    assert not skipped, skipped
    seen += sorted(found)
    located(source, found)
Path(OUT).write_text(" ".join(seen))
sys.exit(bool(seen))
"""


def hook(gitdir: Path, name: str, code: str, out: Path) -> None:
    script = out.with_suffix(".py")
    script.write_text(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nOUT = {str(out)!r}\n{code}")
    (gitdir / "hooks").mkdir(exist_ok=True)
    (gitdir / "hooks" / name).write_text(f"#!/bin/sh\nexec '{sys.executable}' '{script}'\n")
    (gitdir / "hooks" / name).chmod(0o700)


@pytest.fixture
def garden(tmp_path: Path) -> Garden:
    made = Garden(tmp_path / "repo")
    made.root.mkdir()
    made.git("init", "-q", ".")
    made.write("a.txt", made.token("old"))
    made.commit("Begin")
    return made


def test_a_commit_of_one_file_is_looked_at_as_it_will_be(garden: Garden, tmp_path: Path) -> None:
    """`git commit FILE` hands its hook another index than the repository's."""
    out = tmp_path / "out"
    hook(garden.root / ".git", "pre-commit", COMMIT, out)
    garden.write("staged.txt", garden.token("staged"))
    garden.git("add", "staged.txt")
    garden.write("a.txt", garden.token("partial"))
    garden.git("commit", "-q", "-m", "Only one", "a.txt")
    assert out.read_text() == garden.token("partial")
    garden.git("commit", "-q", "-m", "The other")
    assert out.read_text() == garden.token("staged")


def test_what_is_pushed_waits_in_quarantine(garden: Garden, tmp_path: Path) -> None:
    server, out = tmp_path / "server.git", tmp_path / "out"
    garden.git("init", "-q", "--bare", str(server))
    garden.git("push", "-q", f"file://{server}", "main")
    hook(server, "pre-receive", RECEIVE, out)
    garden.write("a.txt", "clean")
    garden.commit("Clean")
    garden.git("push", "-q", f"file://{server}", "main")
    assert out.read_text() == ""
    garden.write("a.txt", garden.token("new"))
    garden.commit("Leak")
    for ref in ("main", "main:refs/heads/another"):
        with pytest.raises(AssertionError, match="pre-receive"):
            garden.git("push", "-q", f"file://{server}", ref)
        assert out.read_text() == garden.token("new")
