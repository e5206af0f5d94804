"""Where findings come from, remembered: a later scan says exactly what it would say without, whatever came since."""

from __future__ import annotations

import base64
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from clawsecrets.model.finding import Kind
from clawsecrets.sources.git import memory as remembering
from clawsecrets.sources.git.layout import find
from clawsecrets.sources.git.memory import Memory
from clawsecrets.sources.git.objects import Objects
from clawsecrets.sources.git.ways import Ways
from tests.scan.scanned import scan, token

DAY = 1_780_000_000


class Repo:
    """A repository whose commits have dates."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.now = DAY
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str) -> str:
        when = f"{self.now} +0000"
        env = {"PATH": os.environ["PATH"], "HOME": str(self.path), "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "A",
               "GIT_AUTHOR_EMAIL": "a@invalid", "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@invalid",
               "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        done = subprocess.run(["git", *words], cwd=self.path, env=env, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, files: dict[str, str], message: str = "more", later: int = 60) -> str:
        self.now += later
        for name, text in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-qm", message, "--allow-empty")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "repo")
    made.commit({f"src/file{number}.txt": f"nothing {number}\n" for number in range(30)})
    made.commit({"a.env": f"KEY={token(1)}\n"}, f"brings {token(2)}")
    made.commit({"deep/er/b.env": f"KEY={token(3)}\n", "copy.env": f"KEY={token(1)}\n"})
    made.git("tag", "-a", "v1", "-m", "first")
    made.commit({f"src/late{number}.txt": f"late {number}\n" for number in range(10)})
    made.git("repack", "-adq")
    return made


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time that all commits were read."""
    times: list[int] = []
    read = Ways.read

    def counted(self: Ways, wanted: object) -> None:
        times.append(1)
        read(self, wanted)  # type: ignore[arg-type]

    monkeypatch.setattr(Ways, "read", counted)
    return times


def same(repo: Repo, home: Path, asked: list[int], reads: bool) -> None:
    """A scan with the cache says what one without says; `reads`: whether it has to read all commits for it."""
    asked.clear()
    found = scan(repo.path, home)
    assert bool(asked) is reads
    assert found.source == "QuickSource"
    plain = scan(repo.path, home, cache=False)
    assert found.facts == plain.facts and plain.where


def test_nothing_new(repo: Repo, tmp_path: Path, asked: list[int]) -> None:
    home = tmp_path / "home"
    scan(repo.path, home)
    assert asked
    same(repo, home, asked, reads=False)
    same(repo, home, asked, reads=False)


def test_commits_on_the_tip_again_and_again(repo: Repo, tmp_path: Path, asked: list[int]) -> None:
    home = tmp_path / "home"
    scan(repo.path, home)
    for round_ in range(3):
        for number in range(4):
            repo.commit({f"src/new{round_}-{number}.txt": "harmless\n"})
        if round_ == 1:
            repo.git("repack", "-dq")
        same(repo, home, asked, reads=False)


def test_branches_merges_tags_and_refs_that_go(repo: Repo, tmp_path: Path, asked: list[int]) -> None:
    home = tmp_path / "home"
    scan(repo.path, home)
    repo.git("checkout", "-qb", "side", "HEAD~2")
    repo.commit({"side.txt": "side\n"})
    same(repo, home, asked, reads=False)
    repo.git("checkout", "-q", "main")
    repo.now += 60
    repo.git("merge", "-q", "--no-ff", "-m", "both", "side")
    repo.git("tag", "light", "HEAD~3")
    same(repo, home, asked, reads=False)
    repo.git("update-ref", "-d", "refs/tags/light")
    repo.git("branch", "-D", "side")
    same(repo, home, asked, reads=False)


def test_one_that_is_older_is_put_in_its_place(repo: Repo, tmp_path: Path, asked: list[int]) -> None:
    home = tmp_path / "home"
    scan(repo.path, home)
    repo.git("checkout", "-q", "--orphan", "old")
    repo.now = DAY - 1_000_000
    earlier = repo.commit({"elsewhere.env": f"KEY={token(1)}\n"}, later=0)
    same(repo, home, asked, reads=True)
    found = scan(repo.path, home, cache=False)
    assert any(one.commit == earlier for where in found.where.values() for one in where)


