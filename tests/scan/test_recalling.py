"""The findings of a repository said again without looking: always what a scan without a cache says."""

from __future__ import annotations

import base64
import datetime
import json
import os
import random
import re
import shutil
import subprocess
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from clawsecrets.config.paths import find_paths
from clawsecrets.model.finding import Coverage, Kind, Place, Report, Skipped
from clawsecrets.reporters import reporter
from clawsecrets.reporters.json import Json
from clawsecrets.scan import cache as caches
from clawsecrets.scan import recalled
from clawsecrets.scan.baseline import Baseline, Entry
from clawsecrets.scan.fingerprint import fingerprint
from clawsecrets.scan.pipeline import Outcome
from clawsecrets.scan.ruleset import Ruleset
from clawsecrets.scan.triage import Group
from clawsecrets.scan.verdict import exit_code
from clawsecrets.sources.git.memory import Memory
from clawsecrets.wiring import recalling, scanning
from clawsecrets.wiring.recalling import Recalling
from clawsecrets.wiring.scanning import Order, Scan
from tests import canary as canaries
from tests.scan.scanned import RULES, Told, token


class Repository:
    """One with a clock of its own: each commit is a minute later."""

    def __init__(self, path: Path, *words: str) -> None:
        self.path, self.now, self._files = path, 1_800_000_000, 0
        path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main", *words)
        for number in range(40):
            self.write(f"nothing {number}\n" * 20)
        self.commit()
        for number in range(3):
            self.write(f"A=1\nKEY={token(number)}\n")
            self.commit()
        self.git("repack", "-adq")

    def git(self, *words: str) -> str:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.path), "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "A",
               "GIT_AUTHOR_EMAIL": "a@invalid", "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@invalid",
               "GIT_AUTHOR_DATE": f"@{self.now} +0000", "GIT_COMMITTER_DATE": f"@{self.now} +0000",
               "GIT_EDITOR": "true"}
        return subprocess.run(["git", "-c", "gc.auto=0", *words], cwd=self.path, env=env, check=True,
                              capture_output=True, text=True).stdout.strip()

    def write(self, text: str) -> None:
        self._files += 1
        (self.path / f"file{self._files}.txt").write_text(text)

    def commit(self, message: str = "a change") -> str:
        self.now += 60
        self.git("add", "-A")
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD")

    def clean(self) -> str:
        """A commit with nothing in it."""
        self.write(f"nothing of {self.now}\n" * 5)
        return self.commit()

    def leak(self, number: int) -> str:
        """A commit with a value in it."""
        self.write(f"B=2\nKEY={token(number)}\n")
        return self.commit()

    def name(self, number: int) -> str:
        """A commit with a value in a file's name."""
        (self.path / f"{token(number)}.txt").write_text(f"nothing of {self.now}\n")
        return self.commit()

    def amend(self) -> None:
        """The last commit, with other words: nothing but the reflog leads to the one that it was."""
        self.now += 60
        self.git("commit", "-q", "--amend", "-m", f"said again at {self.now}")

    def on_branches(self) -> set[str]:
        """The fingerprints of the values to which a branch leads, by git's word."""
        commits = self.git("rev-list", "--branches", "HEAD").split()
        texts = subprocess.run(["git", "grep", "-h", "-o", "zbr_[A-Za-z0-9]*", *commits], cwd=self.path, check=False,
                               capture_output=True, text=True).stdout
        names = self.git("log", "--format=", "--name-only", "-m", "--branches", "HEAD")
        return {fingerprint(value.encode()) for value in re.findall(r"zbr_[A-Za-z0-9]{24}\b", f"{texts}\n{names}")}


class Own(Scan):
    """A scan with one rule."""

    rules_: Ruleset = RULES

    def ruleset(self) -> Ruleset:
        return self.rules_


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repo")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def again(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each scan that could say findings again: whether it did."""
    found: list[bool] = []
    holds = Recalling.holds

    def noted(self: Recalling, outcome: object) -> bool:
        found.append(holds(self, outcome))  # type: ignore[arg-type]
        return found[-1]

    monkeypatch.setattr(Recalling, "holds", noted)
    return found


