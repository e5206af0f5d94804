"""Each dialect against what really reads it: shells, systemd's own parser, the docker CLI; Compose by its rules.

Readers that are not installed are skipped by name; the tables and round trips run everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawsecrets.errors import ConfigError, Refused
from clawsecrets.injectors import mapping
from clawsecrets.injectors.dialects import DIALECTS, dialect
from clawsecrets.injectors.dialects.line import LONGEST
from tests.injectors import readers

CANARY = "canary-6d1f0a"
AWKWARD = [
    "plain",
    "a b",
    "  lead",
    "trail  ",
    "tab\tin",
    "it's",
    'say "hi"',
    "'",
    '"',
    "''",
    '""',
    "\\",
    "\\\\",
    "a\\",
    "\\'",
    '\\"',
    "\\n",
    "$",
    "$$",
    "$HOME",
    "${HOME}",
    "${",
    "a$",
    "\\$x",
    "`id`",
    "$(id)",
    "#",
    "a #b",
    "a#b",
    " #",
    "=",
    "a=b",
    "~",
    "~root",
    "a:~",
    "*",
    "?",
    "!",
    "!!",
    "%h",
    "%%",
    "ä",
    "日本",
    "🙂",
    "\u2028",
    "\xa0",
    "\x85",
    "a;b",
    "a&b",
    "(x)",
    "{a,b}",
    "'quoted'",
    '"quoted"',
    "'\"'",
    "-n",
    "export",
    "a\\'b",
    "\\\\'",
    "a\\\\",
    "\ufeff",
    "\\0101",
    "\\$$",
    "$\\",
]
MULTI = ["a\nb", "\n", "a\n", "\na", "-----BEGIN-----\nab/+==\n-----END-----\n", "a\\\nb", "'\n'", "x\n#y", "x\nA=b"]
CHARACTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
VALUES = st.text(CHARACTERS, min_size=1, max_size=20) | st.text("ab'\"\\$`# \t\n\r=~{}()0n;&", min_size=1, max_size=12)


def carried(name: str, values: list[str]) -> dict[str, str]:
    """Variables for those of `values` that the dialect takes."""
    chosen: dict[str, str] = {}
    for number, value in enumerate(values):
        try:
            dialect(name).quote("X", value)
        except Refused:
            continue
        chosen[f"V{number}"] = value
    return chosen


def write(path: Path, name: str, values: dict[str, str]) -> Path:
    text = "".join(f"{key}={dialect(name).quote(key, value)}\n" for key, value in values.items())
    path.write_bytes(text.encode())
    return path


def as_bytes(values: dict[str, str]) -> dict[str, bytes]:
    return {key: value.encode() for key, value in values.items()}


def subset(found: dict[str, bytes] | None, keys: dict[str, str]) -> dict[str, bytes]:
    assert found is not None
    return {key: found[key] for key in keys if key in found}


@pytest.mark.parametrize("shell", readers.SHELLS)
def test_shells_read_exactly_the_value(shell: str, tmp_path: Path) -> None:
    values = carried("shell", [*AWKWARD, *MULTI, "\x01\x7f", "a\rb", "\r"])
    assert len(values) == len(AWKWARD) + len(MULTI) + 3  # a shell carries all
    assert subset(readers.by_shell(write(tmp_path / "f", "shell", values), shell), values) == as_bytes(values)


@given(st.lists(VALUES, min_size=1, max_size=30))
@settings(max_examples=25)
def test_a_shell_reads_random_values(tmp_path_factory: pytest.TempPathFactory, values: list[str]) -> None:
    kept = carried("shell", values)
    path = write(tmp_path_factory.mktemp("s") / "f", "shell", kept)
    assert subset(readers.by_shell(path, "sh"), kept) == as_bytes(kept)


needs_systemd = pytest.mark.skipif(readers.SYSTEMD is None, reason="systemd's shared library is not installed")


@needs_systemd
def test_systemd_reads_exactly_the_value(tmp_path: Path) -> None:
    values = carried("systemd", [*AWKWARD, *MULTI])
    assert len(values) == len(AWKWARD) + len(MULTI)
    assert readers.by_systemd(write(tmp_path / "f", "systemd", values)) == as_bytes(values)


@needs_systemd
@given(st.lists(VALUES, min_size=1, max_size=30))
def test_systemd_reads_random_values(tmp_path_factory: pytest.TempPathFactory, values: list[str]) -> None:
    kept = carried("systemd", values)
    path = write(tmp_path_factory.mktemp("d") / "f", "systemd", kept)
    assert readers.by_systemd(path) == as_bytes(kept)


@needs_systemd
@given(st.text("AB=;#'\"\\ \t\n\r$`x", max_size=40) | st.text(" \t'\"\\x\n", max_size=9).map("A=".__add__))
def test_our_systemd_reader_agrees_with_systemd(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """On any text, not only on what we write: `holds` and the rewriting depend on it."""
    path = tmp_path_factory.mktemp("r") / "f"
    path.write_bytes(text.encode())
    lines = dialect("systemd").read(text)
    assert "".join(line.text for line in lines) == text
    if any(line.fault or line.mentions for line in lines):
        return
    ours = {line.name: (line.value or "").encode() for line in lines if mapping.VARIABLE.match(line.name)}
    theirs = readers.by_systemd(path)
    assert theirs is not None
    assert ours == {name: value for name, value in theirs.items() if mapping.VARIABLE.match(name)}


@pytest.fixture(scope="module")
def docker() -> Iterator[Callable[[Path], dict[str, bytes] | None]]:
    if readers.DOCKER is None:
        pytest.skip("the docker CLI is not installed")
    with readers.docker_reader() as reader:
        yield reader


def test_docker_reads_exactly_the_value(docker: readers.DockerReader, tmp_path: Path) -> None:
    values = carried("docker", [*AWKWARD, "x" * 65_000])
    assert len(values) == len(AWKWARD) + 1
    assert docker(write(tmp_path / "f", "docker", values)) == as_bytes(values)


def test_docker_reads_many_random_values(docker: readers.DockerReader, tmp_path: Path, random_seed: int) -> None:
    import random

    chance = random.Random(random_seed)
    letters = "ab'\"\\$`# \t=~{}()%ä🙂\xa0\x01\x0b\x1c\x7f"
    values = carried("docker", ["".join(chance.choices(letters, k=chance.randrange(1, 12))) for _ in range(3000)])
    assert len(values) == 3000
    assert docker(write(tmp_path / "f", "docker", values)) == as_bytes(values)


def test_the_longest_line_of_docker(docker: readers.DockerReader, tmp_path: Path) -> None:
    """Our limit is one that docker takes, and docker has one not far above."""
    value = "x" * (65_534 - len("A="))
    path = tmp_path / "f"
    for ending in ("\n", "\r\n"):
        path.write_text(f"A={dialect('docker').quote('A', value)}{ending}", newline="")
        assert docker(path) == {"A": value.encode()}
    path.write_text(f"A={value}xx\n")
    assert docker(path) is None
    with pytest.raises(Refused, match="too long"):
        dialect("docker").quote("A", value + "x")


@pytest.mark.parametrize("text", ["export A=b\n", "A =b\n", "=b\n", "A=b\n\tC D\n"])
def test_what_docker_refuses_is_a_fault(docker: readers.DockerReader, tmp_path: Path, text: str) -> None:
    path = tmp_path / "f"
    path.write_text(text)
    assert docker(path) is None
    assert any(line.fault for line in dialect("docker").read(text))


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfA=b\r\n", b" \tA= b \r\n#x\n\n", b"A=b\xff\n", b"A=a=b", b"A=\n"])
def test_our_docker_reader_agrees_with_docker(docker: readers.DockerReader, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f"
    path.write_bytes(content)
    lines = dialect("docker").read(content.decode("utf-8", "surrogateescape"))
    ours = None if any(line.fault for line in lines) else {x.name: (x.value or "").encode() for x in lines if x.name}
    assert docker(path) == ours


# --- Compose: no binary that could be asked everywhere; its documented rules (docs.docker.com, "env file syntax") ---


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=VAL", "VAL"),
        ('A="VAL"', "VAL"),
        ("A='VAL'", "VAL"),
        ("A=VAL # comment", "VAL"),
        ("A=VAL# not", "VAL# not"),
        ('A="VAL # not"', "VAL # not"),
        ('A="VAL" # comment', "VAL"),
        ("A='$OTHER'", "$OTHER"),
        ("A='${OTHER}'", "${OTHER}"),
        ("A='Let\\'s go!'", "Let's go!"),
        ('A="{\\"hello\\": \\"json\\"}"', '{"hello": "json"}'),
        ('A="some\\tvalue"', "some\tvalue"),
        ("A='some\\tvalue'", "some\\tvalue"),
        ("A=some\\tvalue", "some\\tvalue"),
        ("A=$$x", "$x"),
        ('A="\\$x"', "$x"),
        ("A=a$", "a$"),
        ("export A=b", "b"),
        ("A: b", "b"),
        ("A = b ", "b"),
        ("A='a\nb'", "a\nb"),
        ('A="a\\nb"', "a\nb"),
        ("A=b\r\n", "b"),
        ("A=", ""),
        ("\ufeffA=b", "b"),
        ("A=$OTHER", None),
        ('A="${OTHER:-x}"', None),
        ('A="\\0101"', None),
        ("A", None),
    ],
)
def test_compose_by_its_documented_rules(text: str, value: str | None) -> None:
    lines = [line for line in dialect("compose").read(text) if line.name]
    assert [(line.name, line.value) for line in lines] == [("A", value)]


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("sk-ab_1.2/3+4=", "sk-ab_1.2/3+4="),
        ("a b", "'a b'"),
        ("a$b", "'a$b'"),
        ('a"b', "'a\"b'"),
        ("a#b", "'a#b'"),
        ("it's", '"it\'s"'),
        ("a\\b", '"a\\\\b"'),
        ("$'", '"$$\'"'),
        ("a\nb\r", '"a\\nb\\r"'),
        ("'\"", '"\'\\""'),
    ],
)
def test_compose_quotes_as_little_as_it_may(value: str, quoted: str) -> None:
    assert dialect("compose").quote("A", value) == quoted


# --- all dialects ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(DIALECTS))
@given(value=VALUES, before=st.sampled_from(["", "# c\n", "B=1\n"]), after=st.sampled_from(["", "\n", "C=2\n", "# d"]))
@settings(max_examples=150)
def test_what_is_written_reads_back(name: str, value: str, before: str, after: str) -> None:
    chosen = dialect(name)
    try:
        quoted = chosen.quote("A", value)
    except Refused as error:
        assert value not in error.message or len(value) < 4
        assert name == "docker" or name == "systemd"
        return
    text = f"{before}A={quoted}\n{after}"
    lines = chosen.read(text)
    assert "".join(line.text for line in lines) == text
    assert [line.value for line in lines if line.name == "A"] == [value]


@pytest.mark.parametrize("name", sorted(DIALECTS))
@given(text=st.text("AB=: \t\n\r'\"\\$#;export<(`", max_size=60))
@settings(max_examples=200)
def test_statements_are_the_file_byte_for_byte(name: str, text: str) -> None:
    assert "".join(line.text for line in dialect(name).read(text)) == text


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("docker", f"{CANARY}\n", "line break"),
        ("docker", f"{CANARY}\r", "line break"),
        ("systemd", f"{CANARY}\x1b", "control character"),
        ("systemd", f"{CANARY}\r", "control character"),
        *((name, f"{CANARY}\0", "NUL") for name in DIALECTS),
        *((name, CANARY + "x" * LONGEST, "too long") for name in DIALECTS),
    ],
)
def test_a_value_that_cannot_be_carried_is_refused_without_saying_it(name: str, value: str, reason: str) -> None:
    with pytest.raises(Refused) as caught:
        dialect(name).quote("TOKEN", value)
    assert caught.value.message.startswith("TOKEN: ") and reason in caught.value.message
    assert CANARY not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "if true; then\nA=b\nfi\n",
        "cat <<E\nA=b\nE\n",
        "f() {\n",
        "A=$(cat\n",
        "A='b\n",
        "for x in 1; do\n",
        "(A=b\n",
        "\ufeffA=b\n",
    ],
)
def test_a_shell_program_is_a_fault(text: str) -> None:
    assert any(line.fault for line in dialect("shell").read(text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=b", "b"),
        ("  export A='b c' # x\n", "b c"),
        ("A=a'b'\"c\"\\d\n", "abcd"),
        ("A=b; export A\n", "b"),
        ("A=b;\n", "b"),
        ('A="a\\"\\$\\\\\\n"\n', 'a"$\\\\n'),
        ("A='a\nb'\n", "a\nb"),
        ("A=a#b\n", "a#b"),
        ("A=\\\nb\n", "b"),
        ("A=b\r\n", "b\r"),
        ("A=$X\n", None),
        ('A="$X"\n', None),
        ("A=~\n", None),
        ('A="\\\\$X"\n', None),
        ("A=\n", ""),
    ],
)
def test_shell_words(text: str, value: str | None, tmp_path: Path) -> None:
    lines = [line for line in dialect("shell").read(text) if line.name]
    assert [(line.name, line.value) for line in lines] == [("A", value)]
    if value is not None:
        path = tmp_path / "f"
        path.write_text(text, newline="")
        found = readers.by_shell(path, "sh")
        assert found is not None and found["A"] == value.encode()


@pytest.mark.parametrize(
    "text", ["A=b cmd\n", "export A=1 B=2\n", "unset A\n", "x=1; A=2\n", "readonly A=1\n", "[ x ] && A=b\n"]
)
def test_other_forms_are_seen(text: str) -> None:
    (line,) = dialect("shell").read(text)
    assert not line.name and "A" in line.mentions


def test_a_line_does_not_print_its_value() -> None:
    for name in DIALECTS:
        assert CANARY not in repr(dialect(name).read(f"A={CANARY}\n#{CANARY}\n"))


def test_an_unknown_dialect_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="bash"):
        dialect("bash")
