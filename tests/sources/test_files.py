"""Files and folders as a source: every regular file once, and a reason for all that was not looked at."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from clawsecrets.errors import UsageError
from clawsecrets.formats.pieces import OVERLAP, PIECE
from clawsecrets.model.finding import Content, Kind, Place, Skipped
from clawsecrets.sources.files import FileSource
from clawsecrets.sources.stream import StreamSource


class Told:
    def __init__(self) -> None:
        self.skips: list[Skipped] = []
        self.objects = self.bytes = 0
        self.works: list[int] = []

    def skipped(self, skipped: Skipped) -> None:
        self.skips.append(skipped)

    def looked(self, objects: int, size: int, work: int = 0) -> None:
        self.objects += objects
        self.bytes += size
        self.works.append(work)

    def cached(self, objects: int) -> None:
        raise AssertionError("files are not cached")

    def known(self, message: str) -> None:
        raise AssertionError(message)


def read(source: FileSource | StreamSource, workers: int = 2) -> tuple[list[Content], Told]:
    told = Told()
    contents = [content for part in source.parts(workers) for content in part.contents(told)]
    work = source.work()
    assert work is None or (sum(told.works) == sum(work) and min(told.works, default=0) >= 0)
    return contents, told


def by_path(contents: Sequence[Content]) -> dict[str, bytes]:
    found = {content.place.path: content.data for content in contents if not content.place.path.endswith("/")}
    assert len(found) == len([c for c in contents if not c.place.path.endswith("/")])
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "a" / "b").mkdir(parents=True)
    for name in ("top", "a/one", "a/b/two", "a/b/.hidden", "a/empty"):
        (root / name).write_bytes(name.encode() if "empty" not in name else b"")
    return root


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_file_once_whatever_the_workers(tree: Path, workers: int) -> None:
    contents, told = read(FileSource([str(tree)]), workers)
    assert by_path(contents) == {"top": b"top", "a/one": b"a/one", "a/b/two": b"a/b/two",
                                 "a/b/.hidden": b"a/b/.hidden", "a/empty": b""}
    assert told.skips == [] and told.objects == 5 and told.bytes == sum(len(c.data) for c in contents
                                                                       if not c.place.path.endswith("/"))


def test_names_are_content_too(tree: Path) -> None:
    contents, _ = read(FileSource([str(tree)]))
    names = {c.place.path: set(c.data.split(b"\n")) for c in contents if c.place.path.endswith("/")}
    assert names == {"./": {b"a", b"top"}, "a/": {b"b", b"one", b"empty"}, "a/b/": {b"two", b".hidden"}}


def test_a_single_file_goes_by_its_name(tree: Path) -> None:
    contents, _ = read(FileSource([str(tree / "a" / "one")]))
    assert contents == [Content(b"a/one", Place(Kind.FILE, str(tree / "a" / "one"), "one"))]


def test_several_roots_keep_their_names(tree: Path) -> None:
    contents, _ = read(FileSource([str(tree / "top"), str(tree / "a")]))
    assert set(by_path(contents)) == {str(tree / "top"), *(f"{tree}/a/{n}" for n in ("one", "empty", "b/two",
                                                                                     "b/.hidden"))}


def test_links_are_content_and_not_followed(tree: Path) -> None:
    (tree / "loop").symlink_to(".")
    (tree / "away").symlink_to("/nowhere/at/all")
    contents, told = read(FileSource([str(tree)]))
    found = by_path(contents)
    assert found["loop"] == b"." and found["away"] == b"/nowhere/at/all" and len(found) == 7 and told.skips == []


def test_a_root_may_be_a_link(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tree)
    (tmp_path / "filelink").symlink_to(tree / "top")
    assert "a/one" in by_path(read(FileSource([str(tmp_path / "link")]))[0])
    assert by_path(read(FileSource([str(tmp_path / "filelink")]))[0]) == {"filelink": b"top"}


def test_what_is_no_file_is_told_and_no_fault(tree: Path) -> None:
    os.mkfifo(tree / "pipe")
    _, told = read(FileSource([str(tree)]))
    assert told.skips == [Skipped("pipe", "a FIFO", by_choice=True)]


def test_a_repositorys_folder_is_left_to_scan_git(tree: Path) -> None:
    (tree / ".git").mkdir()
    (tree / ".git" / "config").write_text("x")
    contents, told = read(FileSource([str(tree)]))
    assert ".git/config" not in by_path(contents) and [s.by_choice for s in told.skips] == [True]
    contents, told = read(FileSource([str(tree)], repositories=True))
    assert ".git/config" in by_path(contents) and told.skips == []


def test_a_repository_that_is_read_beside_it_is_not_told_as_left_out(tree: Path) -> None:
    for folder in (".git", "a/.git"):
        (tree / folder).mkdir()
        (tree / folder / "config").write_text("x")
    contents, told = read(FileSource([str(tree)], beside=True))
    assert [skip.what for skip in told.skips] == ["a/.git"]
    assert not {".git/config", "a/.git/config"} & set(by_path(contents))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_incomplete(tree: Path) -> None:
    (tree / "top").chmod(0)
    (tree / "a" / "b").chmod(0)
    _, told = read(FileSource([str(tree)]))
    assert {(s.what, s.reason, s.by_choice) for s in told.skips} == {
        ("top", "permission denied", False), ("a/b/", "permission denied", False)}


def test_a_folder_that_goes_away_is_incomplete(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def gone(path: str) -> object:
        if path.endswith("/b"):
            raise FileNotFoundError(2, "gone")
        return real(path)

    monkeypatch.setattr(os, "scandir", gone)
    _, told = read(FileSource([str(tree)]))
    assert told.skips == [Skipped("a/b/", "no such file or directory")]


def test_filters_leave_out_files_and_folders(tree: Path) -> None:
    contents, told = read(FileSource([str(tree)], chosen=lambda path: not path.startswith("a/b")))
    assert set(by_path(contents)) == {"top", "a/one", "a/empty"} and told.skips == []


def test_a_list_of_paths(tree: Path) -> None:
    contents, told = read(FileSource([str(tree)], listed=["top", "a/one", "gone"]))
    assert set(by_path(contents)) == {"top", "a/one"}
    assert told.skips == []  # tracked by git, and deleted here


def test_a_root_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="no such file"):
        FileSource(["/nowhere/at/all"]).parts(1)
    assert read(FileSource(["/nowhere/at/all"], optional=True))[0] == []


def test_a_root_of_which_it_cannot_be_told_is_not_looked_at(tmp_path: Path) -> None:
    """Nobody may say that nothing is there, or that it was looked at; and it is said once, however many read."""
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    for root, reason in ((f"{tmp_path}/{'x' * 300}", "too long"), (f"{tmp_path}/circle/inside", "symbolic links"),
                         (f"{tmp_path}/link", "leads nowhere")):
        contents, told = read(FileSource([root]), workers=3)
        assert not contents and [skip.what for skip in told.skips] == [root] and reason in told.skips[0].reason, root


def test_a_large_file_comes_in_pieces_that_overlap(tmp_path: Path) -> None:
    file = tmp_path / "large"
    line = b"0123456789abcde\n"
    with open(file, "wb") as out:
        for _ in range(0, 2 * PIECE + PIECE // 2, 1 << 20):
            out.write(line * (1 << 16))
    contents, told = read(FileSource([str(file)]))
    assert len(contents) > 1 and told.objects == 1 and told.bytes == file.stat().st_size
    end = 0
    for number, content in enumerate(contents):
        assert content.offset + content.overlap == end and content.line == content.offset // 16
        assert content.column == content.offset % 16 and content.overlap == (OVERLAP if number else 0)
        end = content.offset + len(content.data)
        assert (content.whole is not None) == (number == 0)
    assert end == file.stat().st_size
    assert contents[0].whole is not None
    with contents[0].whole() as whole:
        assert whole.seekable() and whole.read(16) == line


def test_holes_are_not_read(tmp_path: Path) -> None:
    """A file of terabytes in which little is written: what is written is given, with its place, and nothing else."""
    file, size = tmp_path / "disk", 8 << 40
    written = {0: b"begin\n", 3 << 30: b"one\ntwo", (3 << 30) + (1 << 20): b" x", 7 << 40: b"end\nof it\n"}
    with open(file, "wb") as out:
        out.truncate(size)
        for offset, data in written.items():
            out.seek(offset)
            out.write(data)
    contents, told = read(FileSource([str(file)]))
    for offset, data in written.items():
        [held] = [one for one in contents if one.offset <= offset and offset + len(data) <= one.offset + len(one.data)]
        assert held.data[offset - held.offset:][:len(data)] == data
        before = sum(text.count(b"\n") for place, text in written.items() if place < held.offset)
        assert held.line == before
        assert held.column == held.offset - max((place + text.rfind(b"\n") + 1 for place, text in written.items() if
                                                 place < held.offset and b"\n" in text), default=0)
    assert told.objects == 1 and told.bytes < 1 << 20 and contents[0].whole is not None
    empty = tmp_path / "empty"
    with open(empty, "wb") as out:
        out.truncate(size)
    assert [one.data for one in read(FileSource([str(empty)]))[0] if one.data != b"empty"] == []


def test_what_was_named_and_is_no_file_is_incomplete(tmp_path: Path) -> None:
    """In a folder it is nobody's loss; named itself it is what was asked for."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in ("pipe", "link"):
        for many in ([], [str(tmp_path / "other")]):
            (tmp_path / "other").write_text("x")
            _, told = read(FileSource([str(tmp_path / path), *many]))
            assert [skip.by_choice for skip in told.skips] == [False]
            _, told = read(FileSource([str(tmp_path / path), *many], optional=True))
            assert [skip.by_choice for skip in told.skips] == [True]


def test_a_file_without_a_size_is_read_all_the_same() -> None:
    contents, _ = read(FileSource(["/proc/self/status"]))
    assert b"Name:" in b"".join(content.data for content in contents)


def test_a_stream(tmp_path: Path) -> None:
    out, into = os.pipe()
    writer = threading.Thread(target=lambda: (os.write(into, b"some "), os.write(into, b"text\n"), os.close(into)))
    writer.start()
    contents, told = read(StreamSource(lambda n: os.read(out, n)))
    writer.join()
    os.close(out)
    assert contents == [Content(b"some text\n", Place(Kind.STDIN, "<stdin>", "<stdin>"))] and told.bytes == 10


def test_a_stream_that_breaks_is_incomplete() -> None:
    def broken(size: int) -> bytes:
        raise OSError(5, "Input/output error")

    assert read(StreamSource(broken))[1].skips == [Skipped("<stdin>", "Input/output error")]
