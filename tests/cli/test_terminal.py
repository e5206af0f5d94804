"""On a terminal of 80 columns nothing breaks, whatever the names are; colours go to terminals only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.desk import Desk
from tests.cli.test_transcripts import COMMON, TREE, _commands

LONG = "a-name-that-is-longer-than-any-terminal-is-wide/and-goes-on-until-the-limit-of-one-hundred-and-twenty-eight"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Long names, a stuck rotation, a waiting one, a pending revocation."""
    with Desk(tmp_path_factory.mktemp("t") / "s") as made:
        fake = made.provider('[injectors.a-target-with-quite-a-long-name-of-its-own]\nkind = "directory"\n'
                             f'path = "{made.root}/out"\n[consumers.app]\nkind = "command"\nprobe = ["true"]\n'
                             '[consumers.silent]\nkind = "none"\n')
        made.init()
        for number, consumer in enumerate(("app", "silent", "silent")):
            name = f"{LONG}-{number}"
            made.seeded(name=name)
            made.quick("configure", name, "--inject", "a-target-with-quite-a-long-name-of-its-own",
                       "--consume", consumer)
        fake.fault("revoke", "status", status=403, times=-1)
        made.run("rotate", f"{LONG}-0")
        made.run("rotate", f"{LONG}-1")
        made.run("rotate", f"{LONG}-2", "--compromised", "--yes")
        yield made


COMMANDS = [["status"], ["list"], ["rotations"], ["revocations"], ["history", f"{LONG}-0"], ["show", f"{LONG}-1"],
            ["providers"], ["providers", "show", "anthropic"], ["audit-log"], ["rotate", f"{LONG}-0", "--dry-run"],
            ["doctor"]]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0] + words[-1][:4])
def test_lines_fit_and_rows_stay_whole(desk: Desk, words: list[str]) -> None:
    ran = desk.run(*words, pty=True)
    lines = ESCAPES.sub("", ran.out).splitlines()
    wide = [line for line in lines if len(line) > 80 and max(map(len, line.split())) < 60]
    if words[0] not in ("status", "list", "rotations", "revocations"):
        assert lines and wide == []  # one word longer than the terminal cannot be cut and still be copied
    else:  # the name is what is typed next
        assert any(line.startswith(f"{LONG}-") for line in lines) and not any(re.match(r"a-name\S*…", x) for x in lines)


def test_a_narrow_table_gives_up_other_columns_before_the_name(tmp_path: Path) -> None:
    with Desk(tmp_path / "s") as made:
        made.init()
        made.quick("set", "openrouter-management-key", "--provider", "openrouter-management", stdin=b"x")
        for env, gone in (("60", ("KIND", "PROVIDER")), ("100", ())):
            out = made.run("status", env={"COLUMNS": env}).out
            row = next(line for line in out.splitlines() if "openrouter-m" in line)
            assert row.startswith("openrouter-management-key ") and all(len(x) <= int(env) for x in out.splitlines())
            assert [title for title in ("KIND", "PROVIDER") if title not in out] == list(gone)


def test_running_text_wraps_at_words_and_commands_stay_whole(tmp_path: Path) -> None:
    with Desk(tmp_path / "s") as made:
        made.init()
        made.quick("set", "some-rather-long-name-of-a-secret", stdin=b"x")
        ran = made.run("inject", "some-rather-long-name-of-a-secret", pty=True)
        lines = ran.out.splitlines()
        assert "clawsecrets configure some-rather-long-name-of-a-secret --inject TARGET" in lines
        assert all(len(line) <= 80 for line in lines) and ran.code == 2
        piped = made.run("inject", "some-rather-long-name-of-a-secret")
        assert len(piped.err.splitlines()) == 1 and piped.code == 2


@pytest.mark.parametrize("words", COMMANDS[:4], ids=lambda words: words[0])
def test_piped_nothing_is_cut_and_nothing_is_coloured(desk: Desk, words: list[str]) -> None:
    ran = desk.run(*words)
    assert LONG in ran.out and "…" not in ran.out and "\x1b" not in ran.everything


def test_colours(desk: Desk) -> None:
    assert "\x1b[31m" in desk.run("status", pty=True).out
    assert "\x1b[" not in desk.run("status", pty=True, env={"NO_COLOR": "1"}).out


def test_most_urgent_first(desk: Desk) -> None:
    states = [line for line in desk.run("status").out.splitlines() if line.startswith("a-name")]
    assert [word for line in states for word in ("stuck", "not proven", "revocation pending") if word in line] == [
        "stuck", "not proven", "revocation pending"]


def test_control_characters_do_not_reach_the_terminal(desk: Desk) -> None:
    desk.write("evil.env", "EVIL_API_KEY=0123456789abcdef0123456789abcdef01\nX\x1b[2JY=0123456789abcdef0123456789ab\n")
    assert "\x1b[2J" not in desk.run("import", "evil.env", "--dry-run", pty=True).out


@pytest.mark.parametrize("name", ["", *_commands(TREE)])
def test_help_fits_and_teaches(desk: Desk, name: str) -> None:
    ran = desk.run(*name.split(), "--help", env={"COLUMNS": "80"})
    assert ran.code == 0 and all(len(line) <= 80 for line in ran.out.splitlines())
    assert "<bool>" not in ran.out and "<list[" not in ran.out
    if name:
        node = _commands(TREE)[name]
        assert node.help and node.help.strip().splitlines()[0].endswith((".", ":"))
        silent = [param.name for param in node.params if not getattr(param, "help", "")]
        assert silent == []


def test_shared_options_are_on_every_command() -> None:
    for name, node in _commands(TREE).items():
        options = {option for param in node.params for option in param.opts}
        assert options >= COMMON - {"--help"} or name == "resolve"


def test_the_scratch_folder_is_used(desk: Desk) -> None:
    assert Path(desk.env["CLAWSECRETS_HOME"]).is_dir()
