"""A repository that is an attack: nothing of it is run, nothing of it hides anything."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from clawsecrets.clients.git import Git, GitFailed
from clawsecrets.model.finding import Kind, Place
from clawsecrets.sources.git.narrow import Narrow
from clawsecrets.sources.git.source import GitSource
from clawsecrets.sources.git.staged import StagedSource
from tests.plants.git_plants import Garden
from tests.sources.git_eye import located, scan


@pytest.fixture
def trap(tmp_path: Path) -> Garden:
    return setting_of_traps(tmp_path)


def setting_of_traps(tmp_path: Path) -> Garden:
    """Everything in a repository's power that makes git run a program: each would touch a canary."""
    garden = Garden(tmp_path / "repo")
    garden.root.mkdir()
    garden.git("init", "-q", ".")
    garden.write("kept.txt", garden.token("kept"))
    garden.write(".gitattributes", "* filter=evil diff=evil merge=evil\n")
    garden.commit("Begin")
    garden.write("gone.txt", "this blob is promised\n")
    gone = garden.git("hash-object", "gone.txt")
    garden.commit("Promise")
    garden.write("staged.txt", garden.token("staged"))
    garden.git("add", "staged.txt")
    (garden.root / ".git/objects" / gone[:2] / gone[2:]).unlink()
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\ntouch "{tmp_path}/canary-$(basename "$0")"\nexit 1\n')
    program.chmod(0o700)

    def canary(name: str) -> str:
        (tmp_path / f"run-{name}").symlink_to(program)
        return str(tmp_path / f"run-{name}")

    settings = {
        "core.repositoryformatversion": "1", "extensions.partialClone": "evil", "remote.evil.promisor": "true",
        "remote.evil.url": "ext::" + canary("ext"), "protocol.ext.allow": "always", "protocol.allow": "always",
        "core.fsmonitor": canary("fsmonitor"), "core.hooksPath": str(tmp_path / "hooks"), "core.pager": canary("pager"),
        "pager.log": canary("pagerlog"), "core.sshCommand": canary("ssh"), "core.editor": canary("editor"),
        "core.askPass": canary("askpass"), "core.gitProxy": canary("proxy"), "filter.evil.clean": canary("clean"),
        "filter.evil.smudge": canary("smudge"), "filter.evil.process": canary("process"),
        "filter.evil.required": "true", "diff.evil.textconv": canary("textconv"), "diff.evil.command": canary("diff"),
        "diff.external": canary("external"), "merge.evil.driver": canary("merge"), "gpg.program": canary("gpg"),
        "log.showSignature": "true", "credential.helper": "!" + canary("credential"),
        "core.alternateRefsCommand": canary("alternaterefs"), "uploadpack.packObjectsHook": canary("packobjects"),
        "alias.log": "!" + canary("alias"), "alias.rev-list": "!" + canary("aliaslist"),
        "sequence.editor": canary("seq"),
        "gc.auto": "1", "core.useReplaceRefs": "true", "trace2.eventTarget": str(tmp_path / "canary-trace"),
    }
    (tmp_path / "hooks").mkdir()
    for hook in ("post-index-change", "reference-transaction", "pre-auto-gc", "post-checkout", "fsmonitor-watchman"):
        (tmp_path / "hooks" / hook).symlink_to(program)
    (tmp_path / "included").write_text(f"[core]\n\tfsmonitor = {canary('included')}\n")
    settings["include.path"] = str(tmp_path / "included")
    for name, value in settings.items():
        garden.git("config", "--file", ".git/config", name, value)
    return garden


def canaries(garden: Garden) -> list[str]:
    return sorted(path.name for path in garden.root.parent.glob("canary*"))


def test_the_trap_works(trap: Garden) -> None:
    """With these settings, plain git does run a program (so the tests below can fail)."""
    for words in (["cat-file", "-p", "HEAD:gone.txt"], ["status"]):
        subprocess.run(["git", *words], cwd=trap.root, env={"PATH": os.environ["PATH"], "HOME": "/nowhere"},
                       capture_output=True, check=False)
    assert {"canary-run-ext", "canary-run-included"} <= set(canaries(trap))


def test_a_full_scan_runs_nothing(trap: Garden) -> None:
    source = GitSource(trap.root)
    found, skipped, _ = scan(source)
    assert set(found) == {trap.token("kept"), trap.token("staged")}
    assert [skip for skip in skipped if "promised" in skip.reason]
    ways = located(source, found)
    assert [way.reachable for way in ways[trap.token("kept")]] == ["branch"]
    assert [way.reachable for way in ways[trap.token("staged")]] == ["index"]
    assert canaries(trap) == []


def test_narrowed_scans_run_nothing(trap: Garden) -> None:
    found, _, _ = scan(StagedSource(trap.root))
    assert set(found) == {trap.token("staged")}
    for narrow in (Narrow(since="HEAD~1"), Narrow(commits="HEAD~1..HEAD"), Narrow(branch="main"),
                   Narrow(no_history=True)):
        with suppress(GitFailed):  # a promised object is missing: incomplete, which is the truth
            scan(GitSource(trap.root, narrow=narrow))
    assert canaries(trap) == []


def test_lazy_fetching_is_off_in_old_git_too(trap: Garden) -> None:
    """The one command that would fetch: asked for the promised blob itself."""
    with pytest.raises(GitFailed):
        Git(trap.root / ".git").run("cat-file", "-p", "HEAD:gone.txt")
    assert canaries(trap) == []


def test_replace_refs_and_grafts_hide_nothing(tmp_path: Path) -> None:
    garden = Garden(tmp_path / "repo")
    garden.root.mkdir()
    garden.git("init", "-q", ".")
    garden.write("a", garden.token("hidden"))
    first = garden.commit("First")
    garden.write("a", "nothing")
    second = garden.commit("Second")
    (garden.root / ".git/info").mkdir(exist_ok=True)
    (garden.root / ".git/info/grafts").write_text(second + "\n")
    empty = garden.git("commit-tree", garden.git("mktree"), "-m", "Empty")
    garden.git("replace", first, empty)
    source = GitSource(garden.root)
    found, skipped, _ = scan(source)
    [way] = located(source, found)[garden.token("hidden")]
    assert (way.commit, way.path, way.reachable) == (first, "a", "branch") and skipped == []


def test_hostile_names_are_shown_as_text(tmp_path: Path) -> None:
    garden = Garden(tmp_path / "repo")
    garden.root.mkdir()
    garden.git("init", "-q", ".")
    blob = garden.git("hash-object", "-w", "--stdin", given=garden.token("x").encode())
    name = b"\x01" + b"ab" * 20 + b"\xff\x1b[31m\n"
    tree = garden.git("mktree", "-z", given=b"100644 blob " + blob.encode() + b"\t" + name + b"\0")
    commit = garden.git("commit-tree", tree, "-m", "words \x1b]0;title\x07")
    garden.git("update-ref", "refs/heads/ma\u202ein", commit)
    source = GitSource(garden.root)
    found, skipped, _ = scan(source)
    assert skipped == []
    [way] = located(source, found)[garden.token("x")]
    assert way.commit == commit
    assert all(text.isprintable() for text in (way.path, way.message, way.author, *way.refs))
    source.locate({Place(Kind.GIT_BLOB, "00" * 20)})
