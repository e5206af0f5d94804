"""Images that real engines made, in every format they write: every planted token is found, and where it is."""

from __future__ import annotations

import json
import os
import random
import string
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clawsecrets.clients.docker import Engine
from clawsecrets.errors import Incomplete, NotFound
from clawsecrets.scan_ports import Source
from clawsecrets.sources.image.opening import Opening
from tests.plants.image_plants import DOCKER_ONLY, TAG, Plant, built
from tests.real import docker
from tests.real.docker import Dockerd
from tests.sources.image_looking import Looked, look
from tests.waiting import until

pytestmark = pytest.mark.real("docker")

Planted = tuple[Dockerd, list[Plant], Path]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    if reason := docker.missing():
        pytest.skip(reason)
    with Dockerd() as engine:
        plants = built(engine)
        saved = tmp_path_factory.mktemp("images") / "saved.tar"
        engine.docker("save", "-o", saved, TAG)
        yield engine, plants, saved


def opened(engine: Dockerd, name: str) -> Source:
    return Opening(engine.environment()).open(name)


def check(looked: Looked, plants: list[Plant], *, image: str = TAG, oci: bool = False) -> None:
    assert looked.skipped == (), looked.reasons
    for plant in plants:
        if oci and plant.path in DOCKER_ONLY:
            continue
        seen = [one for one in looked.of(plant.token) if one.place.kind == plant.kind
                and plant.at(one.place.path)]
        assert seen, f"{plant} is not found there, but at {[one.place for one in looked.of(plant.token)]}"
        provenance = seen[0].provenances[0]
        assert provenance.image == image
        assert provenance.platform == "linux/amd64"
        assert plant.instruction in provenance.instruction
        assert provenance.layer.startswith("sha256:") == (plant.kind == "image-layer")


def line_of(looked: Looked, plants: list[Plant], path: str) -> int:
    plant = next(plant for plant in plants if plant.path == path)
    return next(one.line for one in looked.of(plant.token) if one.place.path == path)


def tokens(plants: list[Plant]) -> list[str]:
    return [plant.token for plant in plants]


def test_an_archive_of_docker_save(planted: Planted) -> None:
    engine, plants, saved = planted
    for workers in (1, 2, 3):
        looked = look(opened(engine, str(saved)), tokens(plants), workers)
        check(looked, plants)
        assert line_of(looked, plants, "srv/gone/key.txt") == 2


def test_the_same_compressed_and_as_a_stream(planted: Planted, tmp_path: Path) -> None:
    engine, plants, saved = planted
    packed = tmp_path / "saved.tar.gz"
    packed.write_bytes(subprocess.run(["gzip", "-1c", saved], capture_output=True, check=True).stdout)
    check(look(opened(engine, str(packed)), tokens(plants)), plants)
    with saved.open("rb") as file:
        check(look(Opening({}, lambda: file).open("-"), tokens(plants)), plants)


@pytest.mark.parametrize("name", [TAG, f"docker://{TAG}"])
def test_the_engine_itself(planted: Planted, name: str) -> None:
    engine, plants, _ = planted
    check(look(opened(engine, name), tokens(plants)), plants)


def test_an_image_by_its_id(planted: Planted) -> None:
    engine, plants, _ = planted
    ident = engine.docker("image", "inspect", "-f", "{{.Id}}", TAG).decode().strip()
    check(look(opened(engine, f"docker://{ident}"), tokens(plants)), plants, image=ident)


Convert = Callable[[Dockerd, Path, Path], str]


def _oci(engine: Dockerd, saved: Path, folder: Path) -> str:
    engine.skopeo("copy", f"docker-archive:{saved}", f"oci:{folder / 'layout'}:{TAG}")
    return str(folder / "layout")


def _oci_zstd(engine: Dockerd, saved: Path, folder: Path) -> str:
    engine.skopeo("copy", "--dest-compress-format", "zstd", f"docker-archive:{saved}", f"oci:{folder / 'layout'}:{TAG}")
    return f"oci:{folder / 'layout'}"


def _oci_archive(engine: Dockerd, saved: Path, folder: Path) -> str:
    engine.skopeo("copy", f"docker-archive:{saved}", f"oci-archive:{folder / 'oci.tar'}:{TAG}")
    return f"oci-archive:{folder / 'oci.tar'}"


@pytest.mark.parametrize("convert", [_oci, _oci_zstd, _oci_archive])
def test_oci_formats_of_skopeo(planted: Planted, tmp_path: Path, convert: Convert) -> None:
    engine, plants, saved = planted
    check(look(opened(engine, convert(engine, saved, tmp_path)), tokens(plants)), plants, oci=True)


def test_docker_formats_of_skopeo(planted: Planted, tmp_path: Path) -> None:
    engine, plants, saved = planted
    engine.skopeo("copy", f"docker-archive:{saved}", f"docker-archive:{tmp_path / 'again.tar'}:{TAG}")
    check(look(opened(engine, f"docker-archive:{tmp_path / 'again.tar'}"), tokens(plants)), plants)
    engine.skopeo("copy", f"docker-archive:{saved}", f"dir:{tmp_path / 'folder'}")
    check(look(opened(engine, f"dir:{tmp_path / 'folder'}"), tokens(plants)), plants, image=str(tmp_path / "folder"))


def test_an_image_that_buildah_built(planted: Planted, tmp_path: Path) -> None:
    engine, plants, _ = planted
    token = plants[0].token
    (tmp_path / "Dockerfile").write_text("FROM scratch\nARG KEY=none\nCOPY key /etc/key\nENV A=$KEY\n")
    (tmp_path / "key").write_text("key")
    engine.buildah("bud", "--build-arg", f"KEY={token}", "-t", "planted:2", tmp_path)
    engine.buildah("push", "planted:2", f"oci-archive:{tmp_path / 'out.tar'}:planted:2")
    looked = look(opened(engine, str(tmp_path / "out.tar")), [token])
    assert looked.skipped == (), looked.reasons
    assert {"config.Env"} <= {one.place.path for one in looked.of(token)}


