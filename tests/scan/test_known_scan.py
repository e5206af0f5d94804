"""Known values through the whole pipeline: store or index, workers, triage; no plaintext in what comes out."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from clawsecrets.errors import ConfigError
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.finding import Coverage, Report
from clawsecrets.model.record import Record
from clawsecrets.model.secret import Kind, Secret, SecretValue, Stage, Version
from clawsecrets.ports import Change
from clawsecrets.reporters import reporter
from clawsecrets.scan import pipeline, triage
from clawsecrets.scan.batch import Batching
from clawsecrets.scan.detector import Detector
from clawsecrets.scan.inspect import Inspector
from clawsecrets.scan.sought import Finder, Naming, Seeking
from clawsecrets.sources.files import FileSource
from clawsecrets.wiring.knowing import export_index, known_finders
from tests.fakes import FakeClock, MemoryStore
from tests.scan.scanned import RULES, Told, token

CURRENT, RETIRED, DEAD = "f7Qk2xLm9vRt4wYz8pNb3sHd6jGc1aEu5iXo0", "Zt3mW8qX1nB6vK9cL4rJ7hG2fD5sA0pYuEoI", token(5)


@pytest.fixture
def store() -> MemoryStore:
    made = MemoryStore(FakeClock())
    for name, versions in (
        ("gateway", {1: (Stage.RETIRED, RETIRED), 2: (Stage.CURRENT, CURRENT)}),
        ("zebra", {1: (Stage.REVOKED, DEAD), 2: (Stage.CURRENT, token(6))}),
        ("pin", {1: (Stage.CURRENT, "4821")}),
    ):
        record = Record(Secret(name, "zebra", Kind.OTHER, 1.0), versions=tuple(
            Version(number, stage, 1.0) for number, (stage, _) in versions.items()), last_number=len(versions))
        event = AuditEvent(1.0, "t", "secret.set", name, 1, "", {})
        made.commit([Change(record, event, {n: SecretValue(text) for n, (_, text) in versions.items()})])
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "in").mkdir(parents=True)
    (root / "a.md").write_text(f"the old one was {RETIRED}, they say\n")
    (root / "in/b.json").write_text('{"auth": "' + base64.b64encode(f"user:{CURRENT}".encode()).decode() + '"}\n')
    (root / "in/c.env").write_text(f"ZEBRA={DEAD}\nOTHER={token(9)}\n")
    (root / "in/d.txt").write_text("nothing here 4821\n" * 50)
    return root


def scanned(folder: Path, finders: list[Finder], workers: int) -> list[triage.Group]:
    rules = dict(RULES.by_id)
    for finder in finders:
        rules |= finder.rules
    source = FileSource([str(folder)], lambda path: True)
    [outcome], _ = pipeline.run(
        [source], lambda notes: Batching(Naming(Inspector(Seeking(Detector(RULES), finders), notes=notes), finders),
                                         None, bool), lambda: rules, workers, Told())
    assert outcome.skipped == []
    return triage.group(triage.located(outcome.matches, source.locate({match.place for match in outcome.matches})))


def by_store(store: MemoryStore, tmp_path: Path) -> list[Finder]:
    said: list[str] = []
    found = known_finders(True, lambda: store, "", said.append)
    assert said == ["pin version 1 is shorter than 8 bytes: it cannot be looked for"]
    return found


def by_index(store: MemoryStore, tmp_path: Path) -> list[Finder]:
    made = export_index(store, None, lambda secret: False)
    assert [line for line in made.left_out if "pin version 1" in line]
    path = tmp_path / "index"
    path.write_text(made.text)
    path.chmod(0o600)
    return known_finders(False, lambda: pytest.fail("the store was opened"), str(path), print)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("how", [by_store, by_index])
def test_they_are_found_named_and_not_shown(store: MemoryStore, folder: Path, tmp_path: Path, workers: int,
                                            how: Callable[[MemoryStore, Path], list[Finder]]) -> None:
    groups = scanned(folder, how(store, tmp_path), workers)
    told = {(g.rule.id, g.known and (g.known.name, g.known.version, g.known.stage, g.known.live)) for g in groups}
    assert told == {
        ("zebra.known-value", ("gateway", 1, "retired", True)),
        ("zebra.known-value", ("gateway", 2, "current", True)),
        ("zebra.key", ("zebra", 1, "revoked", False)),
        ("zebra.key", None),
    }
    judged = triage.conclude(groups)
    report = Report(judged.findings, Coverage(), rules=judged.rules)
    for form in ("text", "json", "sarif", "junit", "html", "github", "gitlab", "codequality"):
        text = reporter(form).write(report)
        assert "gateway" in text or form not in ("text", "json")
        for value in (CURRENT, RETIRED, DEAD, token(9)):
            for shown in (value, base64.b64encode(value.encode()).decode()[:-4], value.encode().hex()):
                assert shown not in text, form


def test_without_them_nothing_of_it_is_known(folder: Path) -> None:
    assert [g.known for g in scanned(folder, [], 1)] == [None, None]


def test_what_is_live_is_critical(store: MemoryStore, folder: Path, tmp_path: Path) -> None:
    found = triage.conclude(scanned(folder, by_store(store, tmp_path), 1)).findings
    level = {item.known.name + str(item.known.version): item.severity for item in found if item.known}
    assert level == {"gateway1": "critical", "gateway2": "critical", "zebra1": "low"}


def test_an_index_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        known_finders(False, lambda: pytest.fail("opened"), str(tmp_path / "none"), print)
