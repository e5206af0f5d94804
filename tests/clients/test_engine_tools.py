"""Podman's and Compose's command lines: what they are given, shown by programs that write down all they got."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clawsecrets.clients import podman
from clawsecrets.clients.compose import Compose
from clawsecrets.errors import Incomplete, Refused
from clawsecrets.model.secret import SecretValue
from tests import canary as canaries

RECORD = """#!/bin/sh
{ echo "== $*"; tr '\\0' '\\n' < /proc/$$/environ; echo; } >> "%s/told"
"""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the programs write; they stand before all others on PATH."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    return tmp_path / "told"


def program(told: Path, name: str, then: str) -> None:
    path = told.parent / "bin" / name
    path.write_text(RECORD % told.parent + then)
    path.chmod(0o700)


def test_a_value_goes_to_podman_by_standard_input(told: Path, canary: bytes) -> None:
    program(told, "podman", f'[ "$2" != create ] || cat > "{told}.stdin"\n[ "$2" != inspect ] || echo "[{{}}]"\n')
    podman.put_secret("name", SecretValue(canary), {"clawsecrets.check": "1:2"})
    assert Path(f"{told}.stdin").read_bytes() == canary
    assert "== secret create --replace --label clawsecrets.check=1:2 name -" in told.read_text()
    assert canaries.search(told.read_bytes(), canary) == []
    with pytest.raises(Incomplete):
        podman.secret_labels("name")


def test_what_podman_says_is_not_repeated(told: Path, canary: bytes) -> None:
    program(told, "podman", "cat >&2\nexit 125\n")
    with pytest.raises(Incomplete) as raised:
        podman.put_secret("name", SecretValue(canary), {})
    assert canaries.search(str(raised.value).encode(), canary) == [] and "exit 125" in raised.value.message


def compose(told: Path, config: str) -> Compose:
    """`docker` is there without its plugin, and `docker-compose` answers as told."""
    program(told, "docker", "exit 1\n")
    program(told, "docker-compose",
            f'case "$*" in *config*) {config};; *ps*) echo 0123456789abcdef; echo rest;; esac\n')
    (told.parent / "compose.yaml").write_text("services: {}\n")
    return Compose(told.parent / "compose.yaml", "app", "proj", "unix:///s")


def test_compose_gets_no_environment_but_what_is_its_own(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRAY_SECRET", "stray")
    monkeypatch.setenv("DOCKER_CONTEXT", "other")
    monkeypatch.setenv("COMPOSE_PROFILES", "kept")
    made = compose(told, "echo app")
    made.recreate()
    assert made.containers() == ["0123456789abcdef"]
    text = told.read_text()
    assert "--project-name proj up --detach --no-deps --no-build --force-recreate app" in text
    assert "DOCKER_HOST=unix:///s" in text and "COMPOSE_PROFILES=kept" in text
    of_compose = text[text.index("== --file"):]
    assert "STRAY_SECRET" not in of_compose and "DOCKER_CONTEXT" not in of_compose


@pytest.mark.parametrize(("config", "words"), [
    ("echo other", "has no service app"), ("exit 15", "cannot read it (exit 15)"),
    ("echo app; echo 'The \"X_KEY\" variable is not set. Defaulting to a blank string.' >&2", "takes X_KEY from"),
    ("echo app; printf %s 'msg=\"The \\\"X_KEY\\\" variable is not set.\"' >&2", "takes X_KEY from")])
def test_what_would_change_the_service_is_refused_before(told: Path, config: str, words: str) -> None:
    with pytest.raises(Refused) as raised:
        compose(told, config).recreate()
    assert words in raised.value.message and " up " not in told.read_text()


def test_a_compose_without_an_end_is_ended(told: Path) -> None:
    made = compose(told, "sleep 600")
    with pytest.raises(Incomplete, match="no end within"):
        Compose(made.file, made.service, timeout=0.3).check()


def test_whether_there_is_a_plugin_is_asked_once_until_compose_fails(told: Path) -> None:
    made = compose(told, "[ ! -e broken ] && echo app")
    made.check()
    made.containers()
    assert told.read_text().count("== compose version") == 1
    (told.parent / "broken").touch()
    with pytest.raises(Refused):
        made.check()
    program(told, "docker", 'case "$*" in *services*) echo app;; esac\n')  # it is installed now
    made.check()
    assert told.read_text().count("== compose version") == 2
    assert f"== compose --file {made.file} --project-name proj --profile * config --services" in told.read_text()


def test_a_podman_secret_that_is_not_there_is_removed(told: Path) -> None:
    program(told, "podman", 'echo "Error: no secret with name or id \\"x\\": no such secret" >&2; exit 1\n')
    podman.remove_secret("x")
    program(told, "podman", "exit 1\n")
    with pytest.raises(Incomplete, match="cannot remove"):
        podman.remove_secret("x")
