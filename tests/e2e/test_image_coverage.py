"""One token in each place where an image can hold one, made by a real engine: all found, by the command, in every form
that an image comes in; and what containers hold and say."""

from __future__ import annotations

import itertools
import json
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clawsecrets.scan.fingerprint import fingerprint
from tests.e2e.shell import Said, Shell, token
from tests.plants.fake_registry import serving
from tests.plants.image_plants import DOCKER_ONLY, TAG, Layout, Plant, built, tar
from tests.real import docker
from tests.real.docker import Dockerd
from tests.waiting import until

pytestmark = pytest.mark.real("docker")


@dataclass
class Planted:
    """The engine, what is planted in its image, and the image as files."""

    engine: Dockerd
    plants: list[Plant]
    folder: Path
    layers: list[str]
    """diffIDs."""

    @property
    def saved(self) -> Path:
        return self.folder / "saved.tar"

    @property
    def layout(self) -> Path:
        return self.folder / "layout"


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    if reason := docker.missing():
        pytest.skip(reason)
    numbers = itertools.count()
    with Dockerd() as engine:
        folder = tmp_path_factory.mktemp("images")
        plants = built(engine, lambda: token(f"image {next(numbers)}"))
        engine.docker("save", "-o", folder / "saved.tar", TAG)
        engine.skopeo("copy", f"docker-archive:{folder / 'saved.tar'}", f"oci:{folder / 'layout'}:{TAG}")
        layers = json.loads(engine.docker("image", "inspect", "-f", "{{json .RootFS.Layers}}", TAG))
        yield Planted(engine, plants, folder, layers)


def with_engine(shell: Shell, engine: Dockerd) -> Shell:
    shell.env["DOCKER_HOST"] = engine.host
    return shell


def masked(value: str) -> str:
    return f"sk-or-v1-…{value[-3:]}"


def places(said: Said, value: str) -> list[dict[str, Any]]:
    name = fingerprint(value.encode())
    return [place for item in said.findings if item["fingerprint"] == name for place in item["locations"]]


def fits(plant: Plant, place: Mapping[str, Any], planted: Planted, image: str) -> bool:
    shown = Plant(plant.token, plant.kind, plant.path.replace(plant.token, masked(plant.token)))
    in_layer = plant.kind == "image-layer"
    return all((
        place["kind"] == plant.kind, shown.at(place["path"]), place["image"] == image,
        place["platform"] == "linux/amd64", plant.instruction in place["instruction"],
        (place["layer"] in planted.layers) == in_layer,
        place["start_line"] == 2 or not plant.path.endswith((".txt", "overwritten")),
    ))


def check(said: Said, planted: Planted, *, image: str = TAG, oci: bool = False) -> None:
    """Everything is found where it is, nothing was left out, and no value is shown."""
    assert (said.code, said.faults, said.complete) == (1, [], True), said.err
    plants = [plant for plant in planted.plants if not (oci and plant.path in DOCKER_ONLY)]
    assert len(plants) >= 17
    assert {plant.path: places(said, plant.token) for plant in plants
            if not any(fits(plant, place, planted, image) for place in places(said, plant.token))} == {}
    assert {plant.path: held for plant in planted.plants if (held := said.holds(plant.token))} == {}
    assert said.report["coverage"]["layers"] == len(planted.layers)


@pytest.mark.parametrize("name", [TAG, f"docker://{TAG}"])
def test_in_the_engine(shell: Shell, planted: Planted, name: str) -> None:
    said = with_engine(shell, planted.engine).json("image", name)
    check(said, planted)
    again = shell.json("image", name)
    assert again.findings == said.findings and again.complete


def test_saved(shell: Shell, planted: Planted) -> None:
    said = shell.json("image", planted.saved)
    check(said, planted)
    again = shell.json("image", planted.saved)
    assert again.findings == said.findings and again.complete
    assert again.report["coverage"]["cached"] > 0


