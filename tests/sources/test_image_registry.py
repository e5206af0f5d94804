"""Images from a registry, over real HTTP on loopback: tokens, redirects, wrong digests, and who is told what."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clawsecrets.clients.registry import Login, Reference, Repository, login
from clawsecrets.errors import Incomplete, NotFound, UsageError
from clawsecrets.sources.image.opening import Opening
from tests.plants.fake_registry import Fake, serving
from tests.plants.image_plants import sha256, tar, token
from tests.sources.image_looking import Looked, look

AMD = {"os": "linux", "architecture": "amd64"}


@pytest.fixture
def fake() -> Iterator[Fake]:
    with serving() as made:
        yield made


def planted(fake: Fake) -> dict[str, str]:
    """An image of two platforms; what is hidden in it, and where."""
    secrets = {name: token() for name in ("amd", "arm", "env", "note")}
    layout = fake.layout
    images = [layout.image([tar({"a": b"", "srv/key": secrets["amd"].encode()})], how="gzip", platform=AMD,
                           annotations={"n": secrets["note"]}),
              layout.image([tar({"srv/key": secrets["arm"].encode()})], how="zstd",
                           platform={**AMD, "architecture": "arm64"}, config={"config": {"Env": [secrets["env"]]}})]
    fake.tags["1"] = layout.index(images)
    return secrets


def home(tmp_path: Path, fake: Fake, **entry: str) -> dict[str, str]:
    """An environment with `docker login` done."""
    value = {"auth": base64.b64encode(f"{fake.user}:{fake.password}".encode()).decode(), **entry}
    (tmp_path / "config.json").write_text(json.dumps({"auths": {fake.host: value}, "credsStore": "must-not-run"}))
    return {"DOCKER_CONFIG": str(tmp_path)}


def scanned(fake: Fake, secrets: dict[str, str], environ: dict[str, str], **more: Any) -> Looked:
    return look(Opening(environ, **more).open(f"registry://{fake.host}/team/app:1"), secrets.values())


def all_found(looked: Looked, secrets: dict[str, str]) -> None:
    assert looked.skipped == (), looked.reasons
    places = {name: looked.of(secret)[0] for name, secret in secrets.items()}
    assert {name: seen.place.path.rpartition("!/")[2] for name, seen in places.items()} == {
        "amd": "srv/key", "arm": "srv/key", "env": "config.Env", "note": "annotations.n"}
    assert places["arm"].provenances[0].platform == "linux/arm64"
    assert places["amd"].provenances[0].layer.startswith("sha256:")


@pytest.mark.parametrize("wants", ["", "bearer", "basic"])
@pytest.mark.parametrize("moved", [False, True])
def test_every_platform_is_read(fake: Fake, tmp_path: Path, wants: str, moved: bool) -> None:
    fake.wants = wants
    fake.redirect = f"http://{fake.host.replace('127.0.0.1', 'localhost')}" if moved else ""
    secrets = planted(fake)
    all_found(scanned(fake, secrets, home(tmp_path, fake)), secrets)
    outside = [authorization for host, path, authorization in fake.asked if path.startswith("/elsewhere/")]
    assert outside == [""] * len(outside)  # our authorization goes to nobody but the registry
    assert bool(outside) == moved


def test_an_identity_token(fake: Fake, tmp_path: Path) -> None:
    fake.wants = "bearer"
    secrets = planted(fake)
    all_found(scanned(fake, secrets, home(tmp_path, fake, identitytoken="refresh-1")), secrets)
    assert any("refresh_token=refresh-1" in body for _, path, body in fake.asked if path.startswith("/token"))


def test_a_blob_that_is_not_what_its_digest_says(fake: Fake) -> None:
    secrets = planted(fake)
    layer = next(name for name in fake.layout.files if fake.layout.files[name][:2] == b"\x1f\x8b")
    fake.layout.files[layer] += b"\0"
    assert "not what its digest says" in scanned(fake, secrets, {}).reasons


def test_a_blob_that_is_missing(fake: Fake) -> None:
    secrets = planted(fake)
    layer = next(name for name in fake.layout.files if fake.layout.files[name][:2] == b"\x1f\x8b")
    del fake.layout.files[layer]
    looked = scanned(fake, secrets, {})
    assert "status 404" in looked.reasons
    assert looked.of(secrets["arm"])


def test_an_image_by_its_digest(fake: Fake) -> None:
    secrets = planted(fake)
    data = fake.tags.pop("1")
    fake.layout.blob(data)
    name = f"registry://{fake.host}/team/app@{sha256(data)}"
    all_found(look(Opening({}).open(name), secrets.values()), secrets)
    fake.tags[sha256(data)] = data.replace(b'"schemaVersion": 2', b'"schemaVersion":  2')
    assert "not what its digest says" in look(Opening({}).open(name), []).reasons


def test_what_the_registry_refuses(fake: Fake, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        scanned(fake, {}, {})
    planted(fake)
    fake.wants = "basic"
    with pytest.raises(Incomplete, match="asks for a login"):
        scanned(fake, {}, {})
    fake.wants, fake.realm = "bearer", "http://tokens.example.org/token"
    with pytest.raises(Incomplete, match="no https address for tokens"):
        scanned(fake, {}, home(tmp_path, fake))


@pytest.mark.parametrize("target", ["http://files.example.org", "ftp://127.0.0.1", "file:///etc"])
def test_a_redirect_without_tls_is_not_followed(fake: Fake, target: str) -> None:
    secrets = planted(fake)
    fake.redirect = target
    assert "without TLS" in scanned(fake, secrets, {}).reasons


def test_a_redirect_in_circles(fake: Fake) -> None:
    secrets = planted(fake)
    fake.redirect = f"http://{fake.host}/v2/team/app/blobs"
    looked = scanned(fake, secrets, {})
    assert looked.skipped


def test_nothing_is_fetched_that_was_seen(fake: Fake) -> None:
    secrets = planted(fake)
    clean = {str(values[2]) for values in scanned(fake, secrets, {}).told.extras}
    fake.asked.clear()
    looked = scanned(fake, secrets, {}, seen=clean.__contains__)
    assert looked.told.seen == 2
    assert not {path for _, path, _ in fake.asked} & {f"/v2/team/app/blobs/{digest}" for digest in clean}


def test_references() -> None:
    assert Reference.parse("host.example:5000/a/b:1") == Reference("host.example:5000", "a/b", "1")
    assert Reference.parse("host.example/a") == Reference("host.example", "a", "latest")
    digest = "sha256:" + "a" * 64
    assert Reference.parse(f"host.example/a:1@{digest}").reference == digest
    for wrong in ("", "a", "host.example/A B", "host.example/a:", "user@host.example/a", "host.example/a?b", "h/../a"):
        with pytest.raises(UsageError):
            Reference.parse(wrong)


def test_no_program_is_run_for_credentials_unless_named(tmp_path: Path, fake: Fake,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "docker-credential-mine"
    canary = tmp_path / "ran"
    program.write_text(f"#!/bin/sh\ncat > {canary}\necho '{{\"Username\": \"u\", \"Secret\": \"s\"}}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "config.json").write_text(json.dumps({"credsStore": "mine", "credHelpers": {fake.host: "mine"}}))
    environ = {"DOCKER_CONFIG": str(tmp_path)}
    assert login(fake.host, environ) is None
    assert not canary.exists()
    assert login(fake.host, environ, "mine") == Login("u", "s")
    assert canary.read_text() == fake.host
    with pytest.raises(UsageError):
        login(fake.host, environ, "../mine")
    with pytest.raises(UsageError):
        login(fake.host, environ, "not-there")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"auths": 3}', '{"auths": {"h": null}}',
                                  '{"auths": {"h": {"auth": 1}}}', '{"auths": {"h": {"auth": "!"}}}'])
def test_a_config_that_makes_no_sense_is_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert login("h", {"DOCKER_CONFIG": str(tmp_path)}) is None


def test_passwords_do_not_show() -> None:
    shown = repr(Repository(Reference("h.example", "a", "1"), Login("u", "hidden-1", "hidden-2"), "Bearer hidden-3"))
    assert "hidden" not in shown