def scan(repo: Repository | Path, home: Path, **order: object) -> Report:
    path = repo.path if isinstance(repo, Repository) else repo
    given = Order("git", (str(path),), workers=1, **order)  # type: ignore[arg-type]
    return Own(given, find_paths(environ={"CLAWSECRETS_HOME": str(home)}), Told()).run()


def facts(report: Report) -> tuple[object, ...]:
    """Everything that is told but counts."""
    coverage = report.coverage
    return (tuple(report.findings), tuple(report.baselined), dict(report.rules), coverage.sources, coverage.skipped,
            coverage.shallow, coverage.refs, report.interrupted, report.stats["not_shown"], report.stats["rules"])


def same(repo: Repository | Path, home: Path, **order: object) -> Report:
    """With the cache as without."""
    cached = scan(repo, home, **order)
    plain = scan(repo, home, no_cache=True, **order)
    assert written(cached) == written(plain)
    assert cached.drawn is not None or facts(cached) == facts(plain)
    return cached


def test_what_was_told_is_told_again(repo: Repository, home: Path, again: list[bool]) -> None:
    first = same(repo, home)
    assert len(first.findings) == 3 and not again
    second = same(repo, home)
    assert again == [True] and second.coverage.objects < 10 and second.findings == first.findings
    repo.clean()
    third = same(repo, home)
    assert again == [True, True] and third.findings == first.findings and third.coverage.objects > 0
    assert same(repo, home).coverage.objects == second.coverage.objects and again == [True] * 3
    for form in ("text", "json", "sarif", "junit", "html", "gitlab", "codequality", "github"):
        timeless = third._replace(stats={}, coverage=first.coverage)
        assert reporter(form).write(timeless) == reporter(form).write(first._replace(stats={}))


def test_ids_of_32_bytes(tmp_path: Path, home: Path, again: list[bool]) -> None:
    repo = Repository(tmp_path / "other", "--object-format=sha256")
    first = same(repo, home)
    repo.clean()
    assert same(repo, home).findings == first.findings and again == [True]


def test_what_is_new_is_found(repo: Repository, home: Path, again: list[bool]) -> None:
    same(repo, home)
    repo.leak(7)
    assert len(same(repo, home).findings) == 4 and again == [False]
    assert len(same(repo, home).findings) == 4 and again == [False, True]
    repo.write(f"once more {token(0)}\n")
    repo.commit()
    report = same(repo, home)
    assert again == [False, True, False]
    assert sorted(len(finding.locations) for finding in report.findings) == [1, 1, 1, 2]


MOVES: dict[str, Callable[[Repository], object]] = {
    "tag": lambda repo: repo.git("tag", "v1"),
    "annotated tag": lambda repo: repo.git("tag", "-a", "v1", "-m", "words"),
    "branch": lambda repo: repo.git("branch", "other", "HEAD~2"),
    "back": lambda repo: repo.git("reset", "-q", "--hard", "HEAD~1"),
    "amend": lambda repo: repo.git("commit", "-q", "--amend", "-m", "other words"),
    "update-ref": lambda repo: repo.git("update-ref", "refs/heads/main", "HEAD~2"),
    "reflogs": lambda repo: repo.git("reflog", "expire", "--expire=now", "--all"),
    "rename": lambda repo: repo.git("branch", "-m", "main", "trunk"),
    "stash": lambda repo: (repo.write("x\n"), repo.git("stash", "-u", "-q")),
    "notes": lambda repo: repo.git("notes", "add", "-m", f"see {token(50)}"),
    "config": lambda repo: repo.git("config", "remote.x.url", f"https://{token(51)}@invalid/x"),
    "orphan": lambda repo: repo.git("checkout", "-q", "--orphan", "fresh"),
    "gc": lambda repo: repo.git("gc", "-q", "--prune=now"),
    "worktree": lambda repo: repo.git("worktree", "add", "-q", "../worktree"),
    "index": lambda repo: (repo.write(token(52)), repo.git("add", "-A")),
}


