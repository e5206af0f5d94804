"""A base image with the Python that runs these tests, for images that are built without a registry.

It has what `python:3.x-slim` has and a Dockerfile needs: Python with `venv` and pip in /usr/local, a shell and a few
tools, the C library. pip takes everything from /wheelhouse (`wheels`), for there is no network in a build.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.real.docker import Dockerd

ROOT = Path(__file__).resolve().parents[2]
TAG = "python-base:1"
TOOLS = ("sh", "install", "mkdir", "chmod", "rm", "cat", "ls", "id", "env", "true")
LIBRARIES = ("libstdc++.so.6", "libgcc_s.so.1", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1",
             "libutil.so.1", "libz.so.1")
"""What wheels may expect besides the C library (manylinux)."""
LEFT_OUT = ("test", "idlelib", "tkinter", "lib2to3", "turtledemo", "config-*", "site-packages", "__pycache__", "*.a")


def wheelhouse() -> Path:
    """Where the wheels are, once `ensure_wheels` was run for this lock."""
    lock = hashlib.sha256((ROOT / "requirements.lock").read_bytes()).hexdigest()[:12]
    return ROOT / ".cache" / f"wheels-{sys.version_info.major}.{sys.version_info.minor}-{lock}"


def missing() -> str:
    """Why there are no wheels; empty when they are there."""
    there = (wheelhouse() / "done").exists()
    return "" if there else "the wheels for images are not there; `make real` gets them, with pip"


def ensure_wheels() -> None:
    """Get the wheels of every library that clawsecrets needs, and of its build. subprocess.SubprocessError."""
    folder = wheelhouse()
    if missing():
        subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--wheel-dir",
                        str(folder), "-c", str(ROOT / "requirements.lock"), str(ROOT), "hatchling", "editables"],
                       check=True)
        for wheel in folder.glob("clawsecrets-*.whl"):
            wheel.unlink()
        (folder / "done").touch()


def load(engine: Dockerd) -> None:
    """Make the image TAG in an engine."""
    root = engine.base / "python-base"
    for folder in ("bin", "usr/bin", "usr/local", "etc", "tmp", "root", "run", "var/lib"):
        (root / folder).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc" / "group").write_text("root:x:0:\n")
    (root / "etc" / "pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheelhouse\n")
    _python(root)
    binaries = [Path(found) for tool in TOOLS if (found := shutil.which(tool))]
    for path in binaries:
        shutil.copy(path, root / "bin" / path.name)
    objects = [*binaries, Path(sys.executable).resolve(), *(root / "usr" / "local").rglob("*.so*")]
    for library in sorted(_libraries(objects)):
        target = root / library.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library.resolve(), target)
    shutil.copytree(wheelhouse(), root / "wheelhouse")
    archive = engine.base / "python-base.tar"
    subprocess.run(["tar", "-C", str(root), "--owner=0", "--group=0", "-cf", str(archive), "."], check=True)
    engine.docker("import", "-c", "ENV PATH=/usr/local/bin:/usr/bin:/bin", "-c", "ENV LD_LIBRARY_PATH=/usr/local/lib",
                  archive, TAG)
    archive.unlink()
    shutil.rmtree(root)


def _python(root: Path) -> None:
    """Its interpreter and standard library, without what only a desktop or its own tests need."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    prefix, local = Path(sys.base_prefix), root / "usr" / "local"
    shutil.copytree(prefix / "lib" / name, local / "lib" / name, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for library in (prefix / "lib").glob("libpython3*.so*"):
        shutil.copy(library, local / "lib" / library.name)
    (local / "bin").mkdir()
    shutil.copy(prefix / "bin" / name, local / "bin" / name)
    (local / "bin" / "python3").symlink_to(name)


def _libraries(objects: list[Path]) -> set[Path]:
    """The shared libraries outside of Python's own folder that these are linked to."""
    found: set[Path] = set()
    said = subprocess.run(["ldd", *map(str, objects)], capture_output=True, text=True, check=False).stdout
    known = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=False).stdout
    found.update(Path(path) for path in re.findall(r"(?:=> |^\s+)(/\S+) \(", said, re.MULTILINE))
    for name in LIBRARIES:
        found.update(Path(path) for path in re.findall(rf"{re.escape(name)} \(libc6,x86-64.*\) => (\S+)", known)[:1])
    return {path for path in found if not path.is_relative_to(sys.base_prefix)}
