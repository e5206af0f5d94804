"""The wheel: built, installed in a fresh environment in an empty directory, it finds its data."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow

FIND = """
import clawsecrets, sys
from pathlib import Path
from clawsecrets.data import data_path
assert Path(clawsecrets.__file__).is_relative_to(sys.prefix), clawsecrets.__file__
for kind in ("providers", "config"):
    folder = Path(str(data_path(kind)))
    assert folder.is_relative_to(sys.prefix), folder
    print(kind, *sorted(path.name for path in folder.glob("*.toml")))
"""


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("clawsecrets-*.whl")
    return built


def test_nothing_is_shipped_at_the_top_level(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {"clawsecrets", f"{wheel.name.rsplit('-', 3)[0]}.dist-info"}
    assert not [name for name in names if "/tests/" in name or name.endswith(".pyc")]


def test_an_installed_wheel_finds_its_data(wheel: Path, tmp_path: Path) -> None:
    """Without its dependencies: finding data must not need them."""
    empty = tmp_path / "empty"
    empty.mkdir()
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", wheel, cwd=empty)
    found = dict(line.split(" ", 1) for line in run(python, "-I", "-c", FIND, cwd=empty).splitlines())
    for kind in ("providers", "config"):
        assert found[kind].split() == sorted(path.name for path in (ROOT / kind).glob("*.toml")), kind
    assert (tmp_path / "venv" / "bin" / "clawsecrets").is_file()
