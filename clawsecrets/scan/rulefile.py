"""Files of detection rules: ours in config/detect/, and those that an operator names with `--rules`.

A file holds `[[detect]]` tables and nothing else: no host, no command. Each fault names file, table and key.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from clawsecrets.data import read_regular
from clawsecrets.errors import ConfigError
from clawsecrets.model.finding import CONFIDENCES, Rule
from clawsecrets.model.provider import Detect, pattern_fault
from clawsecrets.scan.checksums import ALGORITHMS

MOST = 1 << 20
"""Bytes. A larger file is no file of rules."""
_TEXT = ("id", "provider", "name", "pattern", "confidence", "checksum")
_TEXTS = ("examples", "negative", "near")
_KEYS = (*_TEXT, *_TEXTS, "entropy")
_NEEDED = ("id", "provider", "name", "pattern", "examples")
_CODE = re.compile(r"[a-z0-9][a-z0-9-]*\Z")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,15}\Z")
_ID = re.compile(r"[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)+\Z")


def rule_of(detect: Detect, provider: str, name: str) -> Rule:
    """The rule that a provider file's `[[detect]]` table makes; `name` is the provider's."""
    return Rule(detect.id, provider, detect.name or name, detect.pattern, detect.confidence, detect.entropy,
                detect.near, detect.checksum, detect.examples, detect.negative)


def read_rules(path: Path) -> list[Rule]:
    """The rules of one file. ConfigError names file, table and key of the first fault, and counts the others."""
    try:
        table = tomllib.loads(read_regular(path, MOST).decode())
    except OSError as error:
        fault = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        fault = "is not UTF-8 text"
    except RecursionError:
        fault = "is nested too deeply"
    except ValueError as error:  # tomllib's error is one; numbers of too many digits
        fault = f"is not TOML: {error}"
    else:
        return _rules(path, table)
    raise ConfigError(f"{path}: {fault}", "it must be a TOML file of [[detect]] tables")


def _rules(path: Path, table: dict[str, object]) -> list[Rule]:
    found = [f"{_key(key)} is not known: a file of rules holds only [[detect]] tables" for key in table
             if key != "detect"]
    items = table.get("detect", [])
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        found.append("[[detect]] must be a list of tables")
        items = []
    for number, item in enumerate(items, 1):
        shown = item.get("id")
        where = f"[[detect]] {shown if isinstance(shown, str) and _ID.match(shown) else f'number {number}'}"
        found += [f"{where}: {fault}" for fault in faults(item)]
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise ConfigError(f"{path}: {found[0]}{more}", "CONTRIBUTING.md says how a rule is written")
    return [_rule(item) for item in items]


def _rule(item: dict[str, object]) -> Rule:
    texts = {key: tuple(item[key]) for key in _TEXTS if key in item}  # type: ignore[arg-type, var-annotated]
    plain = {key: item[key] for key in _TEXT if key in item}
    return Rule(**plain, **texts, entropy=float(item.get("entropy", 0.0)))  # type: ignore[arg-type]


def faults(item: dict[str, object]) -> list[str]:
    """What is wrong with one table, each line beginning with its key; empty = sound."""
    found = [f"{_key(key)} is not known{_meant(key)}" for key in item if key not in _KEYS]
    found += [f"key {key!r} is missing" for key in _NEEDED if not item.get(key)]
    found += [f"key {key!r} must be text" for key in _TEXT if not isinstance(item.get(key, ""), str)]
    found += [f"key {key!r} must be a list of text" for key in _TEXTS if not _is_texts(item.get(key, []))]
    if isinstance(item.get("entropy", 0.0), bool) or not isinstance(item.get("entropy", 0.0), int | float):
        found.append("key 'entropy' must be a number")
    return found or list(_rule_faults(_rule(item)))


def _rule_faults(rule: Rule) -> Iterator[str]:
    if not _ID.match(rule.id):
        yield "key 'id' must look like provider.what, in lower case"
    if not _CODE.match(rule.provider):
        yield "key 'provider' must be lower case letters, digits and dashes"
    if rule.confidence not in CONFIDENCES:
        yield f"key 'confidence' must be one of {', '.join(CONFIDENCES)}"
    if rule.checksum and rule.checksum not in ALGORITHMS:
        told = f": {rule.checksum!r}" if _WORD.match(rule.checksum) else ""
        yield f"key 'checksum'{told} is not one of {', '.join(sorted(ALGORITHMS))}"
    if not 0 <= rule.entropy <= 8:
        yield "key 'entropy' must be 0 to 8 bits a character"
    if fault := pattern_fault(rule.pattern):
        yield f"key 'pattern' {fault}"
        return
    detect = Detect(rule.id, rule.pattern, rule.examples, rule.negative, near=rule.near)
    if fault := pattern_fault(detect.expression):
        yield f"key 'near' makes an expression that {fault}"
        return
    yield from (f"key 'examples': number {n} is not found" for n, text in enumerate(rule.examples, 1)
                if not detect.find(text))


def _key(key: str) -> str:
    """A key that is not known, as it may be repeated: as a word, not as what could be a value in the wrong place."""
    return f"key {key!r}" if _WORD.match(key) else "a key"


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _meant(word: str) -> str:
    near = difflib.get_close_matches(word, _KEYS, 1, 0.5)
    return f"; did you mean {near[0]!r}?" if near else ""
