"""The image for CI, built and run by a real Docker as its own first lines say, and GitLab's job in it.

No build here has a network: the base has git already, and an `apt-get` that has nothing to do.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import canary
from tests.ci.stage import Ran, Stage, token
from tests.ci.test_templates import gitlab_script
from tests.real import docker, python_base
from tests.real.docker import Dockerd
from tests.waiting import LONG

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "config" / "ci" / "Containerfile"
BASE = "ci-base:1"
pytestmark = [pytest.mark.real("compose"), pytest.mark.slow]


def documented() -> tuple[str, str]:
    """The two lines that it says: how it is built, and how it is run."""
    build, run = re.findall(r"^#   (docker .*)$", FILE.read_text(), re.M)
    return build, run


def base(engine: Dockerd, folder: Path) -> None:
    """A base image with Python and git."""
    python_base.load(engine)
    for place in ("usr/bin", "usr/local/bin"):
        (folder / place).mkdir(parents=True)
    git = Path(shutil.which("git") or "")
    shutil.copy(git, folder / "usr/bin/git")
    (folder / "usr/local/bin/apt-get").write_text("#!/bin/sh\n")
    (folder / "usr/local/bin/apt-get").chmod(0o755)
    for library in re.findall(r"=> (/\S+) \(", subprocess.run(["ldd", str(git)], capture_output=True, text=True,
                                                             check=True).stdout):
        target = folder / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(library).resolve(), target)
    (folder / "Dockerfile").write_text(f"FROM {python_base.TAG}\nCOPY usr /usr\n" + (
        "COPY lib /lib\n" if (folder / "lib").is_dir() else ""))
    engine.docker("build", "--network=none", "-t", BASE, folder)


class Image:
    """The image in an engine, and where it is run."""

    def __init__(self, engine: Dockerd, stage: Stage) -> None:
        self.engine, self.stage = engine, stage

    def line(self, line: str, cwd: Path, more: str = "") -> Ran:
        """A documented line, typed in a shell, without a network."""
        line = line.replace("docker build ", f"docker build --network=none --build-arg BASE={BASE} ")
        line = line.replace("docker run ", f"docker run --network=none {more}")
        done = subprocess.run(["sh", "-c", line], cwd=cwd, env=self.engine.environment(), capture_output=True,
                              text=True, timeout=LONG, check=False)
        return Ran(done.returncode, done.stdout, done.stderr)

    def scan(self, more: str = "") -> Ran:
        """The documented run, in the repository."""
        return self.line(documented()[1], self.stage.root / "work", more)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    storage = "overlay2" if docker.overlay_fits(tmp_path_factory.mktemp("layers")) else "vfs"
    with Dockerd(storage) as engine:
        base(engine, tmp_path_factory.mktemp("base"))
        made = Image(engine, Stage(tmp_path_factory.mktemp("stage") / "s"))
        built = made.line(documented()[0], ROOT)
        assert built.code == 0, (built.out[-2000:], built.err[-2000:])
        made.stage.repository()
        yield made


def test_it_finds_and_it_fails(image: Image) -> None:
    clean = image.scan()
    assert clean.code == 0 and clean.err == "", clean
    value = token()
    image.stage.commit("app.env", f"OPENROUTER_API_KEY={value}\n")
    image.stage.commit("app.env", "nothing\n", "gone again")
    for more in ("", "--read-only ", "--cap-drop=ALL "):
        found = image.scan(more)
        assert found.code == 1 and "sk-or-v1-…" in found.out and "app.env:1" in found.out, found
        assert canary.search(found.everything.encode(), value.encode()) == []


def test_as_another_user_and_what_cannot_be_looked_at(image: Image) -> None:
    """The user that the repository belongs to; another one is told."""
    other = image.stage.root / "other"
    image.stage.git("clone", "-q", "--no-local", str(image.stage.root / "work"), str(other), cwd=".")
    for path in (other, *other.rglob("*")):
        shutil.chown(path, 10005, 10005)
    line = documented()[1].replace("$(id -u):$(id -g)", "10005:10005")
    assert image.line(line, other).code == 1
    stranger = image.line(documented()[1], other)
    assert stranger.code == 1 and "ownership" in stranger.out
    image.stage.git("clone", "-q", "--depth=1", f"file://{image.stage.root}/work", str(image.stage.root / "shallow"),
                    cwd=".")
    assert image.line(documented()[1], image.stage.root / "shallow").code == 6


def test_gitlabs_job_in_it(image: Image) -> None:
    """As GitLab's runner does: no entry point, a shell, the clone mounted, the runner's user."""
    head = image.stage.git("rev-parse", "HEAD")
    work = image.stage.root / "work"
    script = image.stage.root / "job.sh"
    script.write_text(gitlab_script())
    done = image.line(f"docker run --rm --entrypoint '' -e CI_COMMIT_SHA={head} -v '{work}:/builds/app' "
                      f"-v '{script}:/job.sh:ro' -w /builds/app clawsecrets sh -e /job.sh", work)
    assert done.code == 1 and "sk-or-v1-…" in done.out, done
    for name in ("gl-secret-detection-report.json", "gl-code-quality-report.json", "clawsecrets-junit.xml"):
        assert "sk-or-v1-" in (work / name).read_text()
