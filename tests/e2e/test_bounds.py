"""Memory and time on input that was made to cost much: each command stays under 400 MB, ends, and says what it left.

What is measured is the sum over a scan and its workers while it runs, each page counted once (PSS, proc(5))."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.shell import Said, Shell, token
from tests.plants.git_plants import Garden
from tests.plants.image_plants import Layout, compressed
from tests.waiting import LONG

MOST = 400 << 20
"""Bytes."""
LINES = (96 << 20, pytest.param(320 << 20, marks=pytest.mark.soak))


@dataclass(frozen=True)
class Measured:
    """A scan, and the most memory that it and its workers had together."""

    said: Said
    peak: int


def measured(shell: Shell, *words: str | Path, stdin: Path | None = None) -> Measured:
    """Run it with `--format json`, and look at its memory 20 times a second. Standard input comes from a file."""
    with contextlib.ExitStack() as stack:
        given = stack.enter_context(stdin.open("rb")) if stdin else subprocess.DEVNULL
        process = subprocess.Popen([*shell.command(*words), "--format", "json"], env=shell.env, cwd=shell.root,
                                   stdin=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        peaks = [0]
        watch = threading.Thread(target=_watch, args=(process, peaks))
        watch.start()
        out, err = process.communicate(timeout=3 * LONG)
        watch.join()
    return Measured(Said(process.returncode, out.decode(), err.decode()), peaks[0])


def _watch(process: subprocess.Popen[bytes], peaks: list[int]) -> None:
    while process.poll() is None:
        peaks[0] = max(peaks[0], sum(map(_pss, _family(process.pid))))
        time.sleep(0.05)


def _family(pid: int) -> Iterator[int]:
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _family(int(child))


def _pss(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    return 0


def small(one: Measured) -> None:
    """Bounded, and it was looked at at all."""
    assert 20 << 20 < one.peak < MOST, one.peak >> 20


def line(path: Path, value: str, size: int) -> Path:
    """One line without an end, with a token in its middle."""
    block = bytes((65 + number * 7 % 26) for number in range(1 << 20))
    with path.open("wb") as file:
        for number in range(size >> 20):
            file.write(block if number != size >> 21 else block[:-200] + f" {value} ".encode().ljust(200))
    return path


@pytest.mark.parametrize("size", LINES)
def test_one_long_line(shell: Shell, size: int) -> None:
    """As a file, as standard input, as a blob, and in a layer."""
    value = token("line")
    (shell.root / "tree").mkdir()
    path = line(shell.root / "tree" / "line", value, size)
    for words, stdin in ((("path", path.parent), None), (("stdin",), path)):
        one = measured(shell, *words, stdin=stdin)
        small(one)
        assert one.said.code == 1 and one.said.complete, words
        [found] = one.said.findings
        assert (found["start_line"], found["rule"]) == (1, "openrouter.key")
        assert found["start_column"] > size // 2
    layout = Layout()
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.add(path, "srv/line")
    data = made.getvalue()
    layout.index([layout.image([data], how="")])
    layout.write(shell.root / "layout")
    del data, made, layout
    one = measured(shell, "image", shell.root / "layout")
    small(one)
    assert one.said.code == 1 and [item["path"] for item in one.said.findings] == ["srv/line"]
    garden = Garden(shell.root / "repo", token)
    garden.root.mkdir()
    garden.git("init", "-q", ".")
    path.rename(garden.root / "line")
    garden.commit("Line")
    garden.git("repack", "-q", "-a", "-d")
    one = measured(shell, "git", garden.root)
    small(one)
    assert one.said.code == 1 and one.said.complete
    assert [item["path"] for item in one.said.findings] == ["line"]


def zeros(size: int, levels: int) -> bytes:
    """A zip archive in a zip archive … of zeros."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("0", "w") as member:
        for _ in range(size >> 20):
            member.write(bytes(1 << 20))
    data = made.getvalue()
    for level in range(levels):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(16):
                archive.writestr(f"{level}{number}", data)
        data = made.getvalue()
    return data


@pytest.mark.soak
def test_bombs(shell: Shell) -> None:
    """Told as not looked at: 6."""
    data = zeros(64 << 20, 3)
    layer = compressed(bytes(512 << 20), "gzip")
    (shell.root / "bomb").write_bytes(data)
    layout = Layout()
    image = layout.image([b"\0" * 1024], how="gzip")
    name = next(name for name, blob in layout.files.items() if blob[:2] == b"\x1f\x8b")
    layout.index([image])
    layout.files[name] = layer
    layout.write(shell.root / "layout")
    garden = Garden(shell.root / "repo")
    garden.root.mkdir()
    garden.git("init", "-q", ".")
    (garden.root / "bomb").write_bytes(data)
    garden.commit("Bomb")
    for words in (("git", garden.root), ("image", shell.root / "layout")):
        one = measured(shell, *words)
        small(one)
        assert one.said.code == 6 and one.said.faults, words


def tiny(root: Path, count: int, value: str) -> None:
    """Many files of a few bytes, one of them with a token."""
    for number in range(count):
        folder = root / f"{number // 1000:04}"
        if number % 1000 == 0:
            folder.mkdir(parents=True)
        (folder / f"{number}.txt").write_text(value if number == count * 3 // 4 else f"{number}\n")


def _many(shell: Shell, count: int) -> None:
    value = token("tiny")
    garden = Garden(shell.root / "repo", token)
    tiny(garden.root, count, value)
    one = measured(shell, "path", garden.root)
    small(one)
    assert one.said.code == 1 and one.said.report["coverage"]["objects"] >= count
    garden.git("init", "-q", ".")
    garden.commit("Many")
    garden.git("repack", "-q", "-a", "-d")
    for words in ((), ("--no-cache",)):
        one = measured(shell, "git", garden.root, *words)
        small(one)
        assert (one.said.code, one.said.complete) == (1, True)
        assert [item["path"] for item in one.said.findings] == [f"{count * 3 // 4 // 1000:04}/{count * 3 // 4}.txt"]
    layout = Layout()
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.add(garden.root, "srv", filter=lambda item: None if ".git" in item.name.split("/") else item)
    layout.index([layout.image([made.getvalue()], how="")])
    layout.write(shell.root / "layout")
    one = measured(shell, "image", shell.root / "layout")
    small(one)
    assert [item["start_line"] for item in one.said.findings] == [1]


def test_ten_thousand_tiny_files(shell: Shell) -> None:
    _many(shell, 10_000)


@pytest.mark.soak
def test_a_million_tiny_files(shell: Shell) -> None:
    _many(shell, 1_000_000)


def test_links_in_circles(shell: Shell) -> None:
    """Links are read, and nobody goes where they lead; deep folders have an end."""
    tree = shell.root / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "b" / "up").symlink_to(tree)
    (tree / "self").symlink_to("self")
    (tree / "one").symlink_to("two")
    (tree / "two").symlink_to("one")
    (tree / "outside").symlink_to("/")
    (tree / "a" / "leak").write_text(token("loop"))
    deep = tree
    before = os.getcwd()
    os.chdir(tree)
    try:
        for _ in range(600):  # longer than PATH_MAX as a path
            os.mkdir("folder-name")
            os.chdir("folder-name")
        Path("last").write_text("nothing")
    finally:
        os.chdir(before)
    said = shell.json("path", tree)
    assert said.code == 1 and [item["path"] for item in said.findings] == ["a/leak"]
    assert said.report["coverage"]["objects"] < 2000
    assert said.complete or any("name too long" in item["reason"] for item in said.faults)
    assert deep.exists() and sys.getrecursionlimit() < 10_000
