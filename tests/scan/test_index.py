"""The fingerprint index: it finds what it was made of, wherever it stands, and holds none of it."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable
from pathlib import Path

import pytest

from clawsecrets.errors import ConfigError
from clawsecrets.model.finding import Content, Kind, Known, Match, Place, Skipped
from clawsecrets.model.secret import SecretValue
from clawsecrets.scan import index
from clawsecrets.scan.charsets import CLASSES, class_of
from clawsecrets.scan.detector import Detector
from clawsecrets.scan.fingerprint import bits
from clawsecrets.scan.index import BEGINNING, IndexValues, build, read, write
from clawsecrets.scan.inspect import Inspector
from clawsecrets.scan.known import Value
from clawsecrets.scan.sought import Naming, Seeking
from tests.scan.scanned import RULES

CHANCE = random.Random(7)
PEM = "-----BEGIN PRIVATE KEY-----\n" + "\n".join(
    base64.b64encode(CHANCE.randbytes(48)).decode() for _ in range(12)) + "\n-----END PRIVATE KEY-----\n"
SHAPES: dict[str, str] = {
    "hex": CHANCE.randbytes(24).hex(),
    "HEX": CHANCE.randbytes(24).hex().upper(),
    "alnum": "".join(CHANCE.choices(string.ascii_letters + string.digits, k=36)),
    "word": "ghx_" + base64.urlsafe_b64encode(CHANCE.randbytes(33)).decode().replace("=", "-") + "_-",
    "base64": base64.b64encode(CHANCE.randbytes(32)).decode(),
    "token": "1093847562:AA" + base64.urlsafe_b64encode(CHANCE.randbytes(24)).decode() + ".x",
    "graph": "".join(CHANCE.choices(string.ascii_letters + string.digits + "!#$%&()*+,-./:;<=>?@[]^_{|}~", k=30)) + "!",
    "any": "pass phräse " + "".join(CHANCE.choices(string.ascii_letters + string.digits, k=70)),
    "lines": PEM,
}
WRAPPED: dict[str, Callable[[str], str]] = {
    "alone": lambda v: v,
    "assignment": lambda v: f"KEY={v}\nB=1\n",
    "json": lambda v: '{"key":"' + v + '","b":1}',
    "url": lambda v: f"https://user:{v}@example.org/path?a=b",
    "header": lambda v: f"curl -H 'X-Key: {v}' https://example.org",
    "in a longer run": lambda v: f"abc{v}def",
    "twice": lambda v: f"{v}{v}",
}


def value(name: str, text: str | bytes, alive: bool = True) -> Value:
    return Value(Known(name, 1, "current" if alive else "retired", alive), "zebra", SecretValue(text))


VALUES = [value(name, text) for name, text in SHAPES.items()]


class Notes:
    def skipped(self, skipped: Skipped) -> None:
        raise AssertionError(skipped)


def looked(data: bytes, finder: IndexValues) -> list[Match]:
    inspector = Naming(Inspector(Seeking(Detector(RULES), [finder]), notes=Notes()), [finder])
    return list(inspector.look(Content(data, Place(Kind.FILE, "a", "a"))))


@pytest.fixture(scope="module")
def finder(tmp_path_factory: pytest.TempPathFactory) -> IndexValues:
    path = tmp_path_factory.mktemp("index") / "index.json"
    rows, out, key = build(VALUES)
    assert out == [] and len(rows) == len(VALUES)
    path.write_text(write(rows, key))
    path.chmod(0o600)
    return IndexValues.of(path)


def test_classes() -> None:
    for name, text in SHAPES.items():
        if name in CLASSES:
            assert class_of(text.encode()) == name


@pytest.mark.parametrize("wrap", WRAPPED)
@pytest.mark.parametrize("name", SHAPES)
def test_it_is_found_wherever_it_stands(finder: IndexValues, name: str, wrap: str) -> None:
    found = looked(WRAPPED[wrap](SHAPES[name]).encode(), finder)
    assert {match.known.name for match in found if match.known} == {name}
    assert all(match.rule.id == "zebra.known-value" for match in found)
    if name != "lines":
        assert {match.secret.reveal() for match in found} == {SHAPES[name].encode()}


@pytest.mark.parametrize("name", [name for name in SHAPES if name not in ("lines", "any")])
def test_it_is_found_encoded(finder: IndexValues, name: str) -> None:
    for data in (base64.b64encode(f"key: {SHAPES[name]}, and so on".encode()), f"k={SHAPES[name]}".encode("utf-16")):
        assert [match.known.name for match in looked(data, finder) if match.known] == [name]


def test_what_is_near_to_a_value_is_not_it(finder: IndexValues) -> None:
    for name, text in SHAPES.items():
        if name != "lines":
            changed = text[:-1] + ("A" if text[-1] != "A" else "B")
            assert looked(f"k={changed}\n".encode(), finder) == []
            assert looked(f"k={text[1:]}\n".encode(), finder) == []


def test_random_text_has_none(finder: IndexValues) -> None:
    chance = random.Random(3)
    for data in (chance.randbytes(300_000), base64.b64encode(chance.randbytes(300_000)),
                 chance.randbytes(100_000).hex().encode()):
        assert finder.find(data) == []


def test_a_long_run_is_looked_through(finder: IndexValues, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_STEP", 1000)
    chance = random.Random(4)
    for start in (0, 990, 995, 1000, 5000 - len(SHAPES["base64"])):
        data = bytearray(base64.b64encode(chance.randbytes(3750)))
        data[start:start + len(SHAPES["base64"])] = SHAPES["base64"].encode()
        assert [one.start for one in finder.find(bytes(data))] == [start]


# --- what goes in, and what can be seen of it -----------------------------------------------------------------------


def test_what_may_be_guessed_stays_out() -> None:
    weak = [value("pin", "482913"), value("word", "correct horse battery"), value("hex12", "a3f19c04be72"),
            value("url", "postgresql://app:hunter2@db.example.internal:5432/app")]
    rows, out, _ = build([*weak, *VALUES])
    assert {one.known.name for one in out} == {"pin", "word", "hex12", "url"}
    assert all("guessed" in one.reason for one in out)
    assert {row.known.name for row in rows} == set(SHAPES)


def test_no_value_is_in_it_and_each_index_has_its_own_key() -> None:
    one, two = (write(*build(VALUES)[::2]) for _ in range(2))
    assert json.loads(one)["key"] != json.loads(two)["key"]
    hashes = [{row["hash"] for row in json.loads(text)["values"]} for text in (one, two)]
    assert not hashes[0] & hashes[1]
    for text in SHAPES.values():
        for part in (text, text[:12], text[-12:]):
            for form in (part, base64.b64encode(part.encode()).decode()[:-4], part.encode().hex()):
                assert form not in one


def test_never_fewer_than_80_bits_are_left_to_guess() -> None:
    chance = random.Random(11)
    for length in range(14, 22):
        text = "".join(chance.choices(string.ascii_letters + string.digits, k=length))
        rows, _, _ = build([value("x", text)])
        assert all(bits(text.encode()) - len(row.beginning) >= 80 for row in rows)
    assert max(len(row.beginning) for row in build(VALUES)[0]) == BEGINNING


def test_equal_values_are_one_row_of_the_live_one() -> None:
    rows, _, _ = build([value("old", SHAPES["hex"], alive=False), value("new", SHAPES["hex"])])
    assert [row.known.name for row in rows] == ["new"]


# --- a file that is not as it was written ---------------------------------------------------------------------------


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows, _, key = build(VALUES)
    (tmp_path / "i").write_text(write(rows, key))
    assert read(tmp_path / "i") == (rows, key)


def changed(key: str, new: object) -> Callable[[dict[str, object]], None]:
    return lambda table: table.__setitem__(key, new)


def changed_row(key: str, new: object) -> Callable[[dict[str, object]], None]:
    return lambda table: table["values"][0].__setitem__(key, new)  # type: ignore[index]


TAMPERED = [changed("version", 2), changed("format", "x"), changed("key", ""), changed("values", []),
            changed("values", None), changed("check", "0" * 32), changed_row("live", False),
            changed_row("name", "another"), changed_row("length", 9), changed_row("hash", "00" * 16),
            changed_row("beginning", ""), changed_row("class", "any")]


@pytest.mark.parametrize("number", range(len(TAMPERED)))
def test_what_was_changed_is_refused(tmp_path: Path, number: int) -> None:
    rows, _, key = build(VALUES)
    table = json.loads(write(rows, key))
    TAMPERED[number](table)
    (tmp_path / "i").write_text(json.dumps(table))
    with pytest.raises(ConfigError):
        read(tmp_path / "i")


@pytest.mark.parametrize("row", [("beginning", "(a+)+$"), ("beginning", "a" * 40), ("length", 10 ** 9), ("length", -1),
                                 ("length", 1), ("class", "none"), ("hash", "zz"), ("name", "x\x1b[2J"),
                                 ("name", 5), ("version", True)])
def test_a_row_that_could_do_harm_is_refused_even_with_the_right_check(tmp_path: Path, row: tuple[str, object]) -> None:
    rows, _, key = build(VALUES)
    table = json.loads(write(rows, key))
    table["values"][0][row[0]] = row[1]
    table["check"] = index._check(key, table)
    (tmp_path / "i").write_text(json.dumps(table))
    with pytest.raises(ConfigError):
        read(tmp_path / "i")


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", "[" * 100_000, '"x"', "\xff"])
def test_what_is_no_index_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "i").write_text(text, "latin-1")
    with pytest.raises(ConfigError):
        read(tmp_path / "i")
    with pytest.raises(ConfigError):
        read(tmp_path / "absent")


def test_one_that_others_can_read_is_told(tmp_path: Path) -> None:
    rows, _, key = build(VALUES)
    path, said = tmp_path / "i", list[str]()
    path.write_text(write(rows, key))
    path.chmod(0o644)
    IndexValues.of(path, said.append)
    assert len(said) == 1 and "confidential" in said[0]
