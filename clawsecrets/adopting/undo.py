"""What an adoption changed, put back: from what was sealed in the store before."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from clawsecrets.adopting import clearing, compose_text, documents
from clawsecrets.adopting.inplace import replaced
from clawsecrets.adopting.journal import Journal, Step, Undo
from clawsecrets.adopting.plan import PROVIDER, Move, Plan, Way
from clawsecrets.model.value import SecretValue

Parse = Callable[[bytes, str], Any]
Mask = Callable[[bytes], bytes]


def undo(journal: Journal, parse: Parse, mask: Mask) -> list[str]:
    """Put back what stood there. What was changed since is left as it is, and told, a line each; of the configuration,
    of `.env`, of Compose files and of auth profiles then only what was moved is put back, where what the adoption put
    in its place stands still. `mask` is what it made of a file that is only kept. Idempotent."""
    plan, kept, told = journal.plan(), journal.undo(), []
    noted: Mapping[str, str] = json.loads(journal.option("after") or "{}")
    so_far: Mapping[str, str] = json.loads(journal.option("so_far") or "{}")
    after = {path: digest if digest == "changed" else so_far.get(path, digest)
             for path, digest in {**so_far, **noted}.items()}
    for path, (mode, content) in kept.files.items():
        now = clearing.digest(path)
        if now and documents.content_of(path) == content.reveal():
            continue
        if not now or now == after.get(path) or _made(plan, path, content.reveal(), kept, mask):
            documents.replace_file(path, content.reveal(), mode)
        else:
            told.append(_changed(plan, path, content, parse))
    told += _cells_back(plan, kept)
    journal.advance(Step.DONE, undone="yes")
    return told


def _made(plan: Plan, path: str, before: bytes, kept: Undo, mask: Mask) -> bool:
    """Whether what stands there is what the adoption makes of it: of one that was killed no more is known."""
    values = [value for _, value in kept.values]
    made = documents.without_variables(before, plan.env_variables(path))
    if lines := plan.compose_lines.get(path):
        made = compose_text.interpolated(made, lines, values)
    return documents.content_of(path) in (made, mask(before))


def _changed(plan: Plan, path: str, content: SecretValue, parse: Parse) -> str:
    """Of a file that was changed since: put back what was moved out of it."""
    lines = plan.compose_lines.get(path)
    if path == plan.config:
        _fields_back(plan, content, parse)
    elif path in {move.file for move in plan.written}:
        _values_back(plan, path, content, parse)
    elif lines is not None:
        _replace(path, compose_text.put_back(documents.content_of(path), content.reveal(), lines))
    elif path in {move.file for move in plan.of(Way.SUPPLIED)}:
        _replace(path, documents.with_variables(documents.content_of(path), content.reveal(),
                                                plan.env_variables(path)))
        return f"{path}: was changed since; the variables that were moved, and that it has not, are put back at its end"
    else:
        return f"{path}: was changed since; left as it is"
    return f"{path}: was changed since; only what was moved is put back"


def _replace(path: str, content: bytes) -> None:
    if documents.content_of(path) != content:
        documents.replace_file(path, content)


def _is_ours(move: Move, field: Any) -> bool:
    """Whether a field holds what the adoption put there."""
    if move.way is Way.SUPPLIED:
        return field is None
    return field == "${" + move.variable + "}" if move.way is Way.VARIABLE else documents.refers(field, PROVIDER,
                                                                                                 move.name)


def _fields_back(plan: Plan, content: SecretValue, parse: Parse) -> None:
    before = parse(content.reveal(), plan.config)
    now = parse(documents.content_of(plan.config), plan.config)
    was = json.dumps(now)
    for move in plan.moves:
        if move.path and move.file == plan.config and _is_ours(move, documents.at(now, move.path)):
            if move.way is Way.SUPPLIED:
                documents.make_parents(now, move.path)
            documents.put(now, move.path, documents.at(before, move.path))
    if json.dumps(now) != was:
        documents.replace_file(plan.config, json.dumps(now, indent=2, ensure_ascii=False).encode() + b"\n")


def _values_back(plan: Plan, file: str, content: SecretValue, parse: Parse) -> None:
    before, raw = parse(content.reveal(), file), documents.content_of(file)
    document = parse(raw, file)
    changes = {move.path: documents.at(before, move.path) for move in plan.written
               if move.file == file and _is_ours(move, documents.at(document, move.path))}
    _replace(file, replaced(raw, changes, lambda made: parse(made, file)))


def _cells_back(plan: Plan, kept: Undo) -> list[str]:
    gone = [database for database in dict.fromkeys(cell[0] for cell in kept.cells) if not os.path.exists(database)]
    for database, table, column, masked, sealed in kept.cells:
        if database in gone:
            continue
        text = sealed.reveal().decode("utf-8", "surrogateescape")
        if masked:
            documents.put_back(database, table, column, masked, text)
            continue
        for cell in list(documents.profile_cells(database)):
            back = documents.without_references(cell.text, text, plan.profiles(database), PROVIDER)
            if back != cell.text:
                documents.write_cell(cell, back)
    return [f"{database}: is not there any more; nothing is put back into it" for database in gone]
