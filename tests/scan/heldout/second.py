# ruff: noqa: E501  (tables: one row a line)
"""The second set of contexts: written before the first was measured, and not looked at while rules were mended."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping

from .contexts import Writer, camel, chat, owner, stamp, tree
from .types import Type


def fish(kind: Type, value: str, rng: random.Random) -> str:
    return f"set -gx PATH ~/bin $PATH\nset -gx {kind.variable} {value}\n"


def batch(kind: Type, value: str, rng: random.Random) -> str:
    return f"@echo off\r\nset {kind.variable}={value}\r\nnode index.js\r\n"


def setx(kind: Type, value: str, rng: random.Random) -> str:
    return f'PS C:\\> setx {kind.variable} "{value}"\nSUCCESS: Specified value was saved.\n'


def helm(kind: Type, value: str, rng: random.Random) -> str:
    return f"helm upgrade claw ./chart --set image.tag=1 --set env.{kind.variable}={value} --wait\n"


def literal(kind: Type, value: str, rng: random.Random) -> str:
    return f"kubectl create secret generic claw --from-literal={kind.variable}={value} -n prod\n"


def rust(kind: Type, value: str, rng: random.Random) -> str:
    return f'use std::env;\n\nconst {kind.variable}: &str = "{value}";\n'


def java(kind: Type, value: str, rng: random.Random) -> str:
    return f'public final class Keys {{\n    private static final String {kind.variable} = "{value}";\n}}\n'


def csharp(kind: Type, value: str, rng: random.Random) -> str:
    name = camel(kind)[0].upper() + camel(kind)[1:]
    return json.dumps({"Logging": {"Level": "Info"}, owner(kind).capitalize(): {name: value}}, indent=2)


def php(kind: Type, value: str, rng: random.Random) -> str:
    return f"<?php\ndefine('WP_DEBUG', false);\ndefine('{kind.variable}', '{value}');\n"


def php_array(kind: Type, value: str, rng: random.Random) -> str:
    return f"<?php\nreturn [\n    'debug' => false,\n    '{kind.variable.lower()}' => '{value}',\n];\n"


def ruby(kind: Type, value: str, rng: random.Random) -> str:
    return f"require 'claw'\nENV['{kind.variable}'] ||= '{value}'\n"


def makefile(kind: Type, value: str, rng: random.Random) -> str:
    return f"TAG := 1\n{kind.variable} := {value}\n\nrun:\n\tnode .\n"


def nix(kind: Type, value: str, rng: random.Random) -> str:
    return f'{{ pkgs, ... }}: {{\n  environment.variables.{kind.variable} = "{value}";\n}}\n'


def ansible(kind: Type, value: str, rng: random.Random) -> str:
    return f'- hosts: claw\n  vars:\n    {kind.variable.lower()}: "{value}"\n  roles: [claw]\n'


def launch(kind: Type, value: str, rng: random.Random) -> str:
    return json.dumps({"configurations": [{"type": "node", "env": {kind.variable: value}}]}, indent=4)


def notebook(kind: Type, value: str, rng: random.Random) -> str:
    return json.dumps({"cells": [{"cell_type": "code", "source": [f"%env {kind.variable}={value}\n", "run()"]}]})


def notebook_set(kind: Type, value: str, rng: random.Random) -> str:
    return json.dumps({"cells": [{"source": [f'os.environ["{kind.variable}"] = "{value}"\n']}]}, indent=1)


def har(kind: Type, value: str, rng: random.Random) -> str:
    pairs = [{"name": "accept", "value": "*/*"}, {"name": "authorization", "value": f"Bearer {value}"}]
    return json.dumps({"log": {"entries": [{"request": {"headers": pairs}}]}}, indent=2)


def postman(kind: Type, value: str, rng: random.Random) -> str:
    return json.dumps({"values": [{"key": kind.variable.lower(), "value": value, "type": "secret"}]}, indent=1)


def wget(kind: Type, value: str, rng: random.Random) -> str:
    return f'wget --header="Authorization: Bearer {value}" -qO- https://api.{owner(kind)}.com/v1/me\n'


def httpie(kind: Type, value: str, rng: random.Random) -> str:
    return f"http POST api.{owner(kind)}.com/v1/run X-Api-Key:{value} q=claw\n"


def fly(kind: Type, value: str, rng: random.Random) -> str:
    return f"fly secrets set {kind.variable}={value} -a claw\n"


def heroku(kind: Type, value: str, rng: random.Random) -> str:
    return f'$ heroku config:set {kind.variable}="{value}"\nSetting {kind.variable} and restarting claw... done\n'


def messenger(kind: Type, value: str, rng: random.Random) -> str:
    return f"[12/03/26, 10:21] Bob: got it?\n[12/03/26, 10:22] Ann: yes, {kind.label} = {value}\n[12/03/26, 10:23] Bob: ta\n"


def transcript(kind: Type, value: str, rng: random.Random) -> str:
    return f"**User:** here you go, {kind.label}: {value}\n\n**Assistant:** Thank you, stored.\n"


def asked(kind: Type, value: str, rng: random.Random) -> str:
    return chat("assistant", f"What is your {kind.label}?", rng) + chat("user", f"it's {value}", rng)


def reminder(kind: Type, value: str, rng: random.Random) -> str:
    return chat("user", f"remember that my {kind.label} is \"{value}\", I will need it later", rng)


def use_as(kind: Type, value: str, rng: random.Random) -> str:
    return chat("user", f"set up the channel with {kind.label} {value}", rng)


def memory(kind: Type, value: str, rng: random.Random) -> str:
    return f"# MEMORY.md\n\n- Ann likes tea\n- {kind.label} = `{value}`\n- server is called attic\n"


def html(kind: Type, value: str, rng: random.Random) -> str:
    return f'<form>\n<input type="text" name="{kind.variable.lower()}" value="{value}">\n</form>\n'


def sql(kind: Type, value: str, rng: random.Random) -> str:
    return f"INSERT INTO settings (name, value) VALUES ('{kind.variable.lower()}', '{value}');\n"


def swift(kind: Type, value: str, rng: random.Random) -> str:
    return f'import Foundation\n\nlet {camel(kind)}: String = "{value}"\n'


def kotlin(kind: Type, value: str, rng: random.Random) -> str:
    return f'object Keys {{\n    const val {kind.variable} = "{value}"\n}}\n'


def elixir(kind: Type, value: str, rng: random.Random) -> str:
    return f'import Config\nconfig :claw, {owner(kind)}: [{kind.variable.lower()}: "{value}"]\n'


def lua(kind: Type, value: str, rng: random.Random) -> str:
    return f'local M = {{}}\nM.{kind.variable.lower()} = "{value}"\nreturn M\n'


def diff(kind: Type, value: str, rng: random.Random) -> str:
    return f"--- a/.env\n+++ b/.env\n@@ -1,2 +1,3 @@\n TZ=UTC\n+{kind.variable}={value}\n PORT=1\n"


def removed(kind: Type, value: str, rng: random.Random) -> str:
    return f"@@ -4,7 +4,7 @@ providers:\n-    {kind.variable}: \"{value}\"\n+    {kind.variable}: ${{{kind.variable}}}\n"


def coloured(kind: Type, value: str, rng: random.Random) -> str:
    return f"\x1b[90m{stamp(rng)}\x1b[0m \x1b[36m{kind.variable}\x1b[0m=\x1b[32m{value}\x1b[0m\n"


def nginx(kind: Type, value: str, rng: random.Random) -> str:
    return f'location / {{\n  proxy_set_header Authorization "Bearer {value}";\n  proxy_pass http://claw;\n}}\n'


def tfstate(kind: Type, value: str, rng: random.Random) -> str:
    return json.dumps({"outputs": {kind.variable.lower(): {"value": value, "type": "string"}}}, indent=2)


def cron(kind: Type, value: str, rng: random.Random) -> str:
    return f"MAILTO=ann\n*/5 * * * * {kind.variable}='{value}' /usr/local/bin/backup\n"


def supervisor(kind: Type, value: str, rng: random.Random) -> str:
    return f'[program:claw]\nenvironment=TZ="UTC",{kind.variable}="{value}",PORT="1"\n'


def pm2(kind: Type, value: str, rng: random.Random) -> str:
    return f"module.exports = {{ apps: [{{ name: 'claw', env: {{ TZ: 'UTC', {kind.variable}: '{value}' }} }}] }};\n"


def sealed_json5(kind: Type, value: str, rng: random.Random) -> str:
    *_, outer, last = kind.place.split(".")
    return f"{{\n  '{outer}': {{\n    // was rotated\n    '{last}': '{value}',\n  }},\n}}\n"


def audit(kind: Type, value: str, rng: random.Random) -> str:
    return json.dumps({"ts": stamp(rng), "event": "config.write", "path": kind.place, "next": tree(kind.place, value)}) + "\n"


def escaped(kind: Type, value: str, rng: random.Random) -> str:
    inner = json.dumps({"role": "user", "content": f"{kind.variable}={value}"})
    return json.dumps({"body": json.dumps({"messages": inner})}) + "\n"


def flag(kind: Type, value: str, rng: random.Random) -> str:
    return f"./setup --name claw --{kind.variable.lower().replace('_', '-')} {value} --yes\n"


def flag_equals(kind: Type, value: str, rng: random.Random) -> str:
    return f"./setup --{kind.variable.lower().replace('_', '-')}={value}\n"


def yaml_list(kind: Type, value: str, rng: random.Random) -> str:
    return f"env:\n- name: TZ\n  value: UTC\n- name: {kind.variable}\n  value: {value}\n"


def cloud_init(kind: Type, value: str, rng: random.Random) -> str:
    return f"write_files:\n- path: /etc/claw.env\n  content: |\n    TZ=UTC\n    {kind.variable}={value}\n"


def jenkins(kind: Type, value: str, rng: random.Random) -> str:
    return f"pipeline {{\n  environment {{\n    {kind.variable} = '{value}'\n  }}\n}}\n"


def groovy(kind: Type, value: str, rng: random.Random) -> str:
    return f"withEnv(['TZ=UTC', '{kind.variable}={value}']) {{ sh './run' }}\n"


def query_key(kind: Type, value: str, rng: random.Random) -> str:
    return f"{stamp(rng)} fetch https://api.{owner(kind)}.com/v1/items?page=2&access_token={value}\n"


def org(kind: Type, value: str, rng: random.Random) -> str:
    return f"* Accounts\n** {kind.label}\n   {value}\n"


def utf16(kind: Type, value: str, rng: random.Random) -> str:
    return f'Windows Registry Editor Version 5.00\r\n\r\n[HKEY_CURRENT_USER\\Environment]\r\n"{kind.variable}"="{value}"\r\n'


SECOND: Mapping[str, Writer] = {
    writer.__name__: writer
    for writer in (
        fish, batch, setx, helm, literal, rust, java, csharp, php, php_array, ruby, makefile, nix, ansible, launch,
        notebook, notebook_set, har, postman, wget, httpie, fly, heroku, messenger, transcript, asked, reminder, use_as,
        memory, html, sql, swift, kotlin, elixir, lua, diff, removed, coloured, nginx, tfstate, cron, supervisor, pm2,
        sealed_json5, audit, escaped, flag, flag_equals, yaml_list, cloud_init, jenkins, groovy, query_key, org, utf16,
    )
}  # fmt: skip
