"""The adoption itself: a row of steps, each idempotent, each written down before the next begins.

1. A value is in the store, read back and compared, before anything on disk changes (`importing` is the caller's).
2. What undoes it is sealed in the store before anything on disk changes.
3. Whoever is killed goes on with the step that is written down; there is no other recovery.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clawsecrets.adopting import clearing, compose_text, documents
from clawsecrets.adopting.clearing import Folder, Treatment
from clawsecrets.adopting.inplace import replaced
from clawsecrets.adopting.journal import Journal, Step, Undo
from clawsecrets.adopting.plan import PROVIDER, Move, Plan, Way
from clawsecrets.clients.openclaw_cli import OpenClaw
from clawsecrets.errors import Refused, WorkLeft
from clawsecrets.model.value import SecretValue


@dataclass(frozen=True)
class Tools:
    """What the steps act with."""

    cli: OpenClaw
    resolver: Sequence[str]
    """The command that OpenClaw resolves references with."""
    given: Callable[[], Mapping[str, str]] = field(repr=False)
    """The variables that the gateway is to be given, with their values."""
    folder: Callable[[Sequence[SecretValue], Plan], Folder]
    """Looks for these values in all that the plan is about."""
    bind: Callable[[Plan], None]
    """Bind every secret to its targets, and deliver it. Refused when one cannot be."""
    parse: Callable[[bytes, str], Any]
    """A configuration as plain data. ConfigError."""
    told: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Proof:
    """What was seen at the end."""

    files: Sequence[str]
    """Files that hold a value still."""
    audit: str
    """OpenClaw's word."""
    findings: Sequence[str]
    trouble: Sequence[str]

    @property
    def clean(self) -> bool:
        """Whether nothing is left."""
        return not self.files and self.audit == "clean"


