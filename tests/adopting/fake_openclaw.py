"""Stands in for `openclaw` where a test needs none of its own behaviour: the commands that adopt runs, on a plain JSON
configuration. Like the real one it keeps the former file, with all that stood in it, as openclaw.json.bak."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

CONFIG = Path(os.environ["OPENCLAW_CONFIG_PATH"])
REGISTRY = {"gateway.auth.token", "models.providers.openai.apiKey", "channels.telegram.botToken"}


def fields(node: Any, path: tuple[str, ...] = ()) -> dict[str, Any]:
    if isinstance(node, dict) and "source" not in node:
        return {dotted: leaf for key, value in node.items() for dotted, leaf in fields(value, (*path, key)).items()}
    return {".".join(path): node}


def put(document: Any, dotted: str, value: Any) -> None:
    *parents, last = dotted.split(".")
    for part in parents:
        document = document.setdefault(part, {})
    if value is None:
        document.pop(last, None)
    else:
        document[last] = value


def write(document: Any) -> None:
    if "$include" in document:
        sys.exit(1)  # the real one does not write a configuration that is laid over others as a whole
    Path(f"{CONFIG}.bak").write_bytes(CONFIG.read_bytes())
    CONFIG.write_text(json.dumps(document))


def main(words: list[str]) -> int:
    document = json.loads(CONFIG.read_text())
    if words[:2] == ["secrets", "audit"]:
        found = [{"code": "PLAINTEXT_FOUND", "file": str(CONFIG), "jsonPath": path}
                 for path, leaf in fields(document).items() if path in REGISTRY and isinstance(leaf, str)]
        print(json.dumps({"status": "findings" if found else "clean", "findings": found}))
        return 1 if found and "--check" in words else 0
    if words[:2] == ["secrets", "apply"]:
        for target in json.loads(Path(words[words.index("--from") + 1]).read_text())["targets"]:
            if target["path"] not in REGISTRY:
                return 1
            put(document, target["path"], target["ref"])
        write(document)
    elif words[:3] == ["config", "set", "--batch-file"]:
        for one in json.loads(Path(words[3]).read_text()):
            if one["path"] == "hooks.token" and "ref" in one:
                return 1
            put(document, one["path"], one.get("ref") or one["value"])
        write(document)
    elif words[:2] == ["config", "set"]:
        put(document, words[2], json.loads(words[3]))
        write(document)
    elif words[:2] == ["config", "unset"]:
        put(document, words[2], None)
        write(document)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
