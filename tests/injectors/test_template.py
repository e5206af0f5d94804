"""Templates: what they may ask for, what their errors say, and the injector that renders them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clawsecrets.errors import ClawError, NotFound, UsageError
from clawsecrets.injectors import jinja, rendering
from clawsecrets.injectors.atomic import Access
from clawsecrets.injectors.rendering import render
from clawsecrets.injectors.template import Template, read_template
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Entry, Reply
from tests import canary as canaries

VALUES = {"a": "value-a", "db/password": 'p"w d', "number": "5"}


def entry(name: str, value: bytes = b"value-1", version: int = 1) -> Entry:
    return Entry(name, version, SecretValue(value))


def lookup(name: str) -> str:
    if name not in VALUES:
        raise NotFound("there is no secret of that name", "look")
    return VALUES[name]


@pytest.mark.parametrize(("template", "made"), [
    ('a = {{ secret("a") }}\n', "a = value-a\n"),
    ("no secret, no change\n\n", "no secret, no change\n\n"),
    ('{"p": {{ secret("db/password") | tojson }}}', '{"p": "p\\"w d"}'),
    ('u:{{ secret("db/password") | urlencode }}@h', "u:p%22w%20d@h"),
    ('{% for n in ["a", "number"] %}{{ secret(n) }};{% endfor %}', "value-a;5;"),
    ("{% if secret('a') %}<{{ secret('a') }}>{% endif %}{# a note #}", "<value-a>"),
    ("<b>{{ secret('db/password') }}", '<b>p"w d'),
])
def test_rendered(template: str, made: str) -> None:
    assert render(template, lookup) == made


@pytest.mark.parametrize(("template", "said"), [
    ('x\n\n{{ secret("nothing") }}', "line 3: there is no secret of that name"),
    ("x\n{{ sekret }}", "line 2: sekret is not defined"),
    ("x\n{{ secret('a' }}", "line 2: unexpected"),
    ("{% if x %}", "line 1: Unexpected end of template"),
    ("\n{% include '/etc/passwd' %}", "line 2: it can include and import no other file"),
    ("\n{% import 'other' as o %}", "line 2: it can include and import no other file"),
    ("\n{{ secret.__globals__ }}", "line 2: that is not allowed in a template"),
    ("\n{{ ''.__class__.__mro__ }}", "line 2: that is not allowed in a template"),
    ("\n{{ secret('a').__class__ }}", "line 2: that is not allowed in a template"),
    ('\n{{ secret("a") + 1 }}', "line 2: it fails (TypeError)"),
    ('\n{{ 1 / 0 }}', "line 2: it fails (ZeroDivisionError)"),
    ('\n{{ range(10**9) | list }}', "line 2: it fails (OverflowError)"),
    ("\n{{ secret() }}", "line 2: the name of a secret must be written in the template"),
    ("\n{{ secret('a' ~ 'b') }}", "line 2: the name of a secret must be written in the template"),
    ("\n{{ secret(5) }}", "line 2: the name of a secret must be written in the template"),
])
def test_refused_with_its_line(template: str, said: str) -> None:
    with pytest.raises(ClawError) as caught:
        render(template, lookup)
    assert caught.value.message.startswith(said) and "\n" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("use", [
    "secret(secret('a'))", "{}[secret('a')]", "{'x': 1}.y[secret('a')]", "secret('a') + 1",
    "secret('a') | int(secret('a'))",
    "secret('a').nothing", "secret('a')()", "secret('a') | no_filter", "[][secret('a')]",
    "secret('a') | attr(secret('a'))",
    "('%' ~ secret('a')) | format(1)", "range(secret('a'))", "secret('a') is no_test", "secret('a') / 2",
    "secret('a') * 10**12", "secret('a') | dictsort", "{% set x = secret('a') %}{{ x.__class__ }}",
])
def test_no_error_holds_a_value(use: str, canary: bytes) -> None:
    template = use if use.startswith("{%") else "{{ " + use + " }}"
    try:
        render(template, lambda name: canary.decode())
    except ClawError as error:
        said = f"{error.message}{error.hint}{error!r}{error.__cause__!r}{error.__context__!r}"
        assert canaries.search(said.encode(), canary) == []


def test_a_value_that_reads_like_an_error_is_not_taken_for_its_words() -> None:
    with pytest.raises(UsageError) as caught:
        render("\n{{ {}[secret('a')] }}", lambda name: "'canary0123456789' is undefined")
    assert caught.value.message == "line 2: something in it is not defined"


@pytest.mark.parametrize(("template", "said"), [
    ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}{{ secret('a') }}",
     "it takes longer than 3 s"),
    ("{{ secret('a') }}{{ 9 ** (9 ** 9) }}", "it takes longer than 3 s"),  # one step of Python: no thread could end it
    ("x\n{% for i in range(99999) %}{{ secret('a') * 1000 }}{% endfor %}", "line 2: it makes more than 16 MiB"),
    ("x\n{% set all %}{% for i in range(99999) %}{{ secret('a') * 10000 }}{% endfor %}{% endset %}",
     "line 2: it takes too much memory"),
    ("\n\n{{ 'x' * 10000000000 }}", "line 3: it takes too much memory"),
])
def test_none_takes_for_ever_or_everything(template: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "longer" in said:
        monkeypatch.setattr(rendering, "SECONDS", 3.0)
    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(start(*a, **k)) or started[-1])
    with pytest.raises(UsageError) as caught:
        render(template, lookup)
    assert caught.value.message == said
    [process] = started
    assert process.returncode is not None, "it is gone"


def test_sixteen_mebibytes_are_made_and_not_a_byte_more() -> None:
    value = "x" * 1024
    assert len(render("{{ secret('a') * 16384 }}", lambda name: value)) == 16 << 20
    with pytest.raises(UsageError, match=r"^line 1: it makes more than 16 MiB$"):
        render("{{ secret('a') * 16384 }}y", lambda name: value)


def test_its_time_is_counted_from_one_value_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that asks again and again takes a moment each time, and no less for that."""
    monkeypatch.setattr(rendering, "SECONDS", 1.0)
    rounds = "{% for i in range(99999) %}{{ secret('a') }}{% for j in range(9999) %}{% endfor %}{% endfor %}"
    with pytest.raises(UsageError, match=r"^it takes longer than 1 s$"):
        render(rounds, lookup)