def test_new_findings_are_told_by_the_new_commits(repo: Repo, tmp_path: Path, asked: list[int]) -> None:
    home = tmp_path / "home"
    scan(repo.path, home)
    repo.commit({"new.env": f"KEY={token(9)}\n"}, f"with {token(8)}")
    same(repo, home, asked, reads=False)
    same(repo, home, asked, reads=False)
    repo.commit({"newer.env": f"KEY={token(5)}\n"})
    repo.git("repack", "-dq")
    same(repo, home, asked, reads=False)
    same(repo, home, asked, reads=False)


def test_names_are_looked_for_in_all_trees(repo: Repo, tmp_path: Path, asked: list[int]) -> None:
    home = tmp_path / "home"
    scan(repo.path, home)
    repo.commit({f"dir/{token(7)}": "a name\n", token(6): "another\n"})
    same(repo, home, asked, reads=True)
    repo.commit({"newer.env": f"KEY={token(5)}\n"})
    repo.git("repack", "-dq")
    same(repo, home, asked, reads=True)


def test_what_no_branch_reaches_is_looked_for_in_all_commits(repo: Repo, tmp_path: Path, asked: list[int]) -> None:
    home = tmp_path / "home"
    repo.git("checkout", "-q", "--detach")
    repo.commit({"new.env": f"KEY={token(9)}\n"})
    repo.git("checkout", "-q", "main")
    scan(repo.path, home)
    repo.commit({"newer.env": "nothing\n"})
    same(repo, home, asked, reads=True)


def test_the_first_of_several_new_ones_brought_it(repo: Repo, tmp_path: Path, asked: list[int]) -> None:
    home = tmp_path / "home"
    scan(repo.path, home)
    repo.now += 60
    for number in range(4):  # at one moment: then the smallest id is the first
        repo.git("checkout", "-qb", f"side{number}", "main")
        repo.commit({f"at{number}.env": f"KEY={token(9)}\n", f"only{number}": "x"}, f"side {number}", later=0)
    repo.git("checkout", "-q", "main")
    repo.now += 60
    repo.git("merge", "-q", "--no-ff", "--no-commit", "side0")
    repo.commit({"evil.env": f"KEY={token(8)}\n"}, "brings what neither had")
    repo.now -= 30  # a child that says to be older than its parent
    repo.commit({"again.env": f"KEY={token(8)}\n", "own.env": f"KEY={token(7)}\n"}, later=0)
    same(repo, home, asked, reads=False)
    repo.git("branch", "-D", "side1", "side2")
    same(repo, home, asked, reads=False)


def test_what_no_commit_had_may_be_brought(repo: Repo, tmp_path: Path, asked: list[int]) -> None:
    home = tmp_path / "home"
    (repo.path / "staged.env").write_text(f"KEY={token(7)}\n")
    repo.git("add", "staged.env")
    scan(repo.path, home)
    same(repo, home, asked, reads=False)
    repo.commit({"other.txt": "harmless\n"})
    same(repo, home, asked, reads=False)
    (repo.path / "later.env").write_text(f"KEY={token(8)}\n")
    repo.git("add", "later.env")
    same(repo, home, asked, reads=False)
    repo.commit({})
    same(repo, home, asked, reads=False)


def test_what_is_neither_remembered_nor_new_may_stand_in_any_commit(repo: Repo) -> None:
    objects = Objects([repo.path / ".git/objects"], 20)
    ways = remembering.Ways(Memory(0, {}, (), {}), objects, find(repo.path, False), ())
    blob = bytes.fromhex(repo.git("rev-parse", "HEAD:a.env"))
    with pytest.raises(remembering.Unsure):
        ways.first({blob: [Kind.GIT_BLOB]}, {})
    objects.close()