@pytest.mark.parametrize("move", MOVES)
def test_names_that_move(repo: Repository, home: Path, move: str) -> None:
    same(repo, home)
    MOVES[move](repo)
    same(repo, home)
    repo.clean()
    same(repo, home)
    same(repo, home)


def test_a_branch_that_moves_along_is_no_news(repo: Repository, home: Path, again: list[bool]) -> None:
    repo.git("branch", "other")
    repo.git("branch", "old", "HEAD~2")
    repo.git("tag", "-a", "v1", "-m", "words")
    same(repo, home)
    repo.clean()
    same(repo, home)
    assert again == [True], "it leads to the same findings"
    repo.git("branch", "-f", "other", "main")
    repo.clean()
    same(repo, home)
    assert again == [True, True]
    repo.git("branch", "-f", "old", "main")
    report = same(repo, home)
    assert again == [True, True], "it leads to more of them"
    assert all("refs/heads/old" in finding.locations[0].provenance.refs for finding in report.findings)


def test_what_it_depends_on(repo: Repository, home: Path, tmp_path: Path, again: list[bool],
                            monkeypatch: pytest.MonkeyPatch) -> None:
    first = same(repo, home)
    today = datetime.datetime.now(datetime.UTC).date()
    chosen = first.findings[0].fingerprint

    def baseline(expires: datetime.date, reason: str) -> None:
        entry = Entry(chosen, "zebra.key", expires, "me", reason)
        (repo.path / ".clawsecrets-baseline").write_bytes(Baseline(entries={chosen: entry}).render())

    from clawsecrets.scan.baseline_place import usual_place

    place = usual_place(repo.path)
    baseline(today + datetime.timedelta(3), "known")
    (repo.path / ".clawsecrets-baseline").replace(place)
    report = same(repo, home)
    assert len(report.findings) == 2 and [one.baseline for one in report.baselined] == ["known"] and not again
    assert same(repo, home).baselined == report.baselined and again == [True]
    baseline(today - datetime.timedelta(3), "known")
    (repo.path / ".clawsecrets-baseline").replace(place)
    expired = same(repo, home)
    assert len(expired.findings) == 3 and again == [True] and any("expired" in line for one in expired.findings
                                                                  for line in one.next)
    place.unlink()
    assert len(same(repo, home, confidence="high").findings) == 3
    (tmp_path / "config.toml").write_text('[scan]\ndisable = ["zebra.*"]\n')
    monkeypatch.setenv("CLAWSECRETS_CONFIG", str(tmp_path / "config.toml"))
    paths = find_paths(str(tmp_path / "config.toml"), environ={"CLAWSECRETS_HOME": str(home)})
    silent = Own(Order("git", (str(repo.path),), workers=1), paths, Told()).run()
    assert not silent.findings and silent.stats["not_shown"] == 3


def test_a_copy_elsewhere_has_its_own_name(repo: Repository, home: Path, tmp_path: Path, again: list[bool]) -> None:
    same(repo, home)
    shutil.copytree(repo.path, tmp_path / "copy")
    report = same(tmp_path / "copy", home)
    assert not again and report.coverage.sources == (f"git {tmp_path / 'copy'}",)


def test_what_cannot_be_told_again(repo: Repository, home: Path, again: list[bool]) -> None:
    (repo.path / "loose").write_text(token(9))
    repo.git("hash-object", "-w", "loose")
    (repo.path / "loose").unlink()
    assert len(same(repo, home).findings) == 4
    same(repo, home)
    assert not again, "one is dangling: a commit may bring it without anything new"


class NewOnly:
    """A source of a repository that gives what is new."""

    def __init__(self, *skipped: Skipped) -> None:
        self.skipped, self.gives_all = skipped, False

    def coverage(self) -> Coverage:
        return Coverage(skipped=self.skipped)

    def unsettle(self) -> None:
        self.gives_all = True


