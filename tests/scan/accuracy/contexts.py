"""Fifteen kinds of text in which an operator's credential ends up, each with the value beside the name it goes by."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

Writes = Callable[[str, str, str], str]
"""(variable, what it is called in speech, value) -> text."""


def _env(variable: str, spoken: str, value: str) -> str:
    return f"# production\nNODE_ENV=production\n{variable}={value}\nPORT=18789\n"


def _json5(variable: str, spoken: str, value: str) -> str:
    return f"{{\n  // {spoken}\n  env: {{\n    {variable}: '{value}',\n  }},\n  gateway: {{ port: 18789 }},\n}}\n"


def _compose(variable: str, spoken: str, value: str) -> str:
    return f"services:\n  claw:\n    image: openclaw:1\n    environment:\n      - {variable}={value}\n      - TZ=UTC\n"


def _python(variable: str, spoken: str, value: str) -> str:
    return f'import os\n\n{variable} = "{value}"\nclient = Client({variable})\n'


def _javascript(variable: str, spoken: str, value: str) -> str:
    return f"export const config = {{\n  {variable}: '{value}',\n  retries: 3,\n}};\n"


def _go(variable: str, spoken: str, value: str) -> str:
    return f'package main\n\nconst {variable} = "{value}"\n\nfunc main() {{}}\n'


def _log(variable: str, spoken: str, value: str) -> str:
    return f"2026-03-01T10:11:12Z DEBUG config loaded {variable}={value} in 12ms\n"


def _transcript(variable: str, spoken: str, value: str) -> str:
    said = {"type": "message", "message": {"role": "user", "content": [
        {"type": "text", "text": f"here is my {spoken}: {value} please set it up"}]}}
    return json.dumps({"type": "session", "id": "a1"}) + "\n" + json.dumps(said) + "\n"


def _prose(variable: str, spoken: str, value: str) -> str:
    return f"Hi,\n\nas discussed, the {spoken} is {value}\n\nRegards\n"


def _curl(variable: str, spoken: str, value: str) -> str:
    return f'export {variable}="{value}"\ncurl -H "X-Auth: ${variable}" https://api.acme.io/v1/me\n'


def _history(variable: str, spoken: str, value: str) -> str:
    return f": 1767225600:0;cd /srv\n: 1767225609:0;export {variable}={value}\n: 1767225611:0;ls\n"


def _yaml(variable: str, spoken: str, value: str) -> str:
    return f"app:\n  channels:\n    first:\n      {variable}: {value}\n      enabled: true\n"


def _toml(variable: str, spoken: str, value: str) -> str:
    return f'[service]\n{variable} = "{value}"\nport = 80\n'


def _dockerfile(variable: str, spoken: str, value: str) -> str:
    return f"FROM node:22\nENV {variable}={value}\nCMD [\"node\", \"index.js\"]\n"


def _unit(variable: str, spoken: str, value: str) -> str:
    return f'[Service]\nEnvironment="{variable}={value}"\nExecStart=/usr/bin/openclaw gateway\n'


def _manifest(variable: str, spoken: str, value: str) -> str:
    return (f"kind: Deployment\nspec:\n  containers:\n    - name: claw\n      env:\n        - name: {variable}\n"
            f'          value: "{value}"\n')


CONTEXTS: Mapping[str, Writes] = {
    "env": _env, "json5": _json5, "compose": _compose, "python": _python, "javascript": _javascript, "go": _go,
    "log": _log, "transcript": _transcript, "prose": _prose, "curl": _curl, "history": _history, "yaml": _yaml,
    "toml": _toml, "dockerfile": _dockerfile, "systemd": _unit, "kubernetes": _manifest,
}


def netrc(value: str) -> str:
    """A password in ~/.netrc."""
    return f"machine api.acme.io\n  login ops\n  password {value}\n"


def pgpass(value: str) -> str:
    """A password in ~/.pgpass."""
    return f"db.acme.io:5432:app:ops:{value}\n"