class Adoption:
    """Works off the journal's plan. Every ClawError leaves it where it is: the next call goes on."""

    def __init__(self, journal: Journal, tools: Tools) -> None:
        self.journal, self.tools = journal, tools
        self.trouble: list[str] = []

    def go_on(self, values: Sequence[tuple[str, SecretValue]]) -> Proof:
        """Do what is left to do. `values`: what stands on disk, for the first step. WorkLeft when plaintext is left."""
        plan = self.journal.plan()
        steps: Sequence[tuple[Step, Callable[[], None]]] = (
            (Step.CAPTURE, lambda: self._capture(plan, values)),
            (Step.BIND, lambda: self.tools.bind(plan)),
            (Step.APPLY, lambda: self._apply(plan)),
            (Step.SET, lambda: self._set(plan)),
            (Step.PROFILES, lambda: self._profiles(plan)),
            (Step.PURGE, lambda: self._purge(plan)),
        )
        order = [step for step, _ in steps]
        self._note_since(plan)
        for number, (step, act) in enumerate(steps):
            if self.journal.step is step:
                self.tools.told(step.value)
                act()
                self.journal.advance(order[number + 1] if number + 1 < len(order) else Step.PROVE,
                                     so_far=self._digests())
        self.tools.told(Step.PROVE.value)
        proof = self._prove(plan)
        if not proof.clean:
            self.journal.advance(Step.PURGE)
            return proof
        undo = self.journal.undo()
        noted: Mapping[str, str] = json.loads(self.journal.option("after") or "{}")
        after = {path: "changed" if noted.get(path) == "changed" else digest
                 for path, digest in clearing.digests(undo.files).items()}
        self.journal.advance(Step.DONE, after=json.dumps(after), so_far="")
        return proof

    def _note_since(self, plan: Plan) -> None:
        """Of one that is gone on with: which files somebody changed since its last step, where the step that it was
        killed in does not change them itself."""
        so_far: Mapping[str, str] = json.loads(self.journal.option("so_far") or "{}")
        step = self.journal.step
        configs = {plan.config, *(move.file for move in plan.written)}
        changed = [path for path, was in so_far.items() if clearing.digest(path) != was
                   and step not in ((Step.APPLY, Step.SET) if path in configs else (Step.PURGE,))]
        if changed and step is not Step.CAPTURE:
            noted = json.loads(self.journal.option("after") or "{}")
            self.journal.advance(step, after=json.dumps({**noted, **dict.fromkeys(changed, "changed")}))

    def _digests(self) -> str:
        """What the files hold after a step: who undoes it tells by that what somebody else changed."""
        return json.dumps(clearing.digests(self.journal.undo().files))

    # --- steps --------------------------------------------------------------------------------------------------------

    def _capture(self, plan: Plan, values: Sequence[tuple[str, SecretValue]]) -> None:
        if not values:
            raise WorkLeft("the values that were planned are not on disk any more", "clawsecrets adopt plans anew")
        folder = self.tools.folder([value for _, value in values], plan)
        files = {path: clearing.kept_of(path) for path, treatment, _ in folder.dirty()
                 if treatment not in (Treatment.DATABASE, Treatment.LARGE)}
        for path in {plan.config, *(move.file for move in (*plan.of(Way.SUPPLIED, Way.COMPOSE), *plan.written))}:
            files.setdefault(path, clearing.kept_of(path))
        self.trouble += clearing.linked(files)
        found, trouble = folder.cells()
        cells = [(cell.database, cell.table, cell.column, folder.masked_text(cell.text), _sealed(cell))
                 for cell in found]
        databases = {move.file for move in plan.of(Way.PROFILE)}
        cells += [(cell.database, cell.table, cell.column, "", _sealed(cell))
                  for database in sorted(databases) for cell in documents.profile_cells(database)]
        self.trouble += trouble
        self._note_changes()
        self.journal.keep(self.journal.joined(Undo(files, cells, values)))

    def _note_changes(self) -> None:
        """Of files that an earlier adoption changed: which somebody else changed since."""
        before: Mapping[str, str] = json.loads(self.journal.option("after") or "{}")
        changed = [path for path, digest in before.items() if clearing.digest(path) != digest]
        self.journal.advance(Step.CAPTURE, after=json.dumps({path: "changed" if path in changed else digest
                                                             for path, digest in before.items()}) if before else "")

    def _apply(self, plan: Plan) -> None:
        """The plan of SecretRefs, with those that are not there yet."""
        provider = {"source": "exec", "command": self.tools.resolver[0], "args": list(self.tools.resolver[1:]),
                    "jsonOnly": True}
        document = self._document(plan)
        if plan.rooted:
            return self._provide(plan, document, provider)
        targets = [_target(move) for move in plan.of(Way.REF) if isinstance(documents.at(document, move.path), str)]
        if documents.at(document, ("secrets", "providers", PROVIDER)) != provider:
            self._cli("config", "set", f"secrets.providers.{PROVIDER}", json.dumps(provider), "--strict-json")
        if not targets:
            return None
        written = {"version": 1, "protocolVersion": 1, "generatedAt": "2026-01-01T00:00:00Z", "generatedBy": "manual",
                   "providerUpserts": {PROVIDER: provider}, "targets": targets,
                   "options": {"scrubEnv": False, "scrubAuthProfilesForProviderTargets": False}}
        with _file(written) as path:
            self._cli("secrets", "apply", "--from", path, "--allow-exec", "--json")
        return None

    @staticmethod
    def _provide(plan: Plan, document: Any, provider: Mapping[str, Any]) -> None:
        """The same into a configuration that OpenClaw does not write."""
        if documents.at(document, ("secrets", "providers", PROVIDER)) != provider:
            document.setdefault("secrets", {}).setdefault("providers", {})[PROVIDER] = provider
            documents.replace_file(plan.config, json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n")

    def _set(self, plan: Plan) -> None:
        """What no plan may name. Variables that the configuration set are taken out of it."""
        document = self._document(plan)
        batch: list[dict[str, Any]] = []
        for move in plan.of(Way.SET, Way.VARIABLE):
            if move in plan.written:
                continue
            if not isinstance(found := documents.at(document, move.path), str):
                continue
            put: dict[str, Any] = {"ref": _ref(move.name)} if move.way is Way.SET else {
                "value": "${" + move.variable + "}"}
            if put.get("value") != found:
                batch.append({"path": move.dotted, **put})
        if batch:
            with _file(batch) as path:
                self._cli("config", "set", "--batch-file", path)
        for move in plan.of(Way.SUPPLIED):
            if move.path and documents.at(document, move.path) is not None:
                self._cli("config", "unset", move.dotted)
        for file in dict.fromkeys(move.file for move in plan.written):
            self._write(plan, file)

    def _write(self, plan: Plan, file: str) -> None:
        """The fields of a file that OpenClaw does not write."""
        raw = documents.content_of(file)
        document = self.tools.parse(raw, file)
        changes = {move.path: _ref(move.name) if move.way is Way.WRITTEN else "${" + move.variable + "}"
                   for move in plan.written
                   if move.file == file and isinstance(documents.at(document, move.path), str)}
        changed = replaced(raw, changes, lambda made: self.tools.parse(made, file))
        if changed != raw:
            documents.replace_file(file, changed)

    def _profiles(self, plan: Plan) -> None:
        for database in dict.fromkeys(move.file for move in plan.of(Way.PROFILE)):
            mine = plan.profiles(database)
            for cell in list(documents.profile_cells(database)):
                text = documents.with_references(cell.text, PROVIDER, mine)
                if text != cell.text:
                    documents.write_cell(cell, text)

    def _purge(self, plan: Plan) -> None:
        for file in dict.fromkeys(move.file for move in plan.of(Way.SUPPLIED) if not move.path):
            if os.path.exists(file):
                raw = documents.content_of(file)
                without = documents.without_variables(raw, plan.env_variables(file))
                if without != raw:
                    documents.replace_file(file, without)
        values = [value for _, value in self.journal.undo().values]
        for file, lines in plan.compose_lines.items():
            raw = documents.content_of(file)
            if (changed := compose_text.interpolated(raw, lines, values)) != raw:
                documents.replace_file(file, changed)
        self.trouble += self._folder(plan).clear()

    def _prove(self, plan: Plan) -> Proof:
        answer = self.tools.cli.answer("secrets", "audit", "--check", "--allow-exec", "--json",
                                       more=self.tools.given(), fine=(0, 1, 2))
        findings = [f"{one.get('code')}: {one.get('file')}: {one.get('jsonPath')}"
                    for one in answer.get("findings", ())]
        self.tools.cli.run("config", "validate", more=self.tools.given())
        return Proof(self._folder(plan).left(), str(answer.get("status")), findings, self.trouble)

    # --- parts --------------------------------------------------------------------------------------------------------

    def _folder(self, plan: Plan) -> Folder:
        return self.tools.folder([value for _, value in self.journal.undo().values], plan)

    def _document(self, plan: Plan) -> Any:
        return self.tools.parse(documents.content_of(plan.config), plan.config)

    def _cli(self, *words: str) -> None:
        self.tools.cli.run(*words, more=self.tools.given())


def _sealed(cell: documents.Cell) -> SecretValue:
    return SecretValue(cell.text.encode("utf-8", "surrogateescape"))


def _ref(name: str) -> dict[str, str]:
    return {"source": "exec", "provider": PROVIDER, "id": name}


def _target(move: Move) -> dict[str, Any]:
    found: dict[str, Any] = {"type": move.target, "path": move.dotted, "pathSegments": list(map(str, move.path)),
                             "ref": _ref(move.name)}
    if move.path[:2] == ("models", "providers"):
        found["providerId"] = str(move.path[2])
    return found


class _file:
    """A document without any value, for a command to read. It goes again."""

    def __init__(self, document: Any) -> None:
        self._text = json.dumps(document)

    def __enter__(self) -> str:
        self._folder = tempfile.TemporaryDirectory(prefix="clawsecrets-adopt-")
        path = Path(self._folder.name) / "document.json"
        path.touch(0o600)
        path.write_text(self._text)
        return str(path)

    def __exit__(self, *exc: object) -> None:
        self._folder.cleanup()


def require(reply_ok: bool, name: str, detail: str) -> None:
    """Refused when a secret could not be delivered."""
    if not reply_ok:
        raise Refused(f"{name} could not be delivered: {detail}", "mend it, then run clawsecrets adopt --apply again")