def test_saved_and_compressed_and_streamed(shell: Shell, planted: Planted, tmp_path: Path) -> None:
    packed = subprocess.run(["gzip", "-1c", planted.saved], capture_output=True, check=True).stdout
    (tmp_path / "image").write_bytes(packed)
    check(shell.json("image", tmp_path / "image"), planted)
    check(shell.json("image", "-", stdin=packed), planted)
    check(shell.json("image", "-", stdin=planted.saved.read_bytes()), planted)


def _folder(planted: Planted, folder: Path) -> Path:
    return planted.layout


def _tar(planted: Planted, folder: Path) -> Path:
    with tarfile.open(folder / "oci.tar", "w") as archive:
        archive.add(planted.layout, ".")
    return folder / "oci.tar"


def _zstd(planted: Planted, folder: Path) -> Path:
    planted.engine.skopeo("copy", "--dest-compress-format", "zstd", f"docker-archive:{planted.saved}",
                          f"oci:{folder / 'z'}:{TAG}")
    return folder / "z"


def _of_engine_25(planted: Planted, folder: Path) -> Path:
    """manifest.json beside the layout, as `docker save` writes it from 25 on."""
    files = {str(path.relative_to(planted.layout)): path.read_bytes()
             for path in planted.layout.rglob("*") if path.is_file()}
    return Layout(files).saved(folder / "new.tar", json.loads(files["index.json"])["manifests"][0], TAG)


@pytest.mark.parametrize("form", [_folder, _tar, _zstd, _of_engine_25])
def test_oci(shell: Shell, planted: Planted, tmp_path: Path, form: Callable[[Planted, Path], Path]) -> None:
    check(shell.json("image", form(planted, tmp_path)), planted, oci=True)


def test_in_a_registry(shell: Shell, planted: Planted) -> None:
    with serving() as fake:
        fake.layout.files = {str(path.relative_to(planted.layout)): path.read_bytes()
                             for path in planted.layout.rglob("*") if path.is_file()}
        fake.tags["1"] = fake.layout.files["index.json"]
        name = f"registry://{fake.host}/team/app:1"
        said = shell.json("image", name)
        check(said, planted, image=TAG, oci=True)  # the index there names it so
        again = shell.json("image", name)
        assert again.findings == said.findings


def test_every_platform_and_every_other_blob(shell: Shell, tmp_path: Path) -> None:
    """By hand, for what no engine here writes."""
    values = {name: token(f"hand {name}") for name in ("amd", "arm", "env", "note", "outer", "sbom", "dangling")}
    layout = Layout()
    amd, arm = {"os": "linux", "architecture": "amd64"}, {"os": "linux", "architecture": "arm64", "variant": "v8"}
    images = [
        layout.image([tar({"srv/key": values["amd"].encode()})], how="gzip", platform=amd,
                     annotations={"n": values["note"]}),
        layout.image([tar({"srv/key": f"\n{values['arm']}".encode()})], how="zstd", platform=arm,
                     config={"config": {"Env": [f"K={values['env']}"]}}, instructions=["COPY key /srv/"]),
    ]
    statement = layout.blob(json.dumps({"predicate": {"builder": values["sbom"]}}).encode(),
                            "application/vnd.in-toto+json")
    attested = layout.json({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                            "config": layout.blob(b"{}", "application/vnd.oci.empty.v1+json"), "layers": [statement]},
                           "application/vnd.oci.image.manifest.v1+json",
                           annotations={"vnd.docker.reference.type": "attestation-manifest"},
                           platform={"os": "unknown", "architecture": "unknown"})
    layout.blob(tar({"lost/key": values["dangling"].encode()}))
    layout.index([layout.nested([*images, attested])], annotations={"o": values["outer"]})
    said = shell.json("image", layout.write(tmp_path / "layout"))
    assert (said.code, said.faults) == (1, []), said.err
    found = {name: places(said, value) for name, value in values.items()}
    assert {name: len(there) for name, there in found.items()} == dict.fromkeys(values, 1)
    told = {name: (there[0]["kind"], there[0]["path"].rpartition("!/")[2], there[0]["platform"], there[0]["start_line"])
            for name, there in found.items()}
    assert told["amd"] == ("image-layer", "srv/key", "linux/amd64", 1)
    assert told["arm"] == ("image-layer", "srv/key", "linux/arm64/v8", 2)
    assert told["env"][:3] == ("image-config", "config.Env", "linux/arm64/v8")
    assert told["note"][:2] == ("image-annotation", "annotations.n")
    assert told["outer"][:2] == ("image-annotation", "annotations.o")
    assert told["sbom"][0] == "image-annotation" and told["dangling"][1] == "lost/key"
    assert found["arm"][0]["instruction"] == "COPY key /srv/"