@pytest.mark.parametrize("what", ["", "matches", "skipped", "extra", "dropped", "of the source"])
def test_whatever_is_told_of_what_is_new_is_looked_at_with_all_the_rest(what: str) -> None:
    outcome, left = Outcome(), Skipped("a pack", "it is damaged")
    if what in vars(outcome):
        getattr(outcome, what).append(left)
    source = NewOnly(*([left] if what == "of the source" else []))
    one = Recalling(source, None, {}, None)  # type: ignore[arg-type]
    assert one.holds(outcome) is (what == "") and source.gives_all is (what != "")


@pytest.mark.parametrize("why", ["", "left", "interrupted", "shallow", "a file", "in no commit", "a value in a path"])
def test_only_what_can_be_told_without_a_look_is_kept(repo: Repository, why: str) -> None:
    skipped = (Skipped("a pack", "it is damaged"),) if why == "left" else ()
    report = Report((), Coverage(skipped=skipped, shallow=why == "shallow"), interrupted=why == "interrupted")
    commit = b"" if why == "in no commit" else bytes(20)
    memory = Memory(0, {bytes(20): (commit, f"{token(7)}.env")}, (commit,), {})
    source = SimpleNamespace(memory=lambda: memory, standing=lambda: {}, layout=SimpleNamespace(top=repo.path))
    match = SimpleNamespace(place=Place(Kind.GIT_CONFIG, "file") if why == "a file" else Place(Kind.GIT_BLOB, "00"))
    outcome = SimpleNamespace(matches=[match])
    found = recalling.kept(source, outcome, report, "judged", lambda path: why != "a value in a path")  # type: ignore
    assert (found is None) is (why != "")