def test_podman_without_a_service(planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, plants, saved = planted
    for name, value in {**engine.environment(), "CONTAINERS_STORAGE_CONF": str(tmp_path / "storage.conf")}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/graph"\nrunroot = "{tmp_path}/run"\n')
    engine.run(["env", f"CONTAINERS_STORAGE_CONF={tmp_path}/storage.conf", "podman", "load", "-q", "-i", saved])
    check(look(Opening({}).open(f"podman://{TAG}"), tokens(plants)), plants)
    with pytest.raises(NotFound):
        Opening({}).open("podman://registry.example.org/nothing:1")


def test_podman_by_its_service(planted: Planted, tmp_path: Path) -> None:
    engine, plants, saved = planted
    (tmp_path / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/graph"\nrunroot = "{tmp_path}/run"\n')
    environ = {**engine.environment(), "CONTAINERS_STORAGE_CONF": str(tmp_path / "storage.conf")}
    engine.run(["env", f"CONTAINERS_STORAGE_CONF={tmp_path}/storage.conf", "podman", "load", "-q", "-i", saved])
    host = f"unix://{engine.base}/podman.sock"
    service = subprocess.Popen(["podman", "system", "service", "--time=0", host], env=environ,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(Engine.of(host, "podman").answers, "podman's service")
        found = Opening({"CONTAINER_HOST": host}).open(f"podman://{TAG}")
        check(look(found, tokens(plants)), plants)
        with pytest.raises(NotFound):
            Opening({"CONTAINER_HOST": host}).open("podman://registry.example.org/nothing:1")
    finally:
        service.terminate()
        service.wait()


def test_what_is_not_there(planted: Planted) -> None:
    engine, _, _ = planted
    with pytest.raises(NotFound):
        opened(engine, "docker://registry.example.org/nothing:1")
    with pytest.raises(Incomplete, match="no engine listens there"):
        Opening({"DOCKER_HOST": "unix:///nonexistent/docker.sock"}).open("docker://app:1")


def test_a_layer_that_was_seen_is_left_out(planted: Planted) -> None:
    engine, plants, saved = planted
    first = look(opened(engine, str(saved)), tokens(plants))
    clean = {str(values[2]) for values in first.told.extras}
    again = look(Opening({}, seen=clean.__contains__).open(str(saved)), tokens(plants))
    assert again.skipped == ()
    assert again.told.seen == len(clean) > 1
    assert {one.place.kind for one in again.found} == {"image-config", "image-annotation"}


def test_an_engine_s_image_that_was_seen_is_not_saved_again(planted: Planted) -> None:
    engine, plants, _ = planted
    first = look(opened(engine, TAG), tokens(plants))
    clean = {str(values[2]) for values in first.told.extras}
    again = look(Opening(engine.environment(), seen=clean.__contains__).open(TAG), tokens(plants))
    assert again.skipped == ()
    assert again.told.seen == len(clean) == 4
    assert {seen.token for seen in again.found} >= {plant.token for plant in plants if plant.kind == "image-config"}
    assert "Config.Env" in {seen.place.path for seen in again.of(plants[2].token)}


def test_an_engine_s_image_with_findings_is_not_saved_again(planted: Planted, tmp_path: Path) -> None:
    """It says the same again, by the image's id alone."""
    engine = planted[0]
    key = "".join(random.SystemRandom().choices(string.ascii_letters + string.digits, k=20))
    engine.docker("build", "-q", "-t", "leaky", "-", data=f"FROM {docker.BASE}\nENV KEY=glpat-{key}\n".encode())
    environ = {**engine.environment(), "CLAWSECRETS_HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    reports = []
    for words in ([], [], ["--no-cache"]):
        done = subprocess.run([Path(sys.executable).with_name("clawsecrets"), "scan", "image", "docker://leaky",
                               "--json", *words], env=environ, capture_output=True, check=False)
        assert done.returncode == 1, done.stderr.decode()
        reports.append(json.loads(done.stdout))
    assert reports[0]["findings"] == reports[1]["findings"] == reports[2]["findings"] != []
    assert [report["coverage"]["objects"] > 0 for report in reports] == [True, False, True]
    assert len({report["coverage"]["layers"] for report in reports}) == 1


def test_containers_and_what_they_say(planted: Planted) -> None:
    engine, plants, _ = planted
    token = plants[0].token
    engine.docker("run", "--name", "speaker", "--network", "none", "-e", f"KEY={token}", docker.BASE, "/bin/sh", "-c",
                  f"echo out {token}; echo err >&2")
    engine.docker("run", "--name", "typist", "-t", "--network", "none", docker.BASE, "/bin/sh", "-c", "echo on tty")
    client = Engine.of(engine.host)
    ids = {one["Names"][0]: one["Id"] for one in client.containers()}
    assert set(ids) == {"/speaker", "/typist"}
    assert f"KEY={token}" in client.inspect(ids["/speaker"])["Config"]["Env"]
    log = client.logs(ids["/speaker"])
    assert b"".join(iter(lambda: log.read(7), b"")) == f"out {token}\nerr\n".encode()
    assert not log.cut
    short = client.logs(ids["/speaker"], limit=5)
    assert (short.read(100), short.read(100), short.cut) == (b"out p", b"", True)
    assert client.logs(ids["/typist"])(100).strip() == b"on tty"
    assert TAG in {tag for image in client.images() for tag in image["RepoTags"] or ()}
    with pytest.raises(NotFound):
        client.inspect("nobody")
