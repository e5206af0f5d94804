"""The env-file injector: what it changes, what it leaves, what it refuses, and that a kill or a rival costs nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawsecrets.errors import ConfigError
from clawsecrets.injectors.atomic import LOOSEST, Access, access
from clawsecrets.injectors.dialects import DIALECTS, dialect
from clawsecrets.injectors.envfile import EnvFile
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Entry

ROOT = Path(__file__).resolve().parents[2]
CANARY = "canary-5f3a9c"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away and to mount")


def entry(name: str, value: str | bytes, env: str = "", version: int = 1) -> Entry:
    return Entry(name, version, SecretValue(value), env)


def drafts(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".clawsecrets")]


@pytest.fixture(params=sorted(DIALECTS))
def any_dialect(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param


# --- what it writes -------------------------------------------------------------------------------------------------


def test_a_missing_file_is_made_private(tmp_path: Path, any_dialect: str) -> None:
    path = tmp_path / ".env"
    injector = EnvFile("t", path, any_dialect)
    old = os.umask(0)
    try:
        reply = injector.deliver([entry("a-b", "one"), entry("c", "two", "MINE")])
    finally:
        os.umask(old)
    assert reply.outcome is Outcome.OK and reply.proof == "read back A_B, MINE"
    assert path.read_text() == "A_B=one\nMINE=two\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and drafts(tmp_path) == []


def test_every_assignment_goes_and_everything_else_stays(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(
        b"\xef\xbb\xbf# head\r\nA=old # why\r\n\r\n  export A='older'\r\nB=\xff$X\r\n#A=commented\r\nAA=a\r\n"
        b'A: "x\ny"\r\nZ=1'
    )
    assert EnvFile("t", path, "compose").deliver([entry("a", "n w"), entry("new", "1")]).outcome is Outcome.OK
    assert path.read_bytes() == (
        b"\xef\xbb\xbf# head\r\nA='n w' # why\r\n\r\n  export A='n w'\r\nB=\xff$X\r\n#A=commented\r\nAA=a\r\n"
        b"A='n w'\r\nZ=1\r\nNEW=1\r\n"
    )


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("docker", "A=x # part\n B=1\nA\n", "A=new\n B=1\nA=new\n"),
        ("systemd", "; c\nA=x # part\n A = 'y' z\\\n w\nB=1", "; c\nA=new\n A=new\nB=1"),
        ("systemd", "# c \\\n", None),
        (
            "shell",
            "export A=x # why\nset -a\r\nA='y\nz'; export A\nB=$(id)\n",
            "export A=new # why\nset -a\r\nA=new; export A\nB=$(id)\n",
        ),
        ("shell", "A=x\r\nB=1\r\n", "A=new\r\nB=1\r\n".replace("new\r", "new")),
        ("compose", "A\nB='1' A=2 # z\n", "A=new\nB='1' A=new # z\n"),
    ],
)
def test_by_dialect(tmp_path: Path, name: str, before: str, after: str | None) -> None:
    path = tmp_path / "f"
    path.write_text(before, newline="")
    assert EnvFile("t", path, name).deliver([entry("a", "new")]).outcome is Outcome.OK
    assert path.read_bytes().decode() == (f"{before}\nA=new\n" if after is None else after)


JUNK = {
    "docker": ["# c", "", "B=1", "  C='x y'", "D", "E=a=b # x"],
    "compose": ["# c", "", "B=1", "  C='x y'", "export D=${B}", 'E="a\\nb" # x', "F: 3", "G='l1\nl2'"],
    "systemd": ["# c", "; d", "", "B=1", '  C="x y"', "D=a\\\nb", "E='l1\nl2'"],
    "shell": ["# c", "", "B=1", "  export C='x y'", "D=$B", "E='l1\nl2'", "set -u", 'F="a$(id -u)" # x'],
}


@pytest.mark.parametrize("name", sorted(JUNK))
@given(data=st.data())
@settings(max_examples=60)
def test_other_lines_survive_anything(tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject) -> None:
    lines = data.draw(st.lists(st.sampled_from([*JUNK[name], "A=old"]), max_size=8))
    end = data.draw(st.sampled_from(["", "\n"]))
    value = data.draw(st.text("ab'\"\\$`# =~{}()0;&", min_size=1, max_size=12))
    path = tmp_path_factory.mktemp("e") / "f"
    path.write_text("\n".join(lines) + (end if lines else ""), newline="")
    injector = EnvFile("t", path, name)
    assert injector.deliver([entry("a", value)]).outcome is Outcome.OK
    kept = [line for line in "\n".join(lines).split("\n") if line != "A=old"]
    written = path.read_text().split("\n")
    ours = "A=" + dialect(name).quote("A", value)
    assert [line for line in written if line != ours and line] == [line for line in kept if line]
    assert injector.holds(entry("a", value)) is True and injector.holds(entry("a", value + "x")) is False
    first = path.read_bytes()
    assert injector.deliver([entry("a", value)]).outcome is Outcome.OK and path.read_bytes() == first
    assert injector.remove({"a": ""}).outcome is Outcome.OK
    assert [line for line in path.read_text().split("\n") if line] == [line for line in kept if line]


def test_delivering_the_same_again_does_not_touch_the_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    injector = EnvFile("t", path, "shell")
    injector.deliver([entry("a", "x")])
    before = path.stat()
    assert injector.deliver([entry("a", "x")]).outcome is Outcome.OK
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_nothing_bound_makes_no_file(tmp_path: Path) -> None:
    assert EnvFile("t", tmp_path / "f", "shell").deliver([]).outcome is Outcome.OK
    assert list(tmp_path.iterdir()) == []


def test_remove_knows_configured_variables(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("A=1\nMINE=2\nC=3\n")
    injector = EnvFile("t", path, "docker", variables={"b": "MINE"})
    assert injector.remove({"b": "", "absent": ""}).outcome is Outcome.OK
    assert path.read_text() == "A=1\nC=3\n"
    assert EnvFile("t", tmp_path / "none", "docker").remove({"b": ""}).outcome is Outcome.OK


def test_a_configured_variable_goes_before_the_secret_s_own(tmp_path: Path) -> None:
    path = tmp_path / "f"
    injector = EnvFile("t", path, "docker", variables={"b": "MINE"})
    given = Entry("b", 1, SecretValue("v"), "OTHER")
    assert injector.deliver([given]).outcome is Outcome.OK
    assert path.read_text() == "MINE=v\n" and injector.holds(given) is True
    assert EnvFile("t", path, "docker").deliver([given]).outcome is Outcome.OK
    assert injector.remove({"b": "OTHER"}).outcome is Outcome.OK and path.read_text() == "OTHER=v\n"
    assert EnvFile("t", path, "docker").remove({"b": "OTHER"}).outcome is Outcome.OK and path.read_text() == ""


# --- holds ----------------------------------------------------------------------------------------------------------


def test_holds(tmp_path: Path) -> None:
    path = tmp_path / "f"
    injector = EnvFile("t", path, "compose")
    asked = entry("a", "x y")
    assert injector.holds(asked) is False
    for text, expected in [
        ("A='x y'\n", True),
        ("A=x y\n", True),
        ("A=x\n", False),
        ("B=1\n", False),
        ("A=x\nA='x y'\n", False),
        ("A=$X\n", None),
        ("A='x y'\nA=$X\n", None),
        ("A=z\nA=$X\n", False),
        ("A='x\n", None),
    ]:
        path.write_text(text)
        assert injector.holds(asked) is expected, text
    path.write_text("A=x\n")
    assert injector.holds(entry("a", b"\xff")) is False


def test_holds_cannot_look_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("A=x\n")
    (tmp_path / "link").symlink_to("real")
    assert EnvFile("t", tmp_path / "link", "docker").holds(entry("a", "x")) is None


# --- refusals: nothing written, no value told -----------------------------------------------------------------------


def refused(injector: EnvFile, *entries: Entry) -> str:
    reply = injector.deliver(entries)
    assert reply.outcome is Outcome.REFUSED and reply.detail and "\n" not in reply.detail
    assert CANARY not in repr(reply)
    return reply.detail


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("docker", f"{CANARY}\nx", "line break"),
        ("systemd", f"{CANARY}\x00", "NUL"),
        ("shell", f"{CANARY}\0", "NUL"),
        ("compose", CANARY.encode() + b"\xff", "UTF-8"),
        ("compose", "", "empty"),
    ],
)
def test_values_that_do_not_fit(tmp_path: Path, name: str, value: str | bytes, reason: str) -> None:
    path = tmp_path / "f"
    path.write_text("A=kept\n")
    detail = refused(EnvFile("t", path, name), entry("ok", "fine"), entry("a", value))
    assert detail.startswith("A: ") and reason in detail and path.read_text() == "A=kept\n"


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("docker", f"B=1\nexport C={CANARY}\n", "line 2"),
        ("compose", f"B=1\n\nC='{CANARY}\n", "line 3"),
        ("systemd", "export A=1\n", "line 1"),
        ("systemd", "# c \\\nA=1\n", "line 2"),
        ("shell", "if x; then\nA=1\nfi\n", "line 1"),
        ("shell", f"A={CANARY} cmd\n", "line 1"),
        ("shell", "export B=1 A=2\n", "line 1"),
        ("shell", "B=x\\", "last line"),
    ],
)
def test_files_that_cannot_be_rewritten(tmp_path: Path, name: str, text: str, where: str) -> None:
    path = tmp_path / "f"
    path.write_text(text)
    assert where in refused(EnvFile("t", path, name), entry("a", "new"))
    assert path.read_text() == text and drafts(tmp_path) == []


def test_two_secrets_for_one_variable(tmp_path: Path) -> None:
    detail = refused(EnvFile("t", tmp_path / "f", "shell"), entry("a", CANARY), entry("b", CANARY, "A"))
    assert "a and b would both be written as A" in detail and not (tmp_path / "f").exists()


def test_links_and_other_kinds_are_refused(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.write_text("A=1\n")
    (tmp_path / "link").symlink_to(real)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, reason in [("link", "symbolic link"), ("pipe", "not a regular file"), ("folder", "is a folder")]:
        injector = EnvFile("t", tmp_path / name, "docker")
        assert reason in refused(injector, entry("a", "2"))
        assert injector.preflight().outcome is Outcome.REFUSED and reason in injector.preflight().detail
        assert injector.remove({"a": ""}).outcome is Outcome.REFUSED
    os.link(real, tmp_path / "second")
    assert "2 hard links" in refused(EnvFile("t", real, "docker"), entry("a", "2"))
    assert real.read_text() == "A=1\n"


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    injector = EnvFile("t", tmp_path / "no" / "f", "docker")
    assert injector.deliver([entry("a", CANARY)]).outcome is Outcome.UNKNOWN
    assert injector.preflight().outcome is Outcome.REFUSED and "No such file" in injector.preflight().detail


# --- owner and mode -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "asked", "after"),
    [
        (0o600, None, 0o600),
        (0o640, None, 0o640),
        (0o644, None, 0o640),
        (0o777, None, 0o640),
        (0o644, 0o600, 0o600),
        (0o600, 0o640, 0o640),
        (0o600, 0o400, 0o400),
        (0o000, None, 0o400),
    ],
)
def test_modes(tmp_path: Path, before: int, asked: int | None, after: int) -> None:
    path = tmp_path / "f"
    path.write_text("A=1\n")
    path.chmod(before)
    if os.geteuid() != 0 and not before & 0o400:
        pytest.skip("only root can read it")
    for value in ("2", "2"):  # also where the content is there already
        assert EnvFile("t", path, "docker", Access(mode=asked)).deliver([entry("a", value)]).outcome is Outcome.OK
        assert stat.S_IMODE(path.stat().st_mode) == after


def test_loose_modes_must_be_allowed() -> None:
    with pytest.raises(ConfigError, match="0644"):
        access(mode=0o644)
    assert access(mode=0o644, loose=True).mode == 0o644 and access(mode=LOOSEST).mode == LOOSEST
    with pytest.raises(ConfigError, match="owner could not read"):
        access(mode=0o040, loose=True)
    with pytest.raises(ConfigError, match="no user"):
        access("no-such-user-here")
    with pytest.raises(ConfigError, match="no group"):
        access(group="no-such-group-here")
    assert access("4242").uid == 4242 and access("root").gid == 0 and access(group="4243").gid == 4243


@as_root
def test_owner_is_kept_or_set(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("A=1\n")
    os.chown(path, 1234, 1235)
    EnvFile("t", path, "docker").deliver([entry("a", "2")])
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 1235)
    EnvFile("t", path, "docker", Access(77, 78)).deliver([entry("a", "2")])
    assert (path.stat().st_uid, path.stat().st_gid) == (77, 78) and path.read_text() == "A=2\n"


@as_root
def test_an_owner_that_we_may_not_set_is_refused(tmp_path: Path) -> None:
    """As another user: the file is root's, the folder is not."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "f").write_text("A=1\n")
    (folder / "f").chmod(0o644)
    os.chown(folder, 4242, 4242)
    for parent in [tmp_path, *tmp_path.parents]:
        if parent.stat().st_mode & 0o001 == 0:
            parent.chmod(parent.stat().st_mode | 0o011)
    child = os.fork()
    if child == 0:
        code = 9
        try:
            os.setgroups([])
            os.setgid(4242)
            os.setuid(4242)
            injector = EnvFile("t", folder / "f", "docker")
            replies = [injector.preflight(), injector.deliver([entry("a", "2")])]
            fine = all(r.outcome is Outcome.REFUSED and "must belong to uid 0" in r.detail for r in replies)
            code = 0 if fine and drafts(folder) == [] else 1
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (folder / "f").read_text() == "A=1\n"
