"""The resolver's limits, what it tells and loads, and readers while the bundle changes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.injectors import resolve
from clawsecrets.injectors.bundle import ResolverBundle
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Entry
from tests import canary as canaries
from tests.injectors.conftest import ROOT, Run, ask
from tests.waiting import LONG


def test_512_ids_and_the_largest_names(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    names = [f"{n}-".ljust(128, "x") for n in range(512)]
    ResolverBundle("t", path).deliver([Entry(name, 1, SecretValue(f"v-{name}")) for name in names])
    answer = json.loads(run(path, ask(*names)).stdout)
    assert answer == {"protocolVersion": 1, "values": {name: f"v-{name}" for name in names}, "errors": {}}


def test_an_answer_never_exceeds_the_limit_and_what_does_not_fit_is_said(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    sizes = {"a": 400_000, "b": 400_000, "c": 400_000, "d": 100}
    ResolverBundle("t", path).deliver([Entry(name, 1, SecretValue("x" * size)) for name, size in sizes.items()])
    done = run(path, ask("a", "b", "c", "d", "e"))
    answer = json.loads(done.stdout)
    assert sorted(answer["values"]) == ["a", "b", "d"] and len(done.stdout) <= 1_048_576
    assert {name: error["code"] for name, error in answer["errors"].items()} == {
        "c": "ANSWER_TOO_LARGE",
        "e": "NOT_FOUND",
    }


def test_the_largest_value_that_is_delivered_is_answered(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    name, value = "n" * 128, "x" * (resolve.LARGEST_VALUE - 2)
    assert ResolverBundle("t", path).deliver([Entry(name, 1, SecretValue(value))]).outcome is Outcome.OK
    done = run(path, ask(name))
    assert json.loads(done.stdout)["values"] == {name: value} and len(done.stdout) <= 1_048_576


class FakeBundle:
    """Values without sealing."""

    def __init__(self, values: dict[str, bytes]) -> None:
        self._values = values

    def open(self, name: str) -> bytes | None:
        return self._values.get(name)


@given(st.dictionaries(st.text(min_size=1, max_size=40), st.binary(max_size=40), max_size=30), st.integers(700, 6000))
def test_any_answer_is_json_within_the_limit(values: dict[str, bytes], limit: int) -> None:
    ids = list(values)
    least = 64 + sum(len(resolve.encoded(item)) + 128 for item in ids)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resolve, "LARGEST_ANSWER", max(limit, least))
        data = resolve.answer(FakeBundle(values), ids)  # type: ignore[arg-type]
    answer = json.loads(data)
    assert len(data) <= max(limit, least)
    assert sorted([*answer["values"], *answer["errors"]]) == sorted(ids)
    for item, value in answer["values"].items():
        assert value and value.encode() == values[item.partition("#")[0]]


def test_every_error_fits_into_what_is_set_aside() -> None:
    codes = [
        resolve.select(value, field)[1:]
        for value, field in [
            (None, None),
            (b"\xff", None),
            (b"", None),
            (b"x", "f"),
            (b"{}", "f"),
            (b'{"f":1}', "f"),
            (b'{"f":"","f":""}', "f"),
        ]
    ]
    codes.append(("ANSWER_TOO_LARGE", "the answer is full; resolve fewer ids at once"))
    assert all(code and len(resolve._failure("", code, message)) <= 128 for code, message in codes)


def test_no_failure_tells_a_value(run: Run, tmp_path: Path, canary: bytes) -> None:
    path = tmp_path / "bundle"
    ResolverBundle("t", path).deliver([Entry("a", 1, SecretValue(canary))])
    outputs = [run(path, ask("a#field", "b")), run(path, canary), run(path, b'{"protocolVersion":"' + canary + b'"}')]
    whole = path.read_bytes()
    for spoilt in (whole[:-40], whole.replace(b'"generation":1', b'"generation":2'), canary):
        path.write_bytes(spoilt)
        outputs.append(run(path, ask("a")))
    for done in outputs:
        assert b"Traceback" not in done.stderr
        assert canaries.search(done.stdout + done.stderr, canary) == []


def test_it_imports_little(script: Path, bundle: Path) -> None:
    """What it may not load: each of these alone costs more than all it needs."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from clawsecrets.injectors.resolve import main; "
        f"code = main(['--bundle', {str(bundle)!r}]); print(' '.join(sys.modules), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=ask("plain"), env={}, cwd="/", capture_output=True, timeout=LONG
    )
    assert done.returncode == 0
    loaded = set(done.stderr.decode().split())
    heavy = {
        "typer",
        "rich",
        "requests",
        "sqlite3",
        "keyring",
        "websockets",
        "dataclasses",
        "inspect",
        "argparse",
        "asyncio",
        "ssl",
        "subprocess",
        "tempfile",
        "logging",
        "pathlib",
        "clawsecrets.ports",
        "clawsecrets.model",
    }
    assert loaded & heavy == set() and "clawsecrets.injectors.bundle_format" in loaded


@pytest.mark.parametrize("change", ["deliver", "new_key"])
def test_fifty_readers_while_the_bundle_changes(run: Run, tmp_path: Path, change: str) -> None:
    """Always the old values or the new ones, all of one generation; never an error."""
    path = tmp_path / "bundle"
    injector = ResolverBundle("t", path)
    texts = ["old-" * 40, "new-" * 40]

    def deliver(number: int) -> None:
        text = texts[number % 2]
        assert injector.deliver([Entry(n, number, SecretValue(text)) for n in "abc"]).outcome is Outcome.OK

    deliver(0)
    stop, written = threading.Event(), []

    def keep_writing() -> None:
        while not stop.is_set():
            written.append(1)
            if change == "deliver":
                deliver(len(written))
            else:
                assert injector.new_key().outcome is Outcome.OK

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda _: run(path, ask("a", "b", "c")), range(50)))
            # However slow the machine is, the readers go on until the bundle has changed often.
            while len(written) <= 20 and writer.is_alive():
                answers += pool.map(lambda _: run(path, ask("a", "b", "c")), range(10))
    finally:
        stop.set()
        writer.join()
    assert len(written) > 20
    for done in answers:
        assert done.returncode == 0 and done.stderr == b"", done.stderr
        values = json.loads(done.stdout)["values"]
        assert len(values) == 3 and len(set(values.values())) == 1 and values["a"] in texts
