"""Rules from files, compiled, and kept: faults name file and key, and a cache that is not to be trusted is not used."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

from clawsecrets.config.paths import Paths, find_paths
from clawsecrets.errors import ConfigError
from clawsecrets.model.finding import Content, Kind, Place, Rule, Skipped
from clawsecrets.scan import compiled, kept
from clawsecrets.scan.detector import Detector
from clawsecrets.scan.inspect import Inspector
from clawsecrets.scan.rulefile import read_rules
from clawsecrets.scan.ruleset import Ruleset
from clawsecrets.scan.shape import LONGEST, candidate, prefix_pattern, reach
from clawsecrets.wiring.rules import load_ruleset
from tests import warm

FILE = r"""
[[detect]]
id = "acme.key"
provider = "acme"
name = "Acme key"
pattern = '''\b(acme_[a-z0-9]{20})\b'''
examples = ["acme_k2v9x7q4m1t8r5w3z6n0"]
"""
VALUE = b"x acme_k2v9x7q4m1t8r5w3z6n0 y"


def written(path: Path, text: str = FILE) -> Path:
    path.write_text(text)
    return path


# --- files ----------------------------------------------------------------------------------------------------------


def test_a_file_of_rules_is_read(tmp_path: Path) -> None:
    (rule,) = read_rules(written(tmp_path / "a.toml"))
    assert rule == Rule("acme.key", "acme", "Acme key", r"\b(acme_[a-z0-9]{20})\b",
                        examples=("acme_k2v9x7q4m1t8r5w3z6n0",))


WRONG = [
    ("host = 'https://acme.io'\n" + FILE, "key 'host' is not known"),
    (FILE + "url = 'https://acme.io'\n", "acme.key: key 'url' is not known"),
    (FILE + "confidense = 'high'\n", "did you mean 'confidence'"),
    (FILE.replace("id = ", "# "), "number 1: key 'id' is missing"),
    (FILE.replace('"acme.key"', '"Acme Key"'), "key 'id' must look like"),
    (FILE.replace('"acme.key"', "4"), "key 'id' must be text"),
    (FILE.replace('provider = "acme"', 'provider = "A c"'), "key 'provider' must be"),
    (FILE.replace("{20})", "{20})(x)"), "key 'pattern' has more than one group"),
    (FILE.replace("{20})", "{20}"), "key 'pattern' does not compile"),
    (FILE.replace("[a-z0-9]{20}", "(?:a+)+"), "key 'pattern' repeats a group"),
    (FILE.replace("{20}", "{30}"), "key 'examples': number 1 is not found"),
    (FILE.replace('["acme_k2v9x7q4m1t8r5w3z6n0"]', "'x'"), "key 'examples' must be a list"),
    (FILE + "near = ['']\npattern2 = 1\n", "key 'pattern2' is not known"),
    (FILE + "confidence = 'sure'\n", "key 'confidence' must be one of"),
    (FILE + "checksum = 'md5'\n", "key 'checksum': 'md5' is not one of"),
    (FILE + "entropy = 9.5\n", "key 'entropy' must be 0 to 8"),
    (FILE + "entropy = true\n", "key 'entropy' must be a number"),
    ("detect = 3\n", "[[detect]] must be a list of tables"),
    ("detect = [\n", "is not TOML"),
]


@pytest.mark.parametrize(("text", "told"), WRONG)
def test_a_fault_names_file_table_and_key(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_rules(written(tmp_path / "own.toml", text))
    assert error.value.message.startswith(f"{tmp_path / 'own.toml'}: ") and told in error.value.message


def test_what_is_no_readable_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "b.toml", tmp_path, tmp_path / "none.toml"):
        with pytest.raises(ConfigError):
            read_rules(path)


# --- shapes -----------------------------------------------------------------------------------------------------------

SHAPES = [
    (r"\b(gh[pou]_[A-Za-z0-9]{36})\b", "gh[pou]_"), (r"\b(sk-(?:proj|svcacct)-[A-Za-z0-9]{20})",
    "sk-(?:proj|svcacct)-"),
    (r"(SG\.[A-Za-z0-9]{22}\.[a-z]{3})", r"SG\."), (r"([a-f0-9]{32})", ""), (r"([MN][a-z]{20})", ""), ("x{3,5}abc", ""),
    (r"\b(aa_[0-9]{9}|bbb-[0-9]{9})\b", "bbb-|aa_"), (r"KEY=(ab?[0-9]{5})", ""), (r"\bAKIA[A-Z0-9]{16}\b", "AKIA"),
    (r"x[)(]\((key_[0-9]{4})\)", "key_"),
]


@pytest.mark.parametrize(("pattern", "prefix"), SHAPES)
def test_the_prefix_is_the_literal_beginning_of_the_secret(pattern: str, prefix: str) -> None:
    assert prefix_pattern(pattern) == prefix


def test_reach_is_bounded() -> None:
    assert 40 <= reach(r"\b(gh[pou]_[A-Za-z0-9]{36})\b") <= 48
    assert reach("a+") == LONGEST


# --- the cache ------------------------------------------------------------------------------------------------------


class Made:
    """Counts how often the rules are read."""

    def __init__(self, *rules: Rule) -> None:
        self.rules, self.times = rules, 0

    def __call__(self) -> tuple[Rule, ...]:
        self.times += 1
        return self.rules


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path / "a.toml")


@pytest.fixture
def made(file: Path) -> Made:
    return Made(*read_rules(file))


def works(ruleset: Ruleset) -> bool:
    return [hit.rule.id for hit in Detector(ruleset).hits(VALUE)] == ["acme.key"]


def test_the_second_start_reads_no_rules(tmp_path: Path, file: Path, made: Made) -> None:
    cache = tmp_path / "cache"
    first, second = (compiled.rules_for([file], cache, made) for _ in range(2))
    assert made.times == 1 and works(first) and works(second)
    assert first.hash == second.hash and first.rules == second.rules and first.facts() == second.facts()
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert [(p.name, stat.S_IMODE(p.stat().st_mode)) for p in cache.iterdir()] == [(compiled.name([file]), 0o600)]


class Notes:
    """Nothing is left out."""

    def skipped(self, skipped: Skipped) -> None:
        raise AssertionError(skipped)


def test_no_example_is_kept(tmp_path: Path, file: Path, made: Made) -> None:
    """Each is what a scan would find in the cache; who needs them reads the files."""
    assert made.rules[0].examples
    for _ in range(2):
        [rule] = compiled.rules_for([file], tmp_path / "cache", made).rules
        assert rule == made.rules[0]._replace(examples=(), negative=())


def test_a_scan_finds_nothing_in_the_compiled_rules(tmp_path: Path) -> None:
    warm.put(tmp_path / "cache")
    [kept_rules] = (tmp_path / "cache").iterdir()
    content = Content(kept_rules.read_bytes(), Place(Kind.FILE, "a", "a"))
    assert list(Inspector(Detector(warm.ruleset()), notes=Notes()).look(content)) == []


def test_another_file_or_another_time_is_another_key(tmp_path: Path, file: Path, made: Made) -> None:
    cache = tmp_path / "cache"
    compiled.rules_for([file], cache, made)
    os.utime(file, ns=(1, 1))
    compiled.rules_for([file], cache, made)
    compiled.rules_for([file, tmp_path / "more.toml"], cache, made)
    assert made.times == 3


@pytest.mark.parametrize("harm", ["cut", "flip", "empty", "other", "grown"])
def test_a_damaged_cache_is_made_again(tmp_path: Path, file: Path, made: Made, harm: str) -> None:
    cache = tmp_path / "cache"
    compiled.rules_for([file], cache, made)
    path = cache / compiled.name([file])
    data = path.read_bytes()
    broken = {"cut": data[:-9], "flip": data[:900] + bytes([data[900] ^ 1]) + data[901:], "empty": b"",
              "other": b"no cache at all", "grown": data + b"x"}[harm]
    path.write_bytes(broken)
    assert works(compiled.rules_for([file], cache, made)) and made.times == 2
    assert works(compiled.rules_for([file], cache, made)) and made.times == 2


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_cache_that_others_may_write_to_is_not_used(tmp_path: Path, file: Path, made: Made, mode: int) -> None:
    cache = tmp_path / "cache"
    compiled.rules_for([file], cache, made)
    (cache / compiled.name([file])).chmod(mode)
    compiled.rules_for([file], cache, made)
    assert made.times == 2
    cache.chmod(0o777)
    compiled.rules_for([file], cache, made)
    compiled.rules_for([file], cache, made)
    assert made.times == 4


def test_a_link_is_not_followed(tmp_path: Path, file: Path, made: Made) -> None:
    cache, elsewhere = tmp_path / "cache", tmp_path / "elsewhere"
    compiled.rules_for([file], elsewhere, made)
    cache.mkdir(mode=0o700)
    (cache / compiled.name([file])).symlink_to(elsewhere / compiled.name([file]))
    compiled.rules_for([file], cache, made)
    assert made.times == 2 and not (cache / compiled.name([file])).is_symlink()


def test_a_folder_that_cannot_be_written_only_costs_time(tmp_path: Path, file: Path, made: Made) -> None:
    blocked = written(tmp_path / "blocked", "a file") / "cache"
    for _ in range(2):
        assert works(compiled.rules_for([file], blocked, made))
    assert made.times == 2


def test_the_hash_tells_rules_and_code_apart(made: Made) -> None:
    other = Rule("acme.key", "acme", "Acme key", r"\b(acme_[a-z0-9]{21})\b", examples=("x",))
    hashes = {Ruleset(made.rules, "1").hash, Ruleset(made.rules, "2").hash, Ruleset([other], "1").hash}
    assert len(hashes) == 3 and Ruleset(made.rules, "1").hash in hashes
    assert all(len(found) == 32 for found in hashes)


# --- wired ------------------------------------------------------------------------------------------------------------


def places(folder: Path) -> Paths:
    return find_paths(environ={"CLAWSECRETS_HOME": str(folder), "HOME": str(folder)})


def test_all_rules_and_the_operators_own(tmp_path: Path) -> None:
    usual = warm.ruleset()
    own = load_ruleset(places(tmp_path), [written(tmp_path / "own.toml")])
    assert own.by_id.keys() - usual.by_id.keys() == {"acme.key"} and own.hash != usual.hash
    assert {"github.classic-token", "generic.password"} <= usual.by_id.keys()
    with pytest.raises(ConfigError, match=r"own\.toml"):
        load_ruleset(places(tmp_path), [written(tmp_path / "own.toml", "x = 1")])


def test_a_warm_start_imports_neither_toml_nor_the_provider_loader(tmp_path: Path) -> None:
    warm.put(places(tmp_path).cache)
    program = ("import sys; from clawsecrets.config.paths import find_paths\n"
               "from clawsecrets.wiring.rules import load_ruleset\n"
               "from clawsecrets.scan.detector import Detector\n"
               "assert Detector(load_ruleset(find_paths())).hits(b'nothing') == []\n"
               "print(sorted({'tomllib', 'typer', 'cryptography', 'requests', 'clawsecrets.issuers', 'tempfile'}"
               " & sys.modules.keys()))")
    done = subprocess.run([sys.executable, "-c", program], env={"CLAWSECRETS_HOME": str(tmp_path), "PATH": "/usr/bin"},
                          capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr


def test_a_folder_where_the_cache_would_stand(tmp_path: Path, file: Path, made: Made) -> None:
    cache = tmp_path / "cache"
    (cache / compiled.name([file])).mkdir(parents=True, mode=0o700)
    assert works(compiled.rules_for([file], cache, made)) and works(compiled.rules_for([file], cache, made))
    assert made.times == 2 and [path.name for path in cache.iterdir()] == [compiled.name([file])]


@pytest.mark.parametrize(("owner", "times"), [(0, 1), (4242, 2)])
def test_what_root_has_compiled_serves_everybody(tmp_path: Path, file: Path, made: Made, owner: int, times: int,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the image for CI, which is made by root and run by another user."""
    cache = tmp_path / "cache"
    compiled.rules_for([file], cache, made)
    unshared = kept.unshared

    def owned(at: os.stat_result, owners: Collection[int]) -> bool:
        fields = list(at)
        fields[stat.ST_UID] = owner
        return unshared(os.stat_result(fields), owners)

    monkeypatch.setattr(kept, "unshared", owned)
    monkeypatch.setattr(os, "geteuid", lambda: 4243)
    assert works(compiled.rules_for([file], cache, made)) and made.times == times


