"""A repository with one invented token in each place where git can hold one, and what a scan must say of each.

Real git makes it, with pinned dates and identities. Tokens look like `plant_<place>_<letters>`: a stub that looks for
that shape finds them without any rules."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from clawsecrets.model.finding import Kind

SHAPE = re.compile(rb"plant_[a-z0-9]+_[a-z]{24}")


@dataclass(frozen=True)
class Plant:
    """One token, and where a scan must place it."""

    token: str
    kind: Kind
    path: str
    """The path in the finding; empty = not compared."""
    reachable: str
    """Empty = not compared."""
    commit: str = ""
    """First line of the message of the first commit that has it; empty = not compared."""


def shaped(place: str) -> str:
    """An invented token that says where it was put."""
    letters = "".join(chr(97 + byte % 26) for byte in hashlib.sha256(place.encode()).digest()[:24])
    return f"plant_{place}_{letters}"


@dataclass
class Garden:
    """A repository under construction."""

    root: Path
    made: Callable[[str], str] = shaped
    """Makes the token of a place; always the same one."""
    plants: list[Plant] = field(default_factory=list)
    clock: int = 1_700_000_000

    def git(self, *words: str, given: bytes = b"", author: str = "Ada Roe <ada@example.invalid>",
            cwd: Path | None = None) -> str:
        """Run git here; its output."""
        self.clock += 60
        name, _, mail = author.rstrip(">").partition(" <")
        surroundings = {
            "PATH": os.environ["PATH"], "HOME": str(self.root), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C",
            "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": mail,
            "GIT_COMMITTER_NAME": "Bo Lin", "GIT_COMMITTER_EMAIL": "bo@example.invalid",
            "GIT_AUTHOR_DATE": f"{self.clock} +0200", "GIT_COMMITTER_DATE": f"{self.clock} +0200",
            "GIT_ALLOW_PROTOCOL": "file",
        }
        done = subprocess.run(["git", "-c", "gc.auto=0", "-c", "init.defaultBranch=main", *words],
                              cwd=cwd or self.root, env=surroundings, input=given, capture_output=True, check=False)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def token(self, place: str) -> str:
        """The token of a place."""
        return self.made(place)

    def expect(self, place: str, kind: Kind, path: str = "", reachable: str = "", commit: str = "") -> str:
        """A token that must be found."""
        token = self.token(place)
        self.plants.append(Plant(token, kind, path, reachable, commit))
        return token

    def write(self, path: str, text: str) -> None:
        """A file of the working tree."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def commit(self, message: str, **author: str) -> str:
        """Everything there is, committed."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message, **author)
        return self.git("rev-parse", "HEAD")


def filler(seed: str, lines: int = 60) -> str:
    """Text that deltas can be made of."""
    return "".join(f"{seed} {i} {hashlib.sha256(f'{seed}{i}'.encode()).hexdigest()[:24]}\n" for i in range(lines))


def plant(root: Path, object_format: str = "sha1", made: Callable[[str], str] = shaped) -> Garden:
    """Make the repository in an empty folder."""
    garden = Garden(root, made)
    root.mkdir(parents=True, exist_ok=True)
    garden.git("init", "-q", f"--object-format={object_format}", ".")
    _branches(garden)
    _merges(garden)
    _other_refs(garden)
    _unreachable(garden)
    _names(garden)
    _folder(garden)
    _index(garden)
    return garden


def _branches(garden: Garden) -> None:
    blob, message = Kind.GIT_BLOB, Kind.GIT_MESSAGE
    garden.write("app/main.py", filler("main"))
    garden.commit("Begin")
    garden.write("app/main.py", filler("main") + garden.expect("head", blob, "app/main.py", "branch", "In HEAD") + "\n")
    garden.commit("In HEAD")
    garden.write("old.env", filler("old") + garden.expect("removed", blob, "old.env", "branch", "Put in") + "\n")
    garden.commit("Put in")
    (garden.root / "old.env").unlink()
    garden.commit("Take out")
    garden.git("commit", "-q", "--allow-empty", "-m", "Words\n\nwith " + garden.expect("message", message, "", "branch",
                                                                                     "Words"))
    identity = garden.expect("identity", message, "", "branch", "Somebody")
    garden.commit("Somebody", author=f"Eve <{identity}@example.invalid>")
    garden.git("checkout", "-q", "-b", "side", "HEAD~2")
    garden.write("side.txt", garden.expect("side", blob, "side.txt", "branch", "On a side branch") + "\n")
    garden.commit("On a side branch")
    garden.git("checkout", "-q", "main")


def _merges(garden: Garden) -> None:
    garden.git("checkout", "-q", "-b", "feature", "main~1")
    garden.write("both.txt", "theirs\n")
    garden.commit("Theirs")
    garden.git("checkout", "-q", "main")
    garden.write("both.txt", "ours\n")
    garden.commit("Ours")
    garden.git("merge", "-q", "--no-ff", "--no-commit", "-s", "ours", "feature")
    garden.write("both.txt", "resolved " + garden.expect("evilmerge", Kind.GIT_BLOB, "both.txt", "branch", "Merge")
                 + "\n")
    garden.commit("Merge")
    garden.write("both.txt", "resolved\n")
    garden.commit("Clean up after the merge")


def _loose_commit(garden: Garden, path: str, text: str, message: str, parent: str = "main") -> str:
    """A commit that no branch has."""
    blob = garden.git("hash-object", "-w", "--stdin", given=text.encode())
    tree = garden.git("mktree", given=f"100644 blob {blob}\t{path}\n".encode())
    return garden.git("commit-tree", tree, "-p", parent, "-m", message)


def _other_refs(garden: Garden) -> None:
    blob, message = Kind.GIT_BLOB, Kind.GIT_MESSAGE
    for place, ref, reachable in (
        ("tagged", "refs/tags/light", "tag"), ("remote", "refs/remotes/origin/topic", "remote"),
        ("pull", "refs/pull/7/head", "pull"), ("odd", "refs/hidden/thing", "ref"),
        ("mergerequest", "refs/merge-requests/3/head", "pull"),
    ):
        text = garden.expect(place, blob, f"{place}.txt", reachable, f"Only {place}")
        garden.git("update-ref", ref, _loose_commit(garden, f"{place}.txt", text, f"Only {place}"))
    garden.git("tag", "-a", "v1", "-m", "Release " + garden.expect("tagmessage", message, "", "tag"), "main")
    blob_id = garden.git("hash-object", "-w", "--stdin", given=garden.expect("tagblob", blob, "", "tag").encode())
    garden.git("tag", "blob", blob_id)
    garden.git("notes", "add", "-m", garden.expect("note", blob, "", "notes"), "main")
    garden.git("notes", "--ref", "review", "add", "-m", garden.expect("othernote", blob, "", "notes"), "main")
    tree = garden.git("rev-parse", "main^{tree}")
    hidden = garden.git("commit-tree", tree, "-m", "Replaced " + garden.expect("replaced", message, "", "branch"))
    shown = garden.git("commit-tree", tree, "-m", "Replacement " + garden.expect("replacement", message, "", "ref"))
    garden.git("update-ref", "refs/heads/hides", hidden)
    garden.git("replace", hidden, shown)
    for place in ("stashold", "stashnew"):
        garden.write("app/main.py", filler("main") + garden.expect(place, blob, "app/main.py", "stash") + "\n")
        if place == "stashnew":
            garden.write("untracked.txt", garden.expect("stashuntracked", blob, "untracked.txt", "stash"))
        garden.git("stash", "push", "-q", "--include-untracked")


def _unreachable(garden: Garden) -> None:
    blob = Kind.GIT_BLOB
    garden.write("amended.txt", garden.expect("reflog", blob, "amended.txt", "reflog", "Amend me") + "\n")
    garden.commit("Amend me")
    garden.git("reset", "-q", "--hard", "HEAD~1")
    text = garden.expect("danglingcommit", blob, "lost.txt", "dangling", "Lost")
    _loose_commit(garden, "lost.txt", text, "Lost")
    garden.git("hash-object", "-w", "--stdin", given=garden.expect("danglingblob", blob, "", "dangling").encode())


def _names(garden: Garden) -> None:
    name = Kind.GIT_NAME
    held = garden.expect("filename", name, "", "branch", "Names")
    garden.write(f"deep/{held}.txt", "nothing\n")
    for i in range(12):
        garden.write(f"deep/more{i}.txt", f"{i}\n")
    (garden.root / "link").symlink_to(garden.expect("symlink", Kind.GIT_BLOB, "link", "branch", "Names"))
    garden.write("secret/.keep", "")
    garden.commit("Names")
    garden.git("branch", garden.expect("branchname", name), "main~1")
    garden.git("tag", garden.expect("packedtag", name), "main~1")


def _folder(garden: Garden) -> None:
    config = Kind.GIT_CONFIG
    url = f"https://bot:{garden.expect('remoteurl', config, '.git/config')}@git.example.invalid/app.git"
    garden.git("remote", "add", "elsewhere", url)
    dot = garden.root / ".git"
    (dot / "hooks").mkdir(exist_ok=True)
    hook = garden.expect("hook", config, ".git/hooks/pre-push")
    (dot / "hooks" / "pre-push").write_text(f"#!/bin/sh\n# {hook}\n")
    (dot / "FETCH_HEAD").write_text(garden.git("rev-parse", "main") + "\t\tbranch 'main' of https://x:"
                                    + garden.expect("fetchhead", config, ".git/FETCH_HEAD") + "@git.example.invalid\n")
    (dot / "description").write_text(garden.expect("description", config, ".git/description"))
    (dot / "COMMIT_EDITMSG").write_text(garden.expect("editmsg", config, ".git/COMMIT_EDITMSG"))
    (dot / "rebase-merge").mkdir()
    (dot / "rebase-merge" / "message").write_text(garden.expect("rebase", config, ".git/rebase-merge/message"))
    (dot / "info").mkdir(exist_ok=True)
    (dot / "info" / "exclude").write_text(garden.expect("exclude", config, ".git/info/exclude"))
    garden.git("update-ref", "-m", "fetched " + garden.expect("reflogmessage", config, ".git/logs/refs/heads/logged"),
               "--create-reflog", "refs/heads/logged", "main")
    module = dot / "modules" / "sub"
    garden.git("init", "-q", "--bare", str(module))
    (module / "config").write_text((module / "config").read_text() + '[remote "origin"]\n\turl = https://x:'
                                   + garden.expect("submodule", config, ".git/modules/sub/config")
                                   + "@git.example.invalid/sub\n")
    garden.git("worktree", "add", "-q", "--detach", str(garden.root.parent / (garden.root.name + "-linked")), "main")
    linked = garden.root.parent / (garden.root.name + "-linked")
    (linked / "wt.txt").write_text(garden.expect("worktree", Kind.GIT_BLOB, "wt.txt", "branch", "Detached"))
    garden.git("add", "-A", cwd=linked)
    garden.git("commit", "-q", "-m", "Detached", cwd=linked)
    (linked / "staged.txt").write_text(garden.expect("worktreestaged", Kind.GIT_BLOB, "staged.txt", "index"))
    garden.git("add", "-A", cwd=linked)


def _index(garden: Garden) -> None:
    garden.write("staged.env", "A=1\nB=" + garden.expect("staged", Kind.GIT_BLOB, "staged.env", "index") + "\n")
    garden.git("add", "staged.env")
