# ruff: noqa: E501  (tables: one row a line)
"""How people write a credential down: the first set of contexts, one text for each."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Mapping

from .types import Type
from .values import CLASSES, some

Writer = Callable[[Type, str, random.Random], str]


def camel(kind: Type) -> str:
    first, *others = kind.variable.lower().split("_")
    return first + "".join(each.capitalize() for each in others)


def owner(kind: Type) -> str:
    return kind.slug.split("-")[0]


def key(kind: Type) -> str:
    return kind.place.rsplit(".", 1)[-1]


def tree(place: str, value: str) -> dict[str, object]:
    first, _, rest = place.partition(".")
    return {first: tree(rest, value) if rest else value}


def stamp(rng: random.Random) -> str:
    return f"2026-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}T0{rng.randint(0, 9)}:{rng.randint(10, 59)}:07.412Z"


def dotenv(kind: Type, value: str, rng: random.Random) -> str:
    return f"# local settings\nNODE_ENV=production\nPORT=18789\n{kind.variable}={value}\nLOG_LEVEL=info\n"


def dotenv_quoted(kind: Type, value: str, rng: random.Random) -> str:
    return f'TZ=Europe/Vienna\n{kind.variable} = "{value}"  # {kind.label}, from the dashboard\n'


def export(kind: Type, value: str, rng: random.Random) -> str:
    return f"#!/bin/sh\nset -e\nexport {kind.variable}='{value}'\nexec openclaw gateway run\n"


def history(kind: Type, value: str, rng: random.Random) -> str:
    header = f'curl -s https://api.{owner(kind)}.com/v1/me -H "Authorization: Bearer {value}" | jq .'
    return f"cd ~/claw\nls -la\n{header}\nopenclaw status\n"


def history_header(kind: Type, value: str, rng: random.Random) -> str:
    return f"git pull\ncurl -X POST -H 'x-api-key: {value}' -d '{{}}' https://api.{owner(kind)}.com/v1/run\nhtop\n"


def zsh(kind: Type, value: str, rng: random.Random) -> str:
    return f": 1768212001:0;cd src\n: 1768212044:0;{kind.variable}={value} openclaw doctor\n: 1768212090:0;exit\n"


def compose_map(kind: Type, value: str, rng: random.Random) -> str:
    return f"services:\n  claw:\n    image: claw:1\n    environment:\n      TZ: UTC\n      {kind.variable}: {value}\n"


def compose_list(kind: Type, value: str, rng: random.Random) -> str:
    return f"services:\n  claw:\n    environment:\n      - TZ=UTC\n      - {kind.variable}={value}\n    ports: [18789]\n"


def docker_env(kind: Type, value: str, rng: random.Random) -> str:
    return f"FROM node:24-slim\nWORKDIR /app\nENV {kind.variable}={value}\nCOPY . .\n"


def docker_old(kind: Type, value: str, rng: random.Random) -> str:
    return f"FROM node:24-slim\nENV {kind.variable} {value}\nRUN npm ci\n"


def docker_arg(kind: Type, value: str, rng: random.Random) -> str:
    return f'FROM node:24-slim\nARG {kind.variable}="{value}"\nRUN npm ci\n'


def nested(place: str, quote: str, value: str) -> str:
    *outer, last = place.split(".")
    opened = "".join(f"{'  ' * at}{name if name.isidentifier() else repr(name)}: {{\n" for at, name in enumerate(outer, 1))
    pad = "  " * (len(outer) + 1)
    return f"{opened}{pad}enabled: true,\n{pad}{last}: {quote}{value}{quote}, // {{0}}\n" + "  }\n" * len(outer)


def json5(kind: Type, value: str, rng: random.Random) -> str:
    body = nested(kind.place, '"', value).replace("{0}", "from the console")
    return f"// openclaw.json\n{{\n  agents: {{ defaults: {{ model: 'gpt-5' }} }},\n{body}}}\n"


def json5_single(kind: Type, value: str, rng: random.Random) -> str:
    body = nested(kind.place, "'", value).replace("{0}", "rotate in May")
    return f"{{\n  /* mine */\n{body}}}\n"


def json5_line(kind: Type, value: str, rng: random.Random) -> str:
    *outer, last = kind.place.split(".")
    return "{ " + "".join(f"{name}: {{ " for name in outer) + f"{last}: '{value}' " + "} " * len(outer) + "}\n"


def strict(kind: Type, value: str, rng: random.Random) -> str:
    return json.dumps({"meta": {"lastTouchedVersion": "2026.9.6"}, **tree(kind.place, value)}, indent=2)


def compact(kind: Type, value: str, rng: random.Random) -> str:
    return json.dumps({"wizard": {"lastRunMode": "local"}, **tree(kind.place, value)}, separators=(",", ":"))


def json_log(kind: Type, value: str, rng: random.Random) -> str:
    line = {"time": stamp(rng), "level": 20, "msg": "environment", "env": {"TZ": "UTC", kind.variable: value}}
    return '{"level":30,"msg":"start"}\n' + json.dumps(line) + "\n"


def plain_log(kind: Type, value: str, rng: random.Random) -> str:
    return f"{stamp(rng)} INFO [boot] ready\n{stamp(rng)} DEBUG [env] {kind.variable}={value} (from .env)\n"


def log_label(kind: Type, value: str, rng: random.Random) -> str:
    return f"{stamp(rng)} [warn] {owner(kind)}: request refused, {kind.label}: {value}, retry in 4s\n"


def chat(role: str, text: str, rng: random.Random) -> str:
    entry = {"type": "message", "id": some(rng, CLASSES["h"], 8), "timestamp": stamp(rng)}
    entry["message"] = {"role": role, "content": [{"type": "text", "text": text}]}  # type: ignore[assignment]
    return json.dumps(entry, ensure_ascii=False) + "\n"


def pasted(kind: Type, value: str, rng: random.Random) -> str:
    asked = rng.choice(["here's my", "ok this is the", "sure, here is our new", "use this"])
    return chat("user", "hi!", rng) + chat("user", f"{asked} {kind.label}: {value} please set it up", rng)


def pasted_below(kind: Type, value: str, rng: random.Random) -> str:
    return chat("user", f"my {kind.label}:\n\n{value}\n\ncan you put it into the config?", rng)


def repeated(kind: Type, value: str, rng: random.Random) -> str:
    text = f"Done! I saved your {kind.label} (`{value}`) to the config and restarted the gateway."
    return chat("assistant", text, rng) + chat("user", "thanks", rng)


def bold(kind: Type, value: str, rng: random.Random) -> str:
    return chat("assistant", f"Your setup:\n- **Model**: fast\n- **{kind.label}**: `{value}`\n- **Port**: 18789", rng)


def tool_result(kind: Type, value: str, rng: random.Random) -> str:
    inner = json.dumps({"stdout": json.dumps({"env": {kind.variable: value, "HOME": "/root"}}), "exitCode": 0})
    return chat("toolResult", inner, rng)


def tool_env(kind: Type, value: str, rng: random.Random) -> str:
    return chat("toolResult", f"$ cat .env\nPORT=1\n{kind.variable}={value}\nDEBUG=0\n", rng)


def tool_call(kind: Type, value: str, rng: random.Random) -> str:
    command = f'curl -H "Authorization: Bearer {value}" https://api.{owner(kind)}.com/v1/models'
    call = {"type": "toolCall", "name": "exec", "arguments": {"command": command}}
    return json.dumps({"type": "message", "message": {"role": "assistant", "content": [call]}}) + "\n"


def prose_is(kind: Type, value: str, rng: random.Random) -> str:
    return f"Hi Bob,\n\nthe {kind.label} for the new box is {value} - please don't lose it.\n\nCheers\nAnn\n"


def prose_colon(kind: Type, value: str, rng: random.Random) -> str:
    return f"Notes from Tuesday\n\n{kind.label}: {value}\nWifi is upstairs.\n"


def prose_variable(kind: Type, value: str, rng: random.Random) -> str:
    return f"To get going set {kind.variable} to {value} and restart the service.\n"


def prose_arrow(kind: Type, value: str, rng: random.Random) -> str:
    return f"* {kind.label} -> {value}\n* lunch on Friday\n"


def prose_dash(kind: Type, value: str, rng: random.Random) -> str:
    return f"Passwords and keys\n\n{kind.label} \u2014 {value}\n"


def python(kind: Type, value: str, rng: random.Random) -> str:
    return f'import os\n\nos.environ["{kind.variable}"] = "{value}"\n\n\ndef main():\n    run()\n'


def python_call(kind: Type, value: str, rng: random.Random) -> str:
    return f"from claw import Client\n\n{kind.variable} = '{value}'\nclient = Client(timeout=4)\n"


def javascript(kind: Type, value: str, rng: random.Random) -> str:
    return f"const http = require('http');\nconst {camel(kind)} = '{value}';\nmodule.exports = {{ port: 1 }};\n"


def typescript(kind: Type, value: str, rng: random.Random) -> str:
    return f"export const {owner(kind)}Options: Options = {{\n  retries: 2,\n  {camel(kind)}: `{value}`,\n}};\n"


def golang(kind: Type, value: str, rng: random.Random) -> str:
    return f'package main\n\nfunc main() {{\n\tos.Setenv("{kind.variable}", "{value}")\n\trun()\n}}\n'


def yaml(kind: Type, value: str, rng: random.Random) -> str:
    *outer, last = kind.place.split(".")
    return "".join(f"{'  ' * at}{name}:\n" for at, name in enumerate(outer)) + "  " * len(outer) + f"{last}: {value}\n"


def k8s_secret(kind: Type, value: str, rng: random.Random) -> str:
    data = base64.b64encode(value.encode()).decode()
    return f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: claw\ndata:\n  {kind.variable}: {data}\n"


def k8s_string(kind: Type, value: str, rng: random.Random) -> str:
    return f'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: claw\ndata:\n  {kind.variable}: "{value}"\n'


def toml(kind: Type, value: str, rng: random.Random) -> str:
    return f'[server]\nport = 1\n\n[{owner(kind)}]\n{kind.variable.lower()} = "{value}"\n'


def ini(kind: Type, value: str, rng: random.Random) -> str:
    return f"[main]\nverbose = 1\n[{owner(kind)}]\n{kind.variable.lower()} = {value}\n"


def systemd(kind: Type, value: str, rng: random.Random) -> str:
    return f'[Service]\nEnvironment="{kind.variable}={value}"\nExecStart=/usr/bin/openclaw gateway run\n'


def systemd_bare(kind: Type, value: str, rng: random.Random) -> str:
    return f"[Service]\nEnvironment=TZ=UTC {kind.variable}={value}\nExecStart=/usr/bin/openclaw gateway run\n"


def markdown(kind: Type, value: str, rng: random.Random) -> str:
    return f"## Setup\n\n```sh\n{kind.variable}={value}\n```\n\nThen start it.\n"


def markdown_table(kind: Type, value: str, rng: random.Random) -> str:
    return f"| What | Value |\n| --- | --- |\n| {kind.label} | `{value}` |\n| Port | 18789 |\n"


def workflow(kind: Type, value: str, rng: random.Random) -> str:
    return f"jobs:\n  e2e:\n    runs-on: ubuntu-24.04\n    env:\n      CI: 'true'\n      {kind.variable}: '{value}'\n"


def tfvars(kind: Type, value: str, rng: random.Random) -> str:
    return f'region = "eu-west-1"\n{kind.variable.lower()} = "{value}"\n'


def http(kind: Type, value: str, rng: random.Random) -> str:
    return f"GET /v1/me HTTP/1.1\r\nHost: api.{owner(kind)}.com\r\nAuthorization: Bearer {value}\r\nAccept: */*\r\n\r\n"


def query(kind: Type, value: str, rng: random.Random) -> str:
    return f"GET https://api.{owner(kind)}.com/v1/search?q=claw&api_key={value}&limit=5 200 in 41 ms\n"


def plist(kind: Type, value: str, rng: random.Random) -> str:
    pair = f"<key>{kind.variable}</key>\n\t\t<string>{value}</string>"
    return f"<plist>\n<dict>\n\t<key>EnvironmentVariables</key>\n\t<dict>\n\t\t{pair}\n\t</dict>\n</dict>\n</plist>\n"


def xml(kind: Type, value: str, rng: random.Random) -> str:
    return f'<config>\n  <add key="{kind.variable}" value="{value}" />\n</config>\n'


def csv(kind: Type, value: str, rng: random.Random) -> str:
    return f"name,value,scope\nTZ,UTC,all\n{kind.variable},{value},prod\n"


def powershell(kind: Type, value: str, rng: random.Random) -> str:
    return f'Set-Location C:\\claw\n$env:{kind.variable} = "{value}"\nnode .\\index.js\n'


def pairs(kind: Type, value: str, rng: random.Random) -> str:
    return json.dumps({"environment": [{"name": "TZ", "value": "UTC"}, {"name": kind.variable, "value": value}]}, indent=1)


def docker_run(kind: Type, value: str, rng: random.Random) -> str:
    return f"docker run -d --name claw -e TZ=UTC -e {kind.variable}={value} -p 18789:18789 claw:1\n"


def config_set(kind: Type, value: str, rng: random.Random) -> str:
    return f"openclaw config set {kind.place} {value}\nopenclaw gateway restart\n"


def config_set_quoted(kind: Type, value: str, rng: random.Random) -> str:
    return f'openclaw config set {kind.place} "{value}" --json\n'


def trace(kind: Type, value: str, rng: random.Random) -> str:
    return f"+ cd /opt\n+ export {kind.variable}={value}\n+ {kind.variable}={value}\n+ node index.js\n"


def inspected(kind: Type, value: str, rng: random.Random) -> str:
    return json.dumps([{"Config": {"Env": ["PATH=/usr/bin", f"{kind.variable}={value}", "TZ=UTC"]}}], indent=4)


def properties(kind: Type, value: str, rng: random.Random) -> str:
    return f"app.name=claw\n{kind.variable.lower().replace('_', '.')}={value}\n"


FIRST: Mapping[str, Writer] = {
    writer.__name__: writer
    for writer in (
        dotenv, dotenv_quoted, export, history, history_header, zsh, compose_map, compose_list, docker_env, docker_old,
        docker_arg, json5, json5_single, json5_line, strict, compact, json_log, plain_log, log_label, pasted,
        pasted_below, repeated, bold, tool_result, tool_env, tool_call, prose_is, prose_colon, prose_variable,
        prose_arrow, prose_dash, python, python_call, javascript, typescript, golang, yaml, k8s_secret, k8s_string,
        toml, ini, systemd, systemd_bare, markdown, markdown_table, workflow, tfvars, http, query, plist, xml, csv,
        powershell, pairs, docker_run, config_set, config_set_quoted, trace, inspected, properties,
    )
}  # fmt: skip
