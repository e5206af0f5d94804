"""Could a target carry what it is to hold as a whole? Asked before a rotation makes anything; writes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from clawsecrets.injectors import bundle_format
from clawsecrets.injectors.bundle import ResolverBundle
from clawsecrets.injectors.directory import Directory
from clawsecrets.injectors.envfile import EnvFile
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Entry, Injector

LINES = b"canary-one\ncanary-two"


def entry(name: str, value: bytes = b"v", env: str = "") -> Entry:
    return Entry(name, 1, SecretValue(value), env)


def every(folder: Path) -> list[Injector]:
    return [EnvFile("e", folder / "app.env", "docker"), Directory("d", folder / "dir"),
            ResolverBundle("b", folder / "bundle")]


def test_what_can_be_carried_is_ok_and_nothing_is_written(tmp_path: Path) -> None:
    for injector in every(tmp_path):
        assert injector.could([entry("a"), entry("b")]).outcome is Outcome.OK
        assert injector.could([]).outcome is Outcome.OK
    assert list(tmp_path.iterdir()) == []


def test_an_env_file_refuses_a_neighbour_with_a_line_break(tmp_path: Path) -> None:
    file = tmp_path / "app.env"
    file.write_text("A=old\n")
    reply = EnvFile("e", file, "docker").could([entry("a"), entry("neighbour", LINES)])
    assert reply.outcome is Outcome.REFUSED and "canary" not in reply.detail
    assert file.read_text() == "A=old\n"


def test_an_env_file_refuses_two_that_claim_one_variable(tmp_path: Path) -> None:
    reply = EnvFile("e", tmp_path / "app.env", "docker").could([entry("a", env="TOKEN"), entry("b", env="TOKEN")])
    assert reply.outcome is Outcome.REFUSED and "TOKEN" in reply.detail


def test_an_env_file_refuses_a_form_that_it_could_not_rewrite(tmp_path: Path) -> None:
    file = tmp_path / "app.env"
    file.write_text('B="open\n')
    assert EnvFile("e", file, "compose").could([entry("a")]).outcome is Outcome.REFUSED


@pytest.mark.parametrize("bad", [entry("a", b""), entry("../up")])
def test_a_directory_refuses_what_it_could_not_write(tmp_path: Path, bad: Entry) -> None:
    assert Directory("d", tmp_path / "dir").could([bad]).outcome is Outcome.REFUSED


def test_a_directory_refuses_a_link_in_the_place_of_a_neighbour(tmp_path: Path) -> None:
    folder = tmp_path / "dir"
    folder.mkdir()
    (folder / "b").symlink_to(tmp_path / "elsewhere")
    assert Directory("d", folder).could([entry("a"), entry("b")]).outcome is Outcome.REFUSED


def test_a_bundle_refuses_what_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_format, "LARGEST", 2000)
    one = ResolverBundle("b", tmp_path / "bundle")
    assert one.could([entry("a", b"x" * 100)]).outcome is Outcome.OK
    assert one.could([entry(f"a{n}", b"x" * 100) for n in range(30)]).outcome is Outcome.REFUSED
    assert one.could([entry("a", b"\xff")]).outcome is Outcome.REFUSED
    assert list(tmp_path.iterdir()) == []
