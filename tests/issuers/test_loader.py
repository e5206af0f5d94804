"""Provider files that are wrong: every fault names file, table and key, and the nearest spelling."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clawsecrets.errors import ConfigError, NotFound
from clawsecrets.issuers.loader import check_file, load_file, load_providers
from clawsecrets.model.provider import pattern_fault, url_fault

ACME = (Path(__file__).parent.parent / "data" / "providers" / "acme.toml").read_text()


REFRESHER = (Path(__file__).parent.parent / "data" / "providers" / "refresher.toml").read_text()


def faults(tmp_path: Path, text: str, name: str = "acme.toml") -> str:
    path = tmp_path / name
    path.write_text(text)
    found = check_file(path)
    if found:
        with pytest.raises(ConfigError) as caught:
            load_file(path)
        assert name in caught.value.message
        assert "providers check" in caught.value.hint
    else:
        assert load_file(path).code == path.stem
    return "\n".join(found)


@pytest.mark.parametrize(("old", "new", "words"), [
    ("[revoke]", "[revok]", ["key 'revok'", "did you mean 'revoke'"]),
    ("interval =", "intervall =", ["key 'intervall'", "'interval'"]),
    ("identity =", "identitty =", ["[test.ok]", "'identitty'", "'identity'"]),
    ('method = "DELETE"', 'method = "DELET"', ["[revoke.request]", "'method'", "'DELETE'"]),
    ('interval = "90d"', 'interval = "90 days"', ["'interval'", "90d"]),
    ('interval = "90d"', "interval = 90", ["'interval' must be text"]),
    ('strategy = "overlap"', 'strategy = "alternate"', ["'alternate'", "[slots]"]),
    ('strategy = "overlap"', 'strategy = "refresh"', ["[refresh]: missing", "[create]: strategy 'refresh'"]),
    ('strategy = "overlap"', 'strategy = "overlapp"', ["'overlapp'", "did you mean 'overlap'"]),
    ('kind     = "api-key"', 'kind = "apikey"', ["'kind'", "'api-key'"]),
    ('host     = "https://', 'host     = "http://', ["host", "https"]),
    ('host     = "https://', 'host     = "https://user:pw@', ["host"]),
    ("status = [200, 204]", "status = [200]", []),
    ("status = [204, 404]", 'status = ["204"]', ["[revoke.ok]", "'status'", "whole number"]),
    ('value = "/secret"', 'value = "secret"', ["[create.ok]", "JSON pointer"]),
    ('value = "/secret", ', "", ["[create] ok.value"]),
    ("${handle}", "${handel}", ["[revoke]", "${handel}"]),
    ("${handle}", "${Handle}", ["[revoke]", "not closed or not lower case"]),
    ('auth = "bearer", credential = "self"', 'auth = "baerer", credential = "self"', ["[test.request]", "'auth'"]),
    ('auth = "bearer", credential = "self"', 'auth = "bearer"', ["[test.request]", "'credential' is missing"]),
    ('auth = "bearer", credential = "self"', 'auth = "path", credential = "self"', ["[test]", "${value}"]),
    ('path = "/v1/whoami"', 'path = "v1/whoami"', ["[test]", "begin with /"]),
    ('path = "/v1/whoami"', 'path = "/v1/whoami?x=1"', ["[test]", "query"]),
    ('paging  = { next = "/next", query = "after" }', "", ["[list]", "'paging' is missing"]),
    ('paging  = { next = "/next", query = "after" }', 'paging = { next = "/n" }', ["[list.paging]", "exactly one"]),
    ('items = "/keys", ', "", ["[list] ok: items"]),
    ('secret = "acme-admin"', 'token = "acme-admin"', ["[admin]", "'token'"]),
    ('[admin]\nsecret = "acme-admin"\n', "", ["[admin] secret"]),
    ("[a-z0-9]{32}", "[a-z0-9{32}", ["acme.key", "does not compile"]),
    ("[a-z0-9]{32}", "(?:[a-z0-9]+)+", ["acme.key", "repeats a group that repeats"]),
    ("acme_live_short", "acme_live_0123456789abcdef0123456789abcdef", ["negative 1 matches"]),
    ('["ACME_KEY=acme_live_', '["ACME_KEY=acme_dead_', ["example 1 does not match"]),
    ('code     = "acme"', 'code = "other"', ["'code'", "'acme'"]),
    ('code     = "acme"', "code = ", ["is not TOML"]),
    ('[manual]\nurl   =', '[manual]\nurll  =', ["[manual]", "'url' is missing", "'urll'"]),
    ('[[detect]]', '[detect]', []),
])
def test_each_fault_is_named(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    assert old in ACME or not words
    text = faults(tmp_path, ACME.replace(old, new))
    assert bool(text) == bool(words)
    for word in words:
        assert word in text


@pytest.mark.parametrize(("old", "new", "words"), [
    ('lost    = "use-again"\n', "", ["[refresh]: key 'lost' is missing"]),
    ('lost    = "use-again"', 'lost = "again"', ["[refresh]", "'lost'", "'again'", "'use-again'"]),
    ('lost    = "use-again"', 'lost = "ask-old"', []),
    ('refresh = "/refresh_token", ', "", ["[refresh] ok.refresh: missing"]),
    ('refresh = "/refresh_token"', 'refresh = "refresh_token"', ["[refresh.ok]", "JSON pointer"]),
    (', expires_in = "/expires_in"', "", ["[refresh] ok.expires_in: missing"]),
    (', expires_in = "/expires_in"', ', expires = "/exp"', []),
    ('value = "/access_token", ', "", ["[refresh] ok.value: missing"]),
    (', refresh_token = "${refresh}"', "", ["[refresh] request: ${refresh} does not stand in it"]),
    ('refused = { status = [400], where', 'unknown = { status = [400], where', ["[refresh] refused: missing"]),
    ('token = "${value}"', 'token = "${refresh}"', ["[revoke] request: ${refresh} may stand in [refresh] only"]),
    ('strategy = "refresh"', 'strategy = "cut-over"', ["[create]: missing", "[refresh]: strategy 'cut-over'"]),
    ('strategy = "refresh"', 'strategy = "refresh"\nfallback_strategy = "assisted"', ["fallback_strategy", "has none"]),
    ("[revoke]", "[recover]", ["[revoke]: missing, and strategy 'refresh' needs it"]),
    ('reauthorize = ["press Install", "copy the refresh token"]', "", ["[manual] reauthorize: missing"]),
    ('grant_type = "refresh_token"', 'grant_type = "refresh_token", old = "${old}"', []),
])
def test_each_fault_of_a_refresh_is_named(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    assert old in REFRESHER
    text = faults(tmp_path, REFRESHER.replace(old, new, 1), "refresher.toml")
    assert bool(text) == bool(words), text
    for word in words:
        assert word in text


def test_an_old_value_that_makes_the_new_one_cannot_be_asked_after(tmp_path: Path) -> None:
    text = REFRESHER.replace('lost    = "use-again"', 'lost = "ask-old"')
    text = text.replace('grant_type = "refresh_token"', 'grant_type = "refresh_token", old = "${old}"')
    assert "[refresh] lost: 'ask-old' cannot be" in faults(tmp_path, text, "refresher.toml")


def test_assisted_does_not_create(tmp_path: Path) -> None:
    assert "[create]" in faults(tmp_path, ACME.replace('strategy = "overlap"', 'strategy = "assisted"'))


def test_what_a_strategy_needs(tmp_path: Path) -> None:
    path = tmp_path / "bare.toml"
    for strategy, missing in (("overlap", ["[create]", "[revoke]"]), ("cut-over", ["[create]"]),
                              ("self-issued", ["[local]"])):
        path.write_text(f'code = "bare"\nname = "x"\nkind = "other"\ndocs = "d"\nstrategy = "{strategy}"\n'
                        '[manual]\nurl = "u"\nsteps = ["s"]\n')
        found = "\n".join(check_file(path))
        assert all(table in found for table in missing)


def test_not_a_file_not_text(tmp_path: Path) -> None:
    assert "cannot be read" in check_file(tmp_path / "no.toml")[0]
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    assert "UTF-8" in check_file(tmp_path / "b.toml")[0]


def test_folders_of_ones_own_win(tmp_path: Path) -> None:
    (tmp_path / "groq.toml").write_text(ACME.replace('"acme"', '"groq"').replace("acme.key", "groq.mine"))
    (tmp_path / "acme.toml").write_text(ACME)
    files = load_providers([tmp_path])
    assert files["groq"].name == "Acme Cloud API key"
    assert files["acme"].strategy == "overlap"
    assert len(files) == len(load_providers()) + 1
    assert "nope" not in files
    with pytest.raises(NotFound):
        files.path("nope")
    with pytest.raises(KeyError):
        files["nope"]
    with pytest.raises(ConfigError):
        load_providers([tmp_path / "missing"])


def test_the_page_of_a_provider_needs_no_more_of_its_file(tmp_path: Path) -> None:
    url = load_providers()["openai"].manual.url
    assert load_providers().page("openai") == url and url.startswith("https://")
    (tmp_path / "openai.toml").write_text('code = 3\n[manual]\nurl = "https://here.invalid"\n')
    assert load_providers([tmp_path]).page("openai") == "https://here.invalid"
    for text in ("= x", "[manual]\nurl = 1\n", "manual = 1\n", "n = " + "9" * 5000):
        (tmp_path / "openai.toml").write_text(text)
        with pytest.raises(ConfigError):
            load_providers([tmp_path]).page("openai")


def test_one_bad_file_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("x = ")
    files = load_providers([tmp_path])
    assert files["groq"].code == "groq"
    with pytest.raises(ConfigError):
        files["bad"]


@pytest.mark.parametrize("pattern", [r"(a+)+", r"(?:a*)*", r"(?:a|b+)*", r"(?:(?:a+))+", r"(a{1,9}){2,}", r"(a)\1",
                                     r"a(?=b)", r"a(?!b)", r"(?<=a)b", r"(?<!a)b", r"(?P<x>a)(?P=x)", r"(a)(b)", r"(",
                                     r"a++", r"(a)(?(1)b|c)"])
def test_patterns_that_are_refused(pattern: str) -> None:
    assert pattern_fault(pattern)


@pytest.mark.parametrize("pattern", [r"\b(sk-[a-z]{20})\b", r"(?:a+)?b", r"[(+*)]+", r"(?i)abc", r"(?:ab|cd){2}",
                                     r"\(a+\)+", r"a{2,5}", r"(?P<secret>a+)", r"[]a]+", r"(?:a+){1}"])
def test_patterns_that_are_fine(pattern: str) -> None:
    assert pattern_fault(pattern) == ""


@pytest.mark.parametrize(("url", "fine"), [
    ("https://api.example", True), ("https://h:8443/base", True), ("http://127.0.0.1:80", True),
    ("http://[::1]:80", True), ("http://localhost", True), ("http://127.1.2.3", True), ("http://example", False),
    ("http://10.0.0.1", False), ("http://127.0.0.1.evil.example", False), ("https://h?x", False),
    ("https://h#x", False), ("https://u@h", False), ("file:///etc", False), ("", False), ("https://h:port", False),
    ("https://h h", False), ("https://[::1", False), ("//h", False),
])
def test_base_urls(url: str, fine: bool) -> None:
    assert (url_fault(url) == "") == fine


@pytest.mark.parametrize(("text", "fault"), [
    ("x = " + "[" * 20_000, "nested too deeply"),
    ("x = " + "1" * 6_000, "a number that is too long"),
    (ACME + "\n[[detect]]\nid = 'a'\npattern = 'a'\nexamples = ['a']\nentropy = 0x1" + "0" * 400, "too large"),
    (ACME.replace('json = { name =', "json = { a" + ".a" * 5_000 + " ="), "nested too deeply"),
])
def test_what_the_reader_breaks_on_is_a_fault(tmp_path: Path, text: str, fault: str) -> None:
    found = faults(tmp_path, text)
    assert found
    assert fault in found


def test_a_fifo_or_device_is_no_provider_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "acme.toml")
    (tmp_path / "zero.toml").symlink_to("/dev/zero")
    for name in ("acme.toml", "zero.toml"):
        assert check_file(tmp_path / name) == [f"{name}: cannot be read: it is not a regular file"]
    with pytest.raises(ConfigError, match="not a regular file"):
        load_providers([tmp_path]).has_admin("acme-admin-key")