LIMITS = """
import resource
from clawsecrets.injectors import jinja
jinja.confine(1.5)
for kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_CORE):
    print(*resource.getrlimit(kind))
"""


def test_it_is_bounded_though_nobody_watches_it_any_more() -> None:
    """Whoever started it may be gone; and a core would hold values."""
    said = subprocess.run([sys.executable, "-c", LIMITS], capture_output=True, text=True, check=True).stdout
    memory = jinja.MEMORY
    assert said == f"{memory} {memory}\n3 3\n0 0\n"


def test_what_reading_the_values_takes_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "SECONDS", 2.0)
    assert render("{{ secret('a') }}", lambda name: time.sleep(2.5) or "late") == "late"


def test_a_process_that_dies_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(name: str) -> str:
        started[0].kill()
        return "v"

    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(start(*a, **k)) or started[-1])
    with pytest.raises(UsageError, match="it ended the process that renders it"):
        render("{{ secret('a') }}", killed)
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(UsageError, match="cannot be started: No such file"):
        render("{{ secret('a') }}", lookup)


def test_large_ones_are_rendered_whole() -> None:
    value = "w\u00e4rt\n" * 20_000
    made = render("{% for i in range(60) %}{{ secret('a') }}{% endfor %}" + "#" * 900_000, lambda name: value)
    assert made == value * 60 + "#" * 900_000


def test_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_bytes(b"x" * (2 << 20))
    os.mkfifo(tmp_path / "fifo")
    for name in ("binary", "large", "fifo", "missing", "."):
        with pytest.raises(UsageError) as caught:
            read_template(tmp_path / name)
        assert str(tmp_path) in caught.value.message


# --- the injector ---------------------------------------------------------------------------------------------------


def made(folder: Path, template: str, rights: Access | None = None) -> Template:
    (folder / "t.j2").write_text(template)
    return Template("t", folder / "t.j2", folder / "app.conf", rights)


def test_of_a_device_it_is_said_that_it_is_no_file() -> None:
    with pytest.raises(UsageError) as raised:
        read_template(Path("/dev/zero"))
    assert raised.value.message == "/dev/zero: it is not a regular file"


