"""What a hook waits for: modules that a clean scan of the index imports, and expressions that wait for their use."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import clawsecrets
from clawsecrets.model.late import late
from clawsecrets.scan import gates
from clawsecrets.sources.image.layers import Counter, Turns
from tests import warm

HEAVY = ("dataclasses", "json", "tomllib", "traceback", "logging", "typer", "sqlite3", "numpy", "clawsecrets.ports",
         "clawsecrets.scan_ports", "clawsecrets.model.secret", "clawsecrets.scan.walk", "clawsecrets.scan.baseline",
         "clawsecrets.scan.triage", "clawsecrets.issuers.loader")
SCAN = """
import sys
from clawsecrets.cli.entry import run
code = run(["scan", "git", ".", "--staged"])
there = sorted(sys.modules)
import json
print(json.dumps([code, there]))
"""


def test_a_clean_hook_imports_nothing_heavy(tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    (folder / "a.txt").write_text("nothing here\n")
    subprocess.run(["git", "-C", str(folder), "add", "."], check=True)
    environ = {**os.environ, "CLAWSECRETS_HOME": str(tmp_path / "home")}
    warm.put(tmp_path / "home" / "cache")
    for _ in range(2):  # the first one makes what else the home has
        done = subprocess.run([sys.executable, "-c", SCAN], cwd=folder, env=environ, capture_output=True, text=True,
                              check=True)
    code, there = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    assert "clawsecrets.scan.inspect" in there
    assert [name for name in HEAVY if name in there] == []


def test_an_expression_waits_for_its_first_use_and_is_then_as_re_has_it() -> None:
    waits = late(r"(?P<a>x)(y)?", re.I)
    assert set(vars(waits)) == {"_given"}
    assert waits.search("aXY").groups() == ("X", "Y")  # type: ignore[union-attr]
    assert [found.span() for found in waits.finditer("xx")] == [(0, 1), (1, 2)]
    assert waits.sub("-", "axy") == "a-"


def test_every_expression_that_waits_can_be_compiled() -> None:
    kind, seen = type(late("")), 0
    for info in pkgutil.walk_packages(clawsecrets.__path__, "clawsecrets."):
        if info.name.endswith("__main__"):
            continue
        for value in vars(importlib.import_module(info.name)).values():
            held = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else [value]
            flat = [inner for one in held for inner in (one if isinstance(one, tuple) else (one,))]
            for one in flat:
                if isinstance(one, kind):
                    assert one.pattern
                    seen += 1
    assert seen > 40


def test_wide_text_ends_where_an_expression_says() -> None:
    data = b"\0".join("password = abcdef".encode(form) for form in (
        "utf-16-le", "utf-16-be", "utf-32-le", "utf-8", "utf-16-le")) + "short".encode("utf-16-le")
    wanted = [at for at in range(len(data) + 1)
              if re.search(rb"(?:[\t\n\r -~]\0){12}\Z|(?:[\t\n\r -~]\0\0\0){8}\Z", data[:at], re.S)]
    assert wanted
    assert gates._wide(data) == wanted


def test_each_turn_is_taken_once_whoever_asks() -> None:
    alone = Turns(Counter())
    assert [turn for turn in range(50) if alone.mine(turn)] == list(range(50))
    assert not alone.mine(48)
    counter = Counter()
    one, other = Turns(counter), Turns(counter)
    assert [(one.mine(turn), other.mine(turn)) for turn in range(4)] == [(True, False), (False, True)] * 2