def test_a_cache_that_is_not_as_it_should_be(repo: Repository, home: Path, again: list[bool],
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    same(repo, home)
    plain = caches._plain
    for odd in ({}, {"judged": 1}, [], "x", 7, {"refs": []}, {"found": "x"}, {"found": "eJw="}, {"refs": {"tips": 1}},
                {"refs": {"tips": {}, "logs": {}}}):
        def broken(one: caches.RepositorySeen, odd: object = odd) -> dict[str, object]:
            whole = plain(one)
            whole["report"] = {**whole["report"], **odd} if odd and isinstance(odd, dict) else odd  # type: ignore
            return whole

        monkeypatch.setattr(caches, "_plain", broken)
        repo.leak(100 + len(again) + random.Random(str(odd)).randrange(10**6))
        scan(repo, home)
        monkeypatch.setattr(caches, "_plain", plain)
        before = len(again)
        same(repo, home)
        assert True not in again[before:], odd


def test_rules_that_changed_their_words(repo: Repository, home: Path, again: list[bool]) -> None:
    same(repo, home)
    rule = RULES.rules[0]._replace(page="https://invalid/keys")
    changed = Ruleset([rule], "code")
    assert changed.hash == RULES.hash, "the hash covers what is found, not what is said of it"

    class Other(Own):
        rules_ = changed

    report = Other(Order("git", (str(repo.path),), workers=1), find_paths(environ={"CLAWSECRETS_HOME": str(home)}),
                   Told()).run()
    assert not again and report.rules["zebra.key"].page == "https://invalid/keys"


def test_no_value_is_kept(repo: Repository, home: Path, again: list[bool]) -> None:
    value = token(77)
    repo.write(f"KEY={value}\n")
    repo.commit(f"words with {value}")
    shutil.rmtree(repo.path / ".git" / "logs")  # these hold the words, too, and are files of the repository's own
    (repo.path / ".git" / "COMMIT_EDITMSG").unlink()
    scan(repo, home, form="json")
    scan(repo, home, form="json")
    seen = b""
    for path in home.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not canaries.search(data, value.encode()), path
            for part in data.split(b'"'):
                if part.startswith(b"eF"):  # zlib's first bytes in base64
                    seen += zlib.decompress(base64.b64decode(part))
    assert not canaries.search(seen, value.encode()) and b'"locations": [{' in seen and b'"places":[' in seen
    assert again == [True]


def test_the_text_has_a_limit(repo: Repository, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = scan(repo, home)
    table = recalled.packed(report)
    size, text = table["rows"]
    assert recalled.unpacked(table, RULES.by_id) is not None
    for broken in (text[:-8], "", "eJw=", text[:40] + "AAAA" + text[44:]):
        for odd in ([size, broken], broken, [size - 1, text], [size + 1, text], [0, ""], [-1, text], ["x", text]):
            with pytest.raises((ValueError, KeyError, IndexError, TypeError)):
                recalled.unpacked({**table, "rows": odd}, RULES.by_id)
    with pytest.raises(ValueError, match="number"):
        recalled.unpacked({**table, "counts": [2, 0]}, RULES.by_id)
    monkeypatch.setattr(recalled, "LARGEST", 10)
    with pytest.raises(ValueError, match="too large"):
        recalled.unpacked(table, RULES.by_id)


def written(report: Report) -> str:
    """As JSON, without the counts that differ."""
    stats = {**report.stats, "seconds": 0}
    coverage = report.coverage._replace(objects=0, bytes=0, cached=0, commits=0)
    return Json().write(report._replace(stats=stats, coverage=coverage))


@pytest.mark.parametrize("baselined", [False, True])
def test_as_it_was_written(repo: Repository, home: Path, tmp_path: Path, again: list[bool], baselined: bool,
                           monkeypatch: pytest.MonkeyPatch) -> None:
    """The text of a JSON report is kept and told again, and no finding is read for it."""
    repo.write(f"KEY={token(31)}\n")
    repo.commit("odd \u202e\x7f\xe9 \"words\"")
    order: dict[str, object] = {"form": "json"}
    if baselined:
        listed = tmp_path / "listed.toml"
        order["baseline"] = str(listed)
        until = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(3)
        entry = Entry(scan(repo, home, no_cache=True).findings[0].fingerprint, "zebra.key", until, "me", "known")
        listed.write_bytes(Baseline(entries={entry.fingerprint: entry}).render())
    first = scan(repo, home, **order)
    assert len(first.baselined) == baselined and written(first) == written(first._replace(drawn=None))
    monkeypatch.setattr(recalled, "parsed", lambda *given: pytest.fail("a finding was read"))
    repo.clean()
    for _ in range(2):
        second = scan(repo, home, **order)
        assert second.drawn is not None and (len(second.findings), len(second.baselined)) == (4 - baselined, baselined)
        assert written(second) == written(scan(repo, home, no_cache=True, **order))
        assert exit_code(second) == 1 and len(json.loads(written(second))["findings"]) == 4 - baselined
        with pytest.raises(TypeError):
            next(iter(second.findings))
    assert again == [True, True]


def test_what_other_code_has_drawn_is_drawn_anew(repo: Repository, home: Path, again: list[bool],
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    first = scan(repo, home, form="json")
    monkeypatch.setattr(scanning, "_drawing", lambda: "another")
    second = scan(repo, home, form="json")
    assert again == [True] and second.drawn is None and written(second) == written(first)


def test_another_format_reads_what_was_kept_for_json(repo: Repository, home: Path, again: list[bool]) -> None:
    for form in ("json", "text", "json", "sarif"):
        report = scan(repo, home, form=form)
        assert written(report) == written(scan(repo, home, no_cache=True, form=form))
        assert report.drawn is not None or facts(report) == facts(scan(repo, home, no_cache=True))
    assert again == [True] * 3


def test_text_that_is_too_long_is_not_kept(repo: Repository, home: Path, again: list[bool],
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recalled, "DRAWN", 100)
    for _ in range(2):
        report = scan(repo, home, form="json")
        assert written(report) == written(scan(repo, home, no_cache=True))
    assert again == [True] and report.drawn is None


def test_commits_of_an_earlier_time(repo: Repository, home: Path, again: list[bool]) -> None:
    """A branch that was begun before, and comes later."""
    tip = repo.git("rev-parse", "HEAD")
    same(repo, home)
    repo.now -= 100_000
    repo.git("checkout", "-q", "-b", "work", f"{tip}~1")
    repo.clean()
    same(repo, home)
    assert again == [], "a branch that was not there"
    repo.clean()
    report = same(repo, home)
    assert again == [True] and len(report.findings) == 3
    repo.git("cherry-pick", tip)  # what was found is brought once more, earlier than before
    report = same(repo, home)
    commits = {finding.locations[0].provenance.commit for finding in report.findings}
    assert again == [True] and repo.git("rev-parse", "HEAD") in commits and tip not in commits


def test_the_confidence_that_is_asked_for(repo: Repository, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Own, "rules_", Ruleset([RULES.rules[0]._replace(confidence="medium")], "code"))
    assert len(same(repo, home).findings) == 3
    assert not same(repo, home, confidence="high").findings
    assert len(same(repo, home).findings) == 3


def test_a_file_of_the_repository_that_was_cleaned(repo: Repository, home: Path) -> None:
    repo.git("config", "remote.x.url", f"https://{token(63)}@invalid/x")
    assert len(same(repo, home).findings) == 4
    repo.git("config", "--unset", "remote.x.url")
    assert len(same(repo, home).findings) == 3


def test_what_a_provider_said_is_asked_each_time(repo: Repository, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def verify(self: Scan, groups: Sequence[Group]) -> None:
        asked.append(len(groups))
        for one in groups:
            one.live = "dead"

    monkeypatch.setattr(Scan, "_verify", verify)
    plain = same(repo, home)
    verified = scan(repo, home, verify=True)
    assert asked == [3] and {finding.live for finding in verified.findings} == {"dead"}
    assert same(repo, home).findings == plain.findings
    assert scan(repo, home, verify=True).findings == verified.findings and asked == [3, 3]
    assert same(repo, home).findings == plain.findings


def test_an_early_commit_with_the_tree_of_a_finding(repo: Repository, home: Path) -> None:
    """git's diffs do not name a commit's own tree."""
    parent = repo.git("rev-parse", "HEAD")
    (repo.path / f"{token(60)}.txt").write_text("nothing\n")
    repo.commit()
    repo.clean()
    same(repo, home)
    repo.now -= 90
    tree = repo.git("rev-parse", "HEAD~1^{tree}")
    repo.git("commit-tree", "-p", parent, "-m", "early", tree)
    same(repo, home)


def test_an_early_commit_with_a_blob_whose_path_is_not_kept(repo: Repository, home: Path) -> None:
    parent = repo.git("rev-parse", "HEAD")
    value = token(61)
    (repo.path / "d").mkdir()
    (repo.path / "d" / value).write_text(f"KEY={value}\n")
    repo.commit()
    repo.clean()
    same(repo, home)
    repo.now -= 90
    blob = repo.git("rev-parse", f"HEAD:d/{value}")
    tree = subprocess.run(["git", "mktree"], cwd=repo.path, input=f"100644 blob {blob}\tz\n", capture_output=True,
                          text=True, check=True).stdout.strip()
    repo.git("commit-tree", "-p", parent, "-m", "early", tree)
    same(repo, home)


def test_a_reflog_that_names_a_commit_that_comes_back(repo: Repository, home: Path) -> None:
    main = repo.git("rev-parse", "HEAD")
    repo.git("checkout", "-q", "--detach")
    repo.leak(62)
    late = repo.clean()
    repo.git("checkout", "-q", "main")
    log = repo.path / ".git" / "logs" / "HEAD"
    log.write_text(f"{main} {late} A <a@invalid> {repo.now} +0000\tx\n")
    place = repo.path / ".git" / "objects" / late[:2] / late[2:]
    data = place.read_bytes()
    place.unlink()
    same(repo, home)
    same(repo, home)
    place.write_bytes(data)
    same(repo, home)


@pytest.mark.parametrize("leaks", [False, True])
def test_the_path_of_the_repository_is_masked(tmp_path: Path, home: Path, leaks: bool) -> None:
    """Also where nothing is found in it."""
    value = token(8)
    folder = tmp_path / value
    folder.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    if leaks:
        (folder / "a.txt").write_text(f"KEY={token(9)}\n")
        subprocess.run(["git", "hash-object", "-w", "a.txt"], cwd=folder, check=True, capture_output=True)
    for form in ("json", "json", "text"):
        report = scan(folder, home, form=form)
        assert len(report.findings) == leaks and value not in written(report) and "…" in report.coverage.sources[0]


def test_a_commit_that_was_amended(repo: Repository, home: Path) -> None:
    """What a branch leads to is told so, though the first commit that brought it is in the reflog only."""
    repo.leak(71)
    repo.name(72)
    for _ in range(3):
        repo.amend()
    for _ in range(2):
        report = same(repo, home)
        assert {place.provenance.reachable for one in report.findings for place in one.locations} == {"branch"}
        assert not any("no branch leads there" in line for one in report.findings for line in one.next)
        repo.git("repack", "-adq")
    repo.git("reset", "-q", "--hard", "HEAD~1")
    gone = [one for one in same(repo, home).findings if one.locations[0].provenance.reachable == "reflog"]
    assert [one.fingerprint for one in gone] == [fingerprint(token(72).encode())]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_name_is_told_by_the_first_commit_that_has_it(repo: Repository, home: Path, workers: int) -> None:
    """Whichever of the trees that have it is looked at first: their ids and their order in a pack are chance."""
    first = repo.name(75)
    for number in range(6):
        if number == 3:
            repo.git("repack", "-adq")
        repo.clean()
        given = Order("git", (str(repo.path),), workers=workers, no_cache=number % 2 == 0)
        report = Own(given, find_paths(environ={"CLAWSECRETS_HOME": str(home)}), Told()).run()
        [found] = [one for one in report.findings if one.fingerprint == fingerprint(token(75).encode())]
        assert [place.provenance.commit for place in found.locations] == [first]


def test_a_commit_of_a_tag_and_the_same_again_on_a_branch(repo: Repository, home: Path) -> None:
    """As where a pull request is squashed; both in any order of cache and repack."""
    repo.git("checkout", "-q", "--detach")
    repo.leak(73)
    repo.git("tag", "old")
    blob = repo.git("rev-parse", "HEAD^{tree}")
    repo.git("checkout", "-q", "main")
    repo.git("reflog", "expire", "--expire=now", "--all")

    def reached() -> tuple[str, tuple[str, ...], str]:
        [found] = [one for one in same(repo, home).findings if one.fingerprint == fingerprint(token(73).encode())]
        where = found.locations[0].provenance
        return where.reachable, where.refs, where.commit

    first = repo.git("rev-parse", "old")
    assert reached() == ("tag", ("refs/tags/old",), first)
    repo.clean()
    assert reached() == ("tag", ("refs/tags/old",), first)
    repo.git("read-tree", "-u", "--reset", blob)
    repo.commit("squashed")
    for _ in range(2):
        word, refs, commit = reached()
        assert (word, commit) == ("branch", first) and {"refs/heads/main", "refs/tags/old"} <= {*refs}
        repo.git("repack", "-adq")
    repo.git("tag", "-d", "old")
    word, refs, commit = reached()
    assert word == "branch" and "refs/tags/old" not in refs and commit == first
    repo.git("branch", "aside")
    repo.git("reset", "-q", "--hard", "HEAD~1")
    repo.git("reflog", "expire", "--expire=now", "--all")
    assert "refs/heads/aside" in reached()[1]
    repo.git("branch", "-D", "aside")
    assert reached()[0] in ("dangling", "reflog")


def test_a_tag_of_a_tag_leads_there(repo: Repository, home: Path) -> None:
    repo.git("checkout", "-q", "--detach")
    repo.leak(76)
    repo.git("tag", "-a", "inner", "-m", "words")
    repo.git("tag", "-a", "outer", "-m", "words", "inner")
    repo.git("tag", "-d", "inner")
    repo.git("checkout", "-q", "main")
    repo.git("reflog", "expire", "--expire=now", "--all")
    for _ in range(2):
        [found] = [one for one in same(repo, home).findings if one.fingerprint == fingerprint(token(76).encode())]
        where = found.locations[0].provenance
        assert (where.reachable, where.refs) == ("tag", ("refs/tags/outer",))


def test_a_name_that_a_branch_leads_to_is_told_by_its_first_commit_alone(repo: Repository, home: Path) -> None:
    """Not by a tag of another history, in which it stands as well."""
    first = repo.name(78)
    repo.git("checkout", "-q", "--orphan", "apart")
    repo.clean()
    repo.git("tag", "aside")
    repo.git("checkout", "-q", "main")
    repo.git("branch", "-D", "apart")
    repo.git("reflog", "expire", "--expire=now", "--all")
    for _ in range(2):
        [found] = [one for one in same(repo, home).findings if one.fingerprint == fingerprint(token(78).encode())]
        [place] = found.locations
        where = place.provenance
        assert (where.commit, where.reachable, where.refs) == (first, "branch", ("refs/heads/main",))


def test_more_reflog_entries_than_are_told(repo: Repository, home: Path, again: list[bool]) -> None:
    repo.leak(74)
    repo.clean()
    repo.git("reset", "-q", "--hard", "HEAD~1")
    same(repo, home)
    for _ in range(12):
        repo.clean()
    assert "ORIG_HEAD" in {ref for one in same(repo, home).findings for ref in one.locations[0].provenance.refs}
    assert again == [True]


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_to_a_repository(repo: Repository, home: Path, again: list[bool], seed: int) -> None:
    """Scanned after every step, with a cache and without."""
    chance = random.Random(seed)

    def anywhere() -> str:
        return chance.choice(repo.git("rev-list", "--all").split())

    def another_time() -> None:
        repo.now += chance.choice((-60, -100_000, -100_000, 300_000))

    steps: list[Callable[[], object]] = [
        another_time, another_time,
        repo.clean, repo.clean, repo.clean, lambda: repo.leak(chance.randrange(5)),
        lambda: repo.git("branch", "-f", f"b{chance.randrange(3)}", anywhere()),
        lambda: repo.git("tag", "-f", f"t{chance.randrange(3)}", anywhere()),
        lambda: repo.git("tag", "-f", "-a", f"a{chance.randrange(3)}", "-m", "words", anywhere()),
        lambda: repo.git("checkout", "-q", "--detach", anywhere()), lambda: repo.git("checkout", "-q", "main"),
        lambda: repo.git("merge", "-q", "-s", "ours", "-m", "a merge", anywhere()),
        lambda: repo.git("reset", "-q", "--hard", anywhere()),
        lambda: repo.git("repack", "-adq"), lambda: repo.git("pack-refs", "--all"),
        lambda: repo.git("reflog", "expire", "--expire=now", "--all"),
        lambda: repo.git("update-ref", "-d", f"refs/heads/b{chance.randrange(3)}"),
        lambda: repo.git("revert", "--no-edit", anywhere()), lambda: repo.git("cherry-pick", anywhere()), repo.amend,
        lambda: repo.name(90 + chance.randrange(2)) if seed % 2 else repo.clean(),
    ]
    for _ in range(18):
        step = chance.choice(steps)
        try:
            step()
        except subprocess.CalledProcessError:
            continue  # nothing to merge, nothing to commit, an untracked file is in the way
        report = same(repo, home, form=chance.choice(("json", "json", "text")))
        found = json.loads(written(report))["findings"]
        assert {one["fingerprint"] for one in found if any(
            place["reachable"] == "branch" for place in one["locations"])} == repo.on_branches()
    assert again
