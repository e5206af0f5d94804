"""What `run`'s mask costs: bytes a second, and time added to a line. Figures go to bench/results/masking.json.

    python -m bench.masking [MIB]      1024 are written where no other size is said

50 secrets (40 tokens of 93 characters, 10 private keys of 25 lines) in all of their forms. *Throughput* is of the whole
way: a command writes log lines into the pipe that it was given, and `run` writes them into another. *Latency*:
a command writes a line and says when; whoever reads it behind `run` says when it came; the same without `run`, for what
is added. Lines come one by one, a millisecond apart, as a quiet program writes them; and with a line that ends in what
could be the beginning of a value, which is held back for the longest time. Exit code 1 when a target is missed.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import figures, report
from bench.worlds import World

FASTEST, LONGEST = 200.0, 5.0
"""Targets: MB/s at least, milliseconds at p99 at most."""
SIZE, LINES, ROUNDS = 1024, 3000, 5
WRITER = """
import os, secrets, sys
block = b"".join(b"2026-01-01T00:00:00Z INFO request id=%s path=/v1/messages status=200 duration=12ms\\n"
                 % secrets.token_hex(8).encode() for _ in range(12000))
block = block[:1 << 20]
for _ in range(int(sys.argv[1]) >> 20):
    data = memoryview(block)
    while data:
        data = data[os.write(1, data):]
"""
TICKER = """
import os, sys, time
for number in range(int(sys.argv[1])):
    time.sleep(0.001)
    os.write(1, b"%d a quiet line" % time.monotonic_ns() + sys.argv[2].encode() + b"\\n")
"""
TAIL = """
import os, sys, time
for number in range(int(sys.argv[1])):
    time.sleep(0.02)
    os.write(1, b"%d\\na prompt s" % time.monotonic_ns())
"""


def stocked(folder: Path) -> tuple[World, list[str]]:
    """A store with 50 secrets, and the options that name them."""
    world = World(folder / "home")
    names = [f"key-{number}" for number in range(50)]
    for number, name in enumerate(names):
        value = f"sk-test-{secrets.token_urlsafe(64)}" if number < 40 else pem()
        world.run("set", name, stdin=value.encode())
    return world, [word for name in names for word in ("--secret", name)]


def pem() -> str:
    """Something of the look and size of a private key."""
    lines = "\n".join(secrets.token_urlsafe(48) for _ in range(25))
    return f"-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----\n"


def throughput(start: Callable[[Sequence[str]], subprocess.Popen[bytes]], size: int) -> float:
    """MB/s from the first byte that comes to the last."""
    with start([sys.executable, "-c", WRITER, str(size)]) as process:
        assert process.stdout is not None
        count = len(os.read(process.stdout.fileno(), 1 << 20))
        began = time.monotonic()
        while part := os.read(process.stdout.fileno(), 1 << 20):
            count += len(part)
        seconds = time.monotonic() - began
    assert count == size, "something was lost"
    return count / 1e6 / seconds


def latencies(start: Callable[[Sequence[str]], subprocess.Popen[bytes]], code: str, lines: int,
              end: str = "") -> list[float]:
    """Seconds from the write of each line to its coming."""
    found = []
    with start([sys.executable, "-c", code, str(lines), end]) as process:
        assert process.stdout is not None
        rest = b""
        while part := os.read(process.stdout.fileno(), 1 << 16):
            now = time.monotonic_ns()
            *whole, rest = (rest + part).split(b"\n")
            for line in whole:
                digits = line.replace(b"a prompt s", b"").split(b" ", 1)[0]
                found.append((now - int(digits)) / 1e9)
    return found[50:]  # the first ones wait for the reader to wake up


def held(start: Callable[[Sequence[str]], subprocess.Popen[bytes]], lines: int) -> list[float]:
    """Seconds until a prompt came whose last byte could be the beginning of a value."""
    found = []
    with start([sys.executable, "-c", TAIL, str(lines)]) as process:
        assert process.stdout is not None
        text, sent = b"", 0
        while part := os.read(process.stdout.fileno(), 1 << 16):
            now, text = time.monotonic_ns(), text + part
            while b"a prompt s" in text:
                before, _, text = text.partition(b"a prompt s")
                sent = int(before.strip())
                found.append((now - sent) / 1e9)
    return found[5:]


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p99 and largest, in milliseconds."""
    return {name: round(figures.percentile(seconds, share) * 1000, 3)
            for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99), ("max_ms", 1.0))}


def main(size: int) -> int:
    """Measure, keep, say."""
    machine = figures.machine()
    with tempfile.TemporaryDirectory(prefix="clawsecrets-bench-") as folder:
        world, named = stocked(Path(folder))

        def masked(words: Sequence[str]) -> subprocess.Popen[bytes]:
            return world.start("run", *named, "--", *words)

        def bare(words: Sequence[str]) -> subprocess.Popen[bytes]:
            return subprocess.Popen(list(words), stdout=subprocess.PIPE)

        rates = sorted(throughput(masked, size) for _ in range(ROUNDS))
        plain = sorted(throughput(bare, size) for _ in range(ROUNDS))
        rows = {
            "line": spread(latencies(masked, TICKER, LINES)), "line_without": spread(latencies(bare, TICKER, LINES)),
            "held": spread(held(masked, 300)), "held_without": spread(held(bare, 300)),
        }
    added = round(max(rows["line"]["p99_ms"] - rows["line_without"]["p99_ms"],
                      rows["held"]["p99_ms"] - rows["held_without"]["p99_ms"]), 3)
    rate = rates[len(rates) // 2]
    met = rate >= FASTEST and added < LONGEST
    figures.write("masking", machine, {
        "secrets": 50, "mb_per_s": round(rate), "mb_per_s_slowest": round(rates[0]),
        "mb_per_s_without": round(plain[len(plain) // 2]), "latency": rows, "added_p99_ms": added,
        "target_mb_per_s": FASTEST, "target_added_p99_ms": LONGEST, "met": met})
    print(f"{rate:.0f} MB/s (slowest {rates[0]:.0f}; without {plain[len(plain) // 2]:.0f}), "
          f"p99 {added:.2f} ms added: {'met' if met else 'MISSED'}")
    print(rows)
    report.write()
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1] if len(sys.argv) > 1 else SIZE) << 20))
