"""The cache and images: clean layers are left out, the others are not, and the report stays the same."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

from clawsecrets.config.paths import find_paths
from clawsecrets.scan import pipeline
from clawsecrets.sources.image.opening import Opening
from clawsecrets.wiring.caching import Caching
from tests.scan.scanned import RULES, Told, looking, token


def tarred(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def image(path: Path, layers: list[dict[str, bytes]]) -> list[str]:
    """An archive as `docker save` writes it; gives the layers' digests."""
    blobs = [tarred(files) for files in layers]
    digests = [hashlib.sha256(blob).hexdigest() for blob in blobs]
    config = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": {
        "type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]}}).encode()
    name = hashlib.sha256(config).hexdigest()
    manifest = [{"Config": f"blobs/sha256/{name}", "RepoTags": ["app:1"],
                 "Layers": [f"blobs/sha256/{digest}" for digest in digests]}]
    path.write_bytes(tarred({f"blobs/sha256/{name}": config, "manifest.json": json.dumps(manifest).encode(),
                             **{f"blobs/sha256/{digest}": blob for digest, blob in zip(digests, blobs, strict=True)}}))
    return [f"sha256:{digest}" for digest in digests]


def scan(path: Path, home: Path, *, cache: bool = True, interrupted: bool = False, workers: int = 1
         ) -> tuple[list[tuple[str, str]], int, int, list[str]]:
    """Places and values of matches; contents left out, contents looked at; what could not be read."""
    paths = find_paths(environ={"CLAWSECRETS_HOME": str(home)})
    caching = Caching.opened(paths, RULES.hash, (), {}, print)
    source = Opening({}, seen=caching.layer).open(str(path)) if cache else Opening({}).open(str(path))
    [outcome], _ = pipeline.run([source], looking(RULES), lambda: RULES.by_id, workers, Told())
    if cache:
        caching.remember([source], [outcome], interrupted, lambda path: True)
    found = sorted((match.place.path, match.secret.reveal_text()) for match in outcome.matches)
    return found, outcome.cached, outcome.objects, [item.what for item in outcome.skipped]


CLEAN = {f"usr/file{n}.txt": b"nothing in here\n" * 50 for n in range(20)}


def test_clean_layers_are_left_out(tmp_path: Path) -> None:
    path, home = tmp_path / "app.tar", tmp_path / "home"
    image(path, [CLEAN, {"app/.env": f"K={token(1)}\n".encode()}])
    plain = scan(path, home, cache=False)
    assert plain[0] == [("app/.env", token(1))]
    first, second = scan(path, home), scan(path, home)
    assert first[0] == plain[0] == second[0]
    assert (first[1], second[1]) == (0, 1)
    assert second[2] < first[2] - 15


def test_shares_of_one_layer_count_only_together(tmp_path: Path) -> None:
    path, home = tmp_path / "app.tar", tmp_path / "home"
    big = {f"big/{n}.bin": bytes((n,)) * (1 << 20) for n in range(12)}
    image(path, [big])
    assert scan(path, home, workers=3)[1] == 0
    assert scan(path, home, workers=3)[1] == 1
    image(path, [{**big, "big/late.env": f"K={token(2)}\n".encode()}])
    for _ in range(2):
        assert scan(path, home, workers=3)[:2] == ([("big/late.env", token(2))], 0)


def test_a_layer_that_is_not_what_its_digest_says_is_told(tmp_path: Path) -> None:
    path, home = tmp_path / "app.tar", tmp_path / "home"
    image(path, [CLEAN])
    scan(path, home)
    assert scan(path, home)[1] == 1
    data = path.read_bytes()
    path.write_bytes(data.replace(b"nothing in here", f"K={token(3)}"[:15].encode(), 1))
    assert scan(path, home)[3] != []


def test_nothing_of_an_interrupted_scan_is_kept(tmp_path: Path) -> None:
    path, home = tmp_path / "app.tar", tmp_path / "home"
    image(path, [CLEAN])
    scan(path, home, interrupted=True)
    assert scan(path, home)[1] == 0


def test_a_layer_with_something_unreadable_is_read_again(tmp_path: Path) -> None:
    path, home = tmp_path / "app.tar", tmp_path / "home"
    image(path, [{**CLEAN, "opt/a.gz": b"\x1f\x8b\x08\x00" + b"\x00" * 6 + b"\x07" * 200}])
    told = [scan(path, home) for _ in range(2)]
    assert told[0][3] and told[0][3] == told[1][3]
    assert told[1][1] == 0
