"""Repositories, trees and images for bench/scan.py, made of invented text; and changes to copies of real ones."""

from __future__ import annotations

import io
import os
import random
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

WORDS = ("def", "return", "import", "class", "value", "config", "handler", "request", "self", "name", "path", "for",
         "in", "if", "else", "None", "True", "token_count", "render", "update", "error", "result", "items", "parse")
WHO = ("-c", "user.name=A Person", "-c", "user.email=person@localhost", "-c", "commit.gpgsign=false",
       "-c", "gc.auto=0", "-c", "maintenance.auto=false")


def git(folder: Path, *words: str, data: bytes | None = None, at: int = 0) -> str:
    """Run git there; what it commits is of the time `at` (Unix seconds; 0: now)."""
    when = {"GIT_AUTHOR_DATE": f"@{at} +0000", "GIT_COMMITTER_DATE": f"@{at} +0000"} if at else {}
    return subprocess.run(["git", "-C", str(folder), *WHO, *words], input=data, capture_output=True,
                          check=True, env={**os.environ, **when}).stdout.decode(errors="replace")


def text(random_: random.Random, lines: int) -> list[str]:
    """Lines that look like code."""
    return [" " * random_.choice((0, 4, 8)) + " ".join(random_.choices(WORDS, k=random_.randint(2, 10)))
            + f"({random_.randrange(10**6)})" for _ in range(lines)]


def made(folder: Path) -> list[tuple[str, str, Path]]:
    """A history, a tree and an image of middling size, the same each time."""
    repository, tree, image = folder / "history", folder / "tree", folder / "image.tar"
    history(repository, commits=4000)
    _tree(tree, files=4000)
    _image(image, tree)
    return [("history", "made", repository), ("tree", "made", tree), ("image", "made", image)]


def history(folder: Path, commits: int, files: int = 600) -> Path:
    """A repository with so many commits to so many files."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    process = subprocess.Popen(["git", "-C", str(folder), "fast-import", "--quiet"], stdin=subprocess.PIPE)
    assert process.stdin is not None
    for part in _stream(commits, files):
        process.stdin.write(part)
    process.stdin.close()
    assert process.wait() == 0
    git(folder, "repack", "-adq")
    return folder


def _stream(commits: int, files: int) -> Iterator[bytes]:
    dice = random.Random(20260101)
    content = {f"src/part{n % 20}/file{n}.py": text(dice, dice.randint(50, 500)) for n in range(files)}
    names = list(content)
    for number in range(commits):
        yield (f"commit refs/heads/main\ncommitter A Person <person@localhost> {1700000000 + number * 600} +0000\n"
               f"data {len(f'change {number}')}\nchange {number}\n").encode()
        for name in (names if number == 0 else dice.sample(names, dice.randint(1, 12))):
            lines = content[name]
            at = dice.randrange(len(lines))
            lines[at:at + dice.randint(0, 3)] = text(dice, dice.randint(0, 6))
            body = ("\n".join(lines) + "\n").encode()
            yield f"M 100644 inline {name}\ndata {len(body)}\n".encode() + body + b"\n"


def _tree(folder: Path, files: int) -> None:
    dice = random.Random(20260102)
    for number in range(files):
        path = folder / f"package{number % 50}" / f"module{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(text(dice, dice.randint(50, 2000))))


def _image(file: Path, tree: Path) -> None:
    """A `docker save` archive of one layer."""
    import hashlib
    import json

    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(tree, "app")
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                         "history": [{"created_by": "COPY . /app"}],
                         "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]}}).encode()
    named = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": named, "RepoTags": ["made:latest"], "Layers": [f"{digest}/layer.tar"]}]).encode()
    with tarfile.open(file, "w") as tar:
        for name, body in ((named, config), (f"{digest}/layer.tar", layer.getvalue()), ("manifest.json", manifest)):
            info = tarfile.TarInfo(name)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))


def copied(repository: Path, to: Path) -> Path:
    """A copy with all of its refs, to which commits can be added."""
    subprocess.run(["git", "clone", "-q", "--mirror", "--no-hardlinks", str(repository), str(to)], check=True)
    return to


def commits(repository: Path, count: int) -> None:
    """Commits that change one file each, on the branch that HEAD names, a minute apart: nobody commits, scans, commits
    and scans within one second, which is all that git's dates can tell."""
    dice = random.Random()
    for _ in range(count):
        blob = git(repository, "hash-object", "-w", "--stdin", data="\n".join(text(dice, 200)).encode()).strip()
        old = git(repository, "rev-parse", "HEAD").strip()
        at = int(git(repository, "log", "-1", "--format=%ct", old)) + 60
        entries = git(repository, "ls-tree", "HEAD")
        kept = "".join(f"{line}\n" for line in entries.splitlines() if not line.endswith("\tbench-file.py"))
        listing = f"{kept}100644 blob {blob}\tbench-file.py\n".encode()
        tree = git(repository, "mktree", "--missing", data=listing).strip()
        new = git(repository, "commit-tree", tree, "-p", old, "-m", "a change", at=at).strip()
        git(repository, "update-ref", "HEAD", new)


def staged(folder: Path) -> Path:
    """A small repository with one staged file."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    dice = random.Random(7)
    for name in ("a.py", "b.py"):
        (folder / name).write_text("\n".join(text(dice, 200)))
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    (folder / "b.py").write_text("\n".join(text(dice, 220)))
    git(folder, "add", "-A")
    return folder