def test_delivered_and_read_back(tmp_path: Path) -> None:
    one = made(tmp_path, "a={{ secret('a') }}\nb={{ secret('b') | tojson }}\n")
    old = os.umask(0)
    try:
        assert one.deliver([entry("a"), entry("b", b'"2"')]).outcome is Outcome.OK
    finally:
        os.umask(old)
    file = tmp_path / "app.conf"
    assert file.read_text() == 'a=value-1\nb="\\"2\\""\n' and stat.S_IMODE(file.stat().st_mode) == 0o600
    with file.open() as reader:
        assert one.deliver([entry("a", b"new"), entry("b", b'"2"')]).outcome is Outcome.OK
        assert reader.read().startswith("a=value-1")  # replaced, not written into
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.conf", "t.j2"]
    assert one.exposed(["a"]) == []
    file.chmod(0o644)
    assert len(one.exposed(["a"])) == 1


def test_holds_each_value_by_itself(tmp_path: Path) -> None:
    one = made(tmp_path, "a={{ secret('a') }}\nb={{ secret('b') | urlencode }}, again {{ secret('a') }}.")
    assert one.holds(entry("a")) is False
    one.deliver([entry("a"), entry("b", b"x y")])
    assert one.holds(entry("a")) is True and one.holds(entry("b", b"x y")) is True
    assert one.holds(entry("a", b"other")) is False and one.holds(entry("b", b"x")) is False
    assert one.holds(entry("c")) is None
    (tmp_path / "app.conf").write_text("a=value-1\nb=x%20y, again stale.")
    assert one.holds(entry("a")) is False and one.holds(entry("b", b"x y")) is True
    (tmp_path / "app.conf").write_text("a=value-1\nb=x%20y, again value-1.more")
    assert one.holds(entry("a")) is False
    (tmp_path / "t.j2").write_text("{{ secret('a') }}{{ secret('b')[:3] }}")
    assert one.holds(entry("a")) is None


def test_what_is_not_bound_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    one = made(tmp_path, "x\n{{ secret('a') }}{{ secret('b') }}")
    for answer in (one.could([entry("a")]), one.deliver([entry("a")])):
        assert answer.outcome is Outcome.REFUSED
        assert "t.j2: line 2: secret 'b' is not bound to t; clawsecrets configure b --inject t" in answer.detail
    assert not (tmp_path / "app.conf").exists()
    assert one.deliver([]).outcome is Outcome.OK and not (tmp_path / "app.conf").exists()


@pytest.mark.parametrize("bad", [b"\xff", b""])
def test_a_value_that_is_no_text_is_refused(tmp_path: Path, bad: bytes) -> None:
    assert made(tmp_path, "{{ secret('a') }}").deliver([entry("a", bad)]).outcome is Outcome.REFUSED


def test_a_fault_in_the_template_is_seen_before_a_rotation(tmp_path: Path) -> None:
    assert made(tmp_path, "{{ secret('a' }}").could([entry("a")]).outcome is Outcome.REFUSED
    assert Template("t", tmp_path / "no.j2", tmp_path / "x").preflight().outcome is Outcome.REFUSED
    assert made(tmp_path, "x").preflight().outcome is Outcome.OK
    assert Template("t", tmp_path / "t.j2", tmp_path / "no" / "x").preflight().outcome is Outcome.REFUSED
    assert [path.name for path in tmp_path.iterdir()] == ["t.j2"]


def test_it_cannot_be_taken_out(tmp_path: Path) -> None:
    one = made(tmp_path, "{{ secret('a') }}")
    assert one.remove({"a": ""}).outcome is Outcome.OK
    one.deliver([entry("a")])
    assert one.remove({"a": ""}).outcome is Outcome.REFUSED and (tmp_path / "app.conf").exists()


@pytest.mark.parametrize("call", [lambda t, e: t.deliver([e]), lambda t, e: t.could([e]), lambda t, e: t.holds(e),
                                  lambda t, e: t.preflight(), lambda t, e: t.describe()])
def test_nothing_said_holds_a_value(tmp_path: Path, canary: bytes, call: Callable[[Template, Entry], Reply]) -> None:
    for template in ("{{ secret('a') }}", "{{ secret('a') + 1 }}", "{{ {}[secret('a')] }}"):
        assert canaries.search(repr(call(made(tmp_path, template), entry("a", canary))).encode(), canary) == []
