"""config/ci/pre-receive on a real server: a bare repository, a real `git push`, git's own quarantine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import canary
from tests.ci.stage import Ran, Stage, server, token


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    made = Stage(tmp_path / "s")
    made.repository()
    server(made)
    return made


def push(stage: Stage, *words: str, **env: str) -> Ran:
    return stage.run("git", "push", "-q", "origin", *(words or ("main",)), cwd="work", env=env)


def refs(stage: Stage) -> str:
    return stage.git("for-each-ref", "--format=%(refname)", cwd="server.git")


def refused(stage: Stage, ran: Ran, value: str) -> bool:
    """Refused for this value, which is nowhere in what the person is told."""
    assert canary.search(ran.everything.encode(), value.encode()) == []
    return ran.code != 0 and "the push brings a credential" in ran.err and "sk-or-v1-…" in ran.err


def test_a_clean_push_goes_through(stage: Stage) -> None:
    ran = push(stage)
    assert (ran.code, refs(stage)) == (0, "refs/heads/main"), ran
    stage.commit("more", "still nothing\n")
    assert push(stage).code == 0
    assert list((stage.root / "tmp").iterdir()) == []  # nothing is left of the scratch repository


def test_a_push_with_a_credential_is_refused_and_leaves_nothing(stage: Stage) -> None:
    assert push(stage).code == 0
    value = token()
    bad = stage.commit("app.env", f"OPENROUTER_API_KEY={value}\n")
    stage.commit("app.env", "OPENROUTER_API_KEY=\n", "oops, out again")  # gone from the tip, not from the history
    ran = push(stage)
    assert refused(stage, ran, value), ran
    assert "app.env:1" in ran.err and bad[:12] in ran.err
    assert stage.run("git", "cat-file", "-e", bad, cwd="server.git").code != 0
    assert stage.git("rev-parse", "main", cwd="server.git") != stage.git("rev-parse", "HEAD")


def test_a_new_branch_is_asked_for_what_is_new_in_it(stage: Stage) -> None:
    old = token()
    stage.commit("old.env", f"OPENROUTER_API_KEY={old}\n")
    hook = stage.root / "server.git" / "hooks" / "pre-receive"
    hook.chmod(0o644)
    assert push(stage).code == 0  # it leaked before there was a hook
    hook.chmod(0o755)
    stage.git("switch", "-q", "-c", "topic")
    stage.commit("new", "nothing\n")
    ran = push(stage, "topic")
    assert (ran.code, refs(stage).split()) == (0, ["refs/heads/main", "refs/heads/topic"]), ran
    value = token()
    stage.git("switch", "-q", "-c", "second")
    stage.commit("x.env", f"OPENROUTER_API_KEY={value}\n")
    ran = push(stage, "second")
    assert refused(stage, ran, value) and "old.env" not in ran.err, ran


def test_of_several_refs_one_is_enough(stage: Stage) -> None:
    value = token()
    stage.git("branch", "good")
    stage.git("switch", "-q", "-c", "bad")
    stage.commit("x.env", f"OPENROUTER_API_KEY={value}\n")
    assert refused(stage, push(stage, "good", "bad"), value)
    assert refs(stage) == ""


@pytest.mark.parametrize("place", ["message", "tag", "name", "blob"])
def test_messages_tags_and_names_are_looked_at(stage: Stage, place: str) -> None:
    value, wanted = token(), ["main"]
    if place == "message":
        stage.commit("y", "y\n", f"use {value} for now")
    elif place == "tag":
        stage.git("tag", "-a", "v1", "-m", f"released with {value}")
        wanted = ["v1"]
    elif place == "name":
        stage.git("branch", f"try-{value}")
        wanted = [f"try-{value}"]
    else:
        stage.write("loose", f"OPENROUTER_API_KEY={value}\n")
        stage.git("tag", "thing", stage.git("hash-object", "-w", "../loose"))
        wanted = ["thing"]
    assert push(stage).code == 0 or place == "message"
    ran = stage.run("git", "push", "-q", "origin", *wanted, cwd="work")
    assert ran.code != 0 and "the push brings a credential" in ran.err, ran


def test_deleting_a_branch_brings_nothing(stage: Stage) -> None:
    assert push(stage, "main", "main:other").code == 0
    assert push(stage, "--delete", "other").code == 0 and refs(stage) == "refs/heads/main"


def test_the_baseline_is_the_servers_own(stage: Stage) -> None:
    value = token()
    stage.commit("x.env", f"OPENROUTER_API_KEY={value}\n")
    found = stage.run("clawsecrets", "scan", "git", ".", "--json", cwd="work")
    stage.write("report.json", found.out)
    made = stage.run("clawsecrets", "baseline", "add", "--from", "../report.json", "--reason", "made up", "--expires",
                     "9d", cwd="work")
    assert (found.code, made.code) == (1, 0), (found, made)
    assert stage.run("clawsecrets", "scan", "git", ".", cwd="work").code == 0
    stage.git("add", "--all")
    stage.git("commit", "-q", "-m", "hide it")
    assert refused(stage, push(stage), value)  # what is pushed cannot excuse itself
    (stage.root / "server.git" / "clawsecrets-baseline").write_bytes(
        (stage.root / "work" / ".clawsecrets-baseline").read_bytes())
    ran = push(stage)
    assert ran.code == 0, ran


@pytest.mark.parametrize("scanner", ["no-such-program", "false"])
def test_it_fails_closed(stage: Stage, scanner: str) -> None:
    ran = push(stage, CLAWSECRETS=scanner)
    assert ran.code != 0 and refs(stage) == "" and "refused" in ran.err, ran


def test_what_cannot_be_looked_at_is_refused(stage: Stage) -> None:
    assert push(stage).code == 0
    blob = stage.git("hash-object", "-w", "README")
    path = stage.root / "server.git" / "objects" / blob[:2] / blob[2:]
    assert path.is_file()
    stage.git("tag", "bare", stage.git("rev-parse", "HEAD^{tree}"))
    ran = push(stage, "bare")
    assert ran.code != 0 and "bare tree" in ran.err, ran
