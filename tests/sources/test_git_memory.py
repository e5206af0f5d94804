"""Memory stays bounded, whatever a pack asks for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.sources.test_git_formats import copy, entry, pack_of, repository, varint

ROOT = Path(__file__).resolve().parents[2]
SIZE = 8 << 20
CHAIN = 40
READ = """
import resource, sys
from pathlib import Path
from clawsecrets.sources.git.source import GitSource
from tests.sources.git_eye import Heard
heard = Heard()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = sum(1 for part in GitSource(Path(sys.argv[1])).parts(1) for _ in part.contents(heard))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(count, len(heard.skips), (after - before) >> 10)
"""


def read(folder: Path) -> tuple[int, int, int]:
    """Contents, what was skipped, and how many MiB that took."""
    done = subprocess.run([sys.executable, "-c", READ, str(folder)], cwd=ROOT, capture_output=True, text=True,
                          check=True)
    count, skips, size = map(int, done.stdout.split())
    return count, skips, size


def test_a_chain_whose_every_link_waits(tmp_path: Path) -> None:
    """Each object of a chain has another child that waits while the chain is followed: all of them together are 320
    MiB."""
    def delta(i: int, base: int, word: bytes) -> bytes:
        whole = b"".join(copy(at, 0x10000) for at in range(0, SIZE, 0x10000))
        if base == 0:
            return entry(7, varint(SIZE) + varint(SIZE + len(word)) + whole + bytes([len(word)]) + word, bytes(20))
        size = SIZE + 4
        return entry(7, varint(size) + varint(size) + whole + bytes([4]) + word, bytes([base]) * 20)

    entries = [entry(3, bytes(SIZE))]
    link = 0
    for i in range(CHAIN):
        entries.append(delta(2 * i + 1, link, b"l%03d" % i))
        entries.append(delta(2 * i + 2, link, b"c%03d" % i))
        link = 2 * i + 2
    count, skips, size = read(repository(tmp_path, *pack_of(entries)))
    assert count >= 1 + 2 * CHAIN and skips == 0
    assert size < 200


def test_an_object_of_a_quarter_gigabyte_comes_in_pieces(tmp_path: Path) -> None:
    folder = repository(tmp_path, *pack_of([entry(3, bytes(256 << 20))]))
    count, skips, size = read(folder)
    assert count > 15 and skips == 0
    assert size < 150


def test_a_delta_tree_that_is_too_large_is_told(tmp_path: Path) -> None:
    ops = b"".join(copy(0, 0x10000) for _ in range(4096))
    big = entry(7, varint(0x10000) + varint(4096 << 16) + ops, bytes(20))
    count, skips, size = read(repository(tmp_path, *pack_of([entry(3, bytes(0x10000)), big])))
    assert count >= 1 and skips == 1
    assert size < 150