def test_the_images_of_compose_files(shell: Shell, planted: Planted) -> None:
    with_engine(shell, planted.engine)
    folder = shell.root / "project"
    folder.mkdir()
    (folder / "compose.yaml").write_text(
        f"services:\n  a:\n    image: ${{IMAGE:-{TAG}}}\n  b:\n    image: registry.example.org/not/there:1\n"
        f"    environment:\n      KEY: {token('compose')}\n")
    said = shell.json(cwd=folder)
    plant = next(plant for plant in planted.plants if plant.path == "srv/plain.txt")
    assert [(place["kind"], place["image"], place["path"], place["start_line"])
            for place in places(said, plant.token)] == [("image-layer", TAG, "srv/plain.txt", 2)]
    assert [(place["path"], place["start_line"]) for place in places(said, token("compose"))] == [("compose.yaml", 7)]
    assert (said.code, said.complete) == (1, True)
    assert [item["by_choice"] for item in said.report["skipped"]
            if item["what"] == "image registry.example.org/not/there:1"] == [True]


def test_an_engine_that_does_not_answer(shell: Shell) -> None:
    """Where the operator names one, what it has was asked for."""
    (shell.root / "project").mkdir()
    (shell.root / "project/compose.yaml").write_text("services:\n  a:\n    image: app:1\n")
    shell.env["DOCKER_HOST"] = f"unix://{shell.root}/nobody.sock"
    for words in ((), ("host",), ("image", "app:1")):
        said = shell.scan(*words, "--format", "json", cwd=shell.root / "project")
        assert said.code == 6 or words == ("host",), words  # a host may have leaks of its own
        assert "no engine listens there" in said.out + said.err


def test_containers_of_this_host(shell: Shell, planted: Planted) -> None:
    engine = planted.engine
    values = {name: token(f"container {name}") for name in ("env", "log", "error", "label", "stopped", "argument")}
    engine.docker("run", "-d", "--name", "running", "--network", "none", "-e", f"KEY={values['env']}", "--label",
                  f"note={values['label']}", docker.BASE, "/bin/sh", "-c",
                  f"echo started; echo {values['log']}; echo {values['error']} >&2; exec cat /dev/zero > /dev/null")
    engine.docker("run", "--name", "stopped", "--network", "none", docker.BASE, "/bin/sh", "-c",
                  'echo one; echo two; echo "$1"', "sh", values["stopped"])
    try:
        until(lambda: values["error"].encode() in subprocess.run(
            ["docker", "logs", "running"], env=engine.environment(), capture_output=True, check=True).stderr,
            "the container's words")
        said = with_engine(shell, engine).json("host")
        assert (said.code, said.faults) == (1, []), said.err
        found = {name: {(place["kind"], place["container"], place["path"]) for place in places(said, value)}
                 for name, value in values.items()}
        inspected, logged = ("container", "running", "running (inspect)"), ("log", "running", "running (logs)")
        assert inspected in found["env"] and inspected in found["label"]
        assert logged in found["log"] and logged in found["error"]
        assert found["stopped"] >= {("log", "stopped", "stopped (logs)"), ("container", "stopped", "stopped (inspect)")}
        [line] = {place["start_line"] for place in places(said, values["stopped"]) if place["kind"] == "log"}
        assert line == 3
        assert {name: held for name, value in values.items() if (held := said.holds(value))} == {}
    finally:
        engine.docker("rm", "-f", "running", "stopped")
