"""What the resolver's tests share: a console script, a bundle, and a process as OpenClaw starts it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clawsecrets.injectors.bundle import ResolverBundle
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Entry
from tests.waiting import LONG

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Like a virtualenv's console script: an absolute shebang, one call."""
    path = tmp_path_factory.mktemp("bin") / "clawsecrets"
    path.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from clawsecrets.injectors.resolve import main\nsys.exit(main(sys.argv[2:]))\n"
    )
    path.chmod(0o755)
    return path


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "gw" / "bundle"
    values = {
        "plain": b"value-1",
        "acme/admin": b'{"user":"u","token":"t-2","n":1,"no":"","d":"x","d":"y"}',
        "list": b"[1]",
        "line": b"ends\n",
        "odd": '"\\\u2028ü🙂\x01'.encode(),
    }
    entries = [Entry(name, 1, SecretValue(value)) for name, value in values.items()]
    assert ResolverBundle("t", path).deliver(entries).outcome is Outcome.OK
    return path


@pytest.fixture
def run(script: Path) -> Run:
    def start(bundle: Path, request: bytes, *words: str) -> subprocess.CompletedProcess[bytes]:
        command = [str(script), "resolve", *(words or ("--bundle", str(bundle)))]
        return subprocess.run(command, input=request, env={}, cwd="/", capture_output=True, timeout=LONG)

    return start


def ask(*ids: str) -> bytes:
    return json.dumps({"protocolVersion": 1, "provider": "clawsecrets", "ids": ids}).encode()
