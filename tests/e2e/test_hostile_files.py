"""A FIFO, a device or a link to one where a repository has a file: nobody waits for it, and it is not clean."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.shell import Shell, token
from tests.plants.git_plants import Garden


def repository(shell: Shell) -> Garden:
    """Two commits, one with a token, and something that is staged."""
    garden = Garden(shell.root / "repo", token)
    garden.root.mkdir()
    garden.git("init", "-q", ".")
    garden.write("leak.txt", token("leak"))
    garden.commit("Leak")
    garden.write("leak.txt", "nothing")
    garden.commit("Mend")
    garden.write("staged.txt", "nothing\n")
    garden.git("add", "staged.txt")
    return garden


def fifo(name: str) -> Callable[[Garden], None]:
    """A FIFO under this name in the gitdir."""
    def place(garden: Garden) -> None:
        path = garden.root / ".git" / name
        path.unlink(missing_ok=True)
        os.mkfifo(path)
    return place


def link(name: str) -> Callable[[Garden], None]:
    """A link to a device that never ends."""
    def place(garden: Garden) -> None:
        path = garden.root / ".git" / name
        path.unlink(missing_ok=True)
        path.symlink_to("/dev/zero")
    return place


def packed(suffix: str, make: Callable[[Path], None]) -> Callable[[Garden], None]:
    """In place of a pack or its index."""
    def place(garden: Garden) -> None:
        garden.git("repack", "-q", "-a", "-d")
        [path] = (garden.root / ".git/objects/pack").glob(f"*.{suffix}")
        path.unlink()
        make(path)
    return place


def loose(make: Callable[[Path], None], what: str = "HEAD~1:leak.txt") -> Callable[[Garden], None]:
    """In place of a loose object."""
    def place(garden: Garden) -> None:
        name = garden.git("rev-parse", what)
        path = garden.root / ".git/objects" / name[:2] / name[2:]
        path.unlink()
        make(path)
    return place


def zero(path: Path) -> None:
    path.symlink_to("/dev/zero")


def linked_head(garden: Garden) -> None:
    os.mkfifo(garden.root / ".git/pipe")
    (garden.root / ".git/HEAD").unlink()
    (garden.root / ".git/HEAD").symlink_to("pipe")


def linked_folder(garden: Garden) -> None:
    (garden.root / ".git/refs/heads/far").symlink_to("/dev")


def writing(garden: Garden) -> None:
    (garden.root / ".git/objects/pack/tmp_pack_abcdef").write_bytes(b"PACK")


def nul(name: str) -> Callable[[Garden], None]:
    def place(garden: Garden) -> None:
        (garden.root / ".git" / name).write_bytes(b"a\0b\n")
    return place


PLACES: dict[str, Callable[[Garden], None]] = {
    "HEAD": fifo("HEAD"), "HEAD, linked": linked_head, "config": fifo("config"), "index": fifo("index"),
    "shallow": fifo("shallow"), "packed-refs": fifo("packed-refs"), "ref": fifo("refs/heads/x"),
    "ref, linked": link("refs/heads/x"), "packed-refs, linked": link("packed-refs"), "log": fifo("logs/HEAD"),
    "alternates": fifo("objects/info/alternates"), "commondir": fifo("commondir"), "pack": packed("pack", os.mkfifo),
    "pack, linked": packed("pack", zero), "index of a pack": packed("idx", os.mkfifo),
    "index of a pack, linked": packed("idx", zero), "object": loose(os.mkfifo), "object, linked": loose(zero),
    "commit": loose(os.mkfifo, "HEAD~1"), "a pack in the making": writing, "alternates with a NUL":
    nul("objects/info/alternates"), "commondir with a NUL": nul("commondir"),
}
HARMLESS = {("log", "--staged"), ("packed-refs, linked", "--staged"), ("object", "--staged")}


@pytest.mark.parametrize("name", PLACES)
def test_nobody_waits_and_it_is_told(shell: Shell, name: str) -> None:
    garden = repository(shell)
    PLACES[name](garden)
    for _ in range(2):  # and with what the first one kept
        said = shell.json("git", garden.root)
        assert said.code in (1, 6), said
        if said.out:
            assert not said.complete and (said.code == 1) == bool(said.findings), said.out
    for words in (("--no-history",), ("--since", "HEAD~1"), ("--staged",)):
        said = shell.json("git", garden.root, *words)
        assert said.code in (2, 6) or (said.code, said.complete) == (1, False), (words, said)


def test_a_link_to_a_folder_is_not_followed(shell: Shell) -> None:
    garden = repository(shell)
    linked_folder(garden)
    assert shell.json("git", garden.root, "--since", "HEAD~1").code == 6


def test_what_git_reads_in_a_working_tree(shell: Shell) -> None:
    """For --no-ignored, git reads `.gitignore` and looks into repositories."""
    garden = repository(shell)
    assert shell.scan("path", garden.root, "--no-ignored").code == 0
    (garden.root / "sub").mkdir()
    os.mkfifo(garden.root / "sub/.gitignore")
    said = shell.scan("path", garden.root, "--no-ignored")
    assert said.code == 6 and ".gitignore" in said.err
    (garden.root / "sub/.gitignore").unlink()
    (garden.root / "sub/.git").mkdir()
    os.mkfifo(garden.root / "sub/.git/HEAD")
    assert shell.scan("path", garden.root, "--no-ignored").code == 6
    assert shell.scan("path", garden.root).code == 0