@pytest.mark.parametrize(("expression", "asked"), [
    (r"\b([MN][a-z_]{23,27}\.[a-z_]{6}\.[a-z]{27})(?:[^a-z]|$)", r"(\.[a-z_]{6}\.[a-z]{27})(?:[^a-z]|$)"),
    (r"(?:^|[^a-z])(u[r]?[0-9]{5,9}-[0-9a-f]{24})", r"(-[0-9a-f]{24})"),
    (r"\b([a-z]{10}\.[a-z]{6}\.ab[a-z]{9})", None),
    (r"\b([a-z]{10}\.(?:[a-z]{6}|x))", None),
    (r"\b(x-[a-z]{10}\.[a-z]{6})", None),
    (r"\b([0-2]/[0-9]{15})", None),
    (r"(?i:word)[^\r\n]{0,48}?([0-9a-f]{8}-[0-9a-f]{4})", None),
])
def test_what_begins_with_nothing_rare_is_looked_for_from_its_first_sign_on(expression: str, asked: str | None) -> None:
    assert candidate(expression) == (asked or expression)


def test_a_secret_whose_beginning_is_not_looked_for_is_found_as_a_whole() -> None:
    rule = Rule("a.b", "a", "A",
                r"\b([MN][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27})(?:[^A-Za-z0-9_-]|$)")
    value = b"MzQ1Njc4OTAxMjM0NTY3ODkw" + b".Gx3k-Q." + b"q7Zp2Lw9Vt4Nf8Hs1Rb6Yc3Kd5x"
    hits = Detector(Ruleset([rule])).hits(b"one " + value + b"\ntwo x" + value[1:] + b"\n")
    assert [(hit.start, hit.end) for hit in hits] == [(4, 4 + len(value))]
