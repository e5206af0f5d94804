"""rules: what a scan looks for; list the rules, show one, try them on a text."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clawsecrets.cli.output import Column, emit, say, table, wrapped
from clawsecrets.cli.session import JsonOption, Session, command, group
from clawsecrets.data import read_bounded, read_regular
from clawsecrets.errors import NotFound, UsageError
from clawsecrets.model.finding import Rule

if TYPE_CHECKING:
    from clawsecrets.scan.ruleset import Ruleset

MOST = 32 << 20
"""Bytes of a text that rules are tried on."""
RulesOption = Annotated[list[Path] | None, typer.Option("--rules", metavar="FILE", help="A file of your own rules, "
                                                        "besides ours; may be given again.")]


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    rules = group(app, "rules", "What a scan looks for.", list_rules)
    command(rules, "list")(list_rules)
    command(rules, "show")(show)
    command(rules, "test")(test)


def list_rules(
    session: Session,
    provider: Annotated[str, typer.Option("--provider", metavar="CODE", help="Only the rules of one.")] = "",
    rules: RulesOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the detection rules."""
    found = [rule for rule in _ruleset(session, rules).rules if provider in ("", rule.provider)]
    if provider and not found:
        raise NotFound(f"there is no rule of {provider!r}", "`clawsecrets rules` lists them all")
    if as_json:
        emit({"rules": [_json(rule) for rule in found]})
        return
    table([Column("ID", 16), Column("FINDS", 16), Column("CONFIDENCE")],
          [[rule.id, rule.name, rule.confidence] for rule in found])


def show(
    session: Session,
    rule: Annotated[str, typer.Argument(metavar="ID", help="A rule's id.")],
    rules: RulesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain one rule: what it finds, by what expression, and what else it asks."""
    ruleset = _ruleset(session, rules)
    found = ruleset.by_id.get(rule)
    if found is None:
        raise NotFound(f"there is no rule {rule!r}", "`clawsecrets rules` lists them")
    if as_json:
        emit({"rule": _json(found)})
        return
    for first, text in _words(found):
        wrapped(f"{first:<12}", text)


def test(
    session: Session,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A text to try the rules on; - is standard input.")],
    rules: RulesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try the rules on a text, and say of each candidate what it is or why it is none. No value is shown."""
    from clawsecrets.wiring.rules import try_rules

    tried = try_rules(_ruleset(session, rules), _read(file))
    if as_json:
        emit({"tried": [{"line": line, "column": column, "rule": rule, "masked": masked, "dropped": why}
                        for line, column, rule, masked, why in tried]})
        return
    for line, column, rule, masked, why in tried:
        wrapped(f"{line}:{column}  ", f"{rule}  {masked}  {'dropped: ' + why if why else 'found'}")
    found = sum(not why for *_, why in tried)
    say(f"{found} found, {len(tried) - found} dropped")


def _ruleset(session: Session, files: list[Path] | None) -> Ruleset:
    from clawsecrets.wiring.rules import load_ruleset

    paths = session.paths
    folders = session.config.providers_dirs if paths.config_given or paths.config.exists() else ()
    return load_ruleset(paths, files or (), folders)


def _read(file: str) -> bytes:
    try:
        return read_bounded(sys.stdin.buffer, MOST, "-") if file == "-" else read_regular(Path(file), MOST)
    except OSError as error:
        fault = f"{file}: cannot be read: {error.strerror}"
    raise UsageError(fault, f"name a file of at most {MOST >> 20} MiB, or - for standard input")


def _words(rule: Rule) -> list[tuple[str, str]]:
    lines = [("id", rule.id), ("finds", rule.name), ("provider", rule.provider), ("confidence", rule.confidence),
             ("pattern", rule.pattern)]
    if rule.near:
        lines.append(("near", ", ".join(rule.near)))
    if rule.entropy:
        lines.append(("entropy", f"at least {rule.entropy} bits a character"))
    if rule.checksum:
        lines.append(("checksum", rule.checksum))
    return lines


def _json(rule: Rule) -> dict[str, object]:
    return {"id": rule.id, "provider": rule.provider, "name": rule.name, "confidence": rule.confidence,
            "pattern": rule.pattern, "near": list(rule.near), "entropy": rule.entropy, "checksum": rule.checksum}