def test_an_early_commit_whose_own_tree_is_remembered_may_come_first(repo: Repo) -> None:
    """git's diffs do not name a commit's own tree."""
    head, parent, tree, other = repo.git("rev-parse", "HEAD", "HEAD~1", "HEAD^{tree}", "HEAD~1^{tree}").split()
    early = bytes.fromhex(repo.git("commit-tree", "-p", parent, "-m", "early", tree))
    objects, layout = Objects([repo.path / ".git/objects"], 20), find(repo.path, False)

    def ways(remembered: str) -> remembering.Ways:
        first = {bytes.fromhex(remembered): (bytes.fromhex(head), "")}
        reached = {bytes.fromhex(head): 1, bytes.fromhex(parent): 0}
        return remembering.Ways(Memory(repo.now, first, (bytes.fromhex(head),), reached), objects, layout, [early],
                                clean=True)

    assert ways(other).reached[early] == 0
    with pytest.raises(remembering.Unsure):
        ways(tree)
    objects.close()


def test_a_branch_from_long_ago(repo: Repo, tmp_path: Path, asked: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clawsecrets.sources.git.ways.RECENT", 1)
    shutil.rmtree(repo.path / ".git/logs")  # what is in a reflog is a tip
    home = tmp_path / "home"
    scan(repo.path, home)
    repo.git("checkout", "-qb", "side", "HEAD~3")
    repo.commit({"side.txt": "side\n"})
    same(repo, home, asked, reads=True)


def test_too_many_new_objects_are_not_looked_through(repo: Repo, tmp_path: Path, asked: list[int],
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembering, "FRESH", 5)
    home = tmp_path / "home"
    scan(repo.path, home)
    repo.commit({f"new{number}.txt": f"{number}\n" for number in range(9)})
    same(repo, home, asked, reads=True)


@pytest.mark.parametrize("seed", range(4))
def test_any_history(tmp_path: Path, asked: list[int], seed: int) -> None:
    chance, repo, home = random.Random(seed), Repo(tmp_path / "repo"), tmp_path / "home"
    repo.commit({"file": "nothing\n", "x.env": f"KEY={token(0)}\n"})
    for step in range(14):
        tips = repo.git("for-each-ref", "--format=%(objectname)").split()
        what = chance.choice(["commit", "commit", "leak", "branch", "tag", "old", "copy", "merge", "repack"])
        if what in ("commit", "leak", "old", "copy"):
            text = f"KEY={token(step if what == 'leak' else 0)}\n" if what in ("leak", "copy") else f"{step}\n"
            repo.commit({f"dir{chance.randrange(3)}/f{step}": text}, later=-500 if what == "old" else 60)
        elif what == "branch":
            repo.git("checkout", "-qB", f"b{step}", chance.choice(tips) + "^{commit}")
        elif what == "merge":
            repo.now += 60
            repo.git("merge", "-q", "-s", "ours", "--allow-unrelated-histories", "-m", "m", chance.choice(tips))
        elif what == "tag":
            repo.git("tag", f"t{step}", chance.choice(tips))
        else:
            repo.git("repack", "-dq")
        if step % 2:
            assert scan(repo.path, home).facts == scan(repo.path, home, cache=False).facts, f"step {step}, {what}"


def test_no_value_is_kept_with_a_path(repo: Repo, tmp_path: Path, asked: list[int]) -> None:
    home = tmp_path / "home"
    name = f"{token(5)}.env"
    repo.commit({name: f"KEY={token(6)}\n"})
    scan(repo.path, home)
    [file] = (home / "cache").glob("scan-*.cache")
    body = file.read_bytes()
    assert b"deep/er/b.env" in body
    for number in range(10):
        assert token(number).encode() not in body
        assert base64.b64encode(token(number).encode())[:30] not in body
    same(repo, home, asked, reads=True)  # since it may not know that path


def test_it_is_kept_as_it_is() -> None:
    name = [bytes([number]) * 20 for number in range(5)]
    memory = Memory(7, {name[0]: (name[3], "a/é"), name[1]: (b"", ""), name[2]: (name[4], "")}, (name[3], name[4]),
                    {name[3]: 1, name[4]: 3})
    assert Memory.parsed(memory.plain()) == memory
    assert memory.without(lambda path: path != "a/é").first == {name[1]: (b"", ""), name[2]: (name[4], "")}
