"""One token in each place where git can hold one, in each encoding and in each container of files: all of them are
found, at the right place, by one default command."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clawsecrets.scan.fingerprint import fingerprint
from tests.e2e.shell import Said, Shell, token
from tests.plants.formats_plants import Planted, planted
from tests.plants.git_plants import Garden, Plant, plant

Places = dict[str, list[dict[str, Any]]]


@dataclass
class Scanned:
    """A repository and what the command said of it."""

    garden: Garden
    said: Said
    shell: Shell

    def places(self) -> Places:
        return places(self.said, [one.token for one in self.garden.plants])


def places(said: Said, tokens: Iterable[str]) -> Places:
    """All locations of each token that was found."""
    told = {item["fingerprint"]: item["locations"] for item in said.findings}
    names = {value: fingerprint(value.encode()) for value in tokens}
    return {value: told[name] for value, name in names.items() if name in told}


def packed(garden: Garden) -> None:
    garden.git("repack", "-q", "-a", "-d", "-f", "--keep-unreachable", "--depth=50", "--window=250")
    garden.git("pack-refs", "--all")


@pytest.fixture(scope="module", params=["loose", "packed", "sha256"])
def scanned(request: pytest.FixtureRequest, shells: Callable[[], Shell]) -> Scanned:
    shell = shells()
    garden = plant(shell.root / "repo", "sha256" if request.param == "sha256" else "sha1", token)
    if request.param == "packed":
        packed(garden)
    return Scanned(garden, shell.json("git", garden.root), shell)


def test_every_place_is_found(scanned: Scanned) -> None:
    assert (scanned.said.code, scanned.said.faults, scanned.said.complete) == (1, [], True), scanned.said.err
    missing = {one.token for one in scanned.garden.plants} - set(scanned.places())
    assert [one for one in scanned.garden.plants if one.token in missing] == []
    assert len(scanned.garden.plants) >= 38


def fits(one: Plant, place: dict[str, Any], garden: Garden) -> bool:
    return all((
        place["kind"] == one.kind.value,
        not one.path or place["path"] == one.path.replace(one.token, "sk-or-v1-…" + one.token[-3:]),
        not one.reachable or place["reachable"] == one.reachable,
        not one.commit or garden.git("log", "-1", "--format=%s", place["commit"]) == one.commit,
        place["encoding"] == "plain",
    ))


def test_each_where_it_is(scanned: Scanned) -> None:
    found = scanned.places()
    assert {one.token: (one, found[one.token]) for one in scanned.garden.plants
            if not any(fits(one, place, scanned.garden) for place in found[one.token])} == {}


def original(garden: Garden, place: dict[str, Any]) -> bytes | None:
    """What stands at the place, by git's or the file system's own word; None where they have no such place."""
    if place["kind"] == "git-blob" and place["commit"] and place["path"] != "link":
        return garden.git("cat-file", "blob", f"{place['commit']}:{place['path']}").encode()
    if place["kind"] == "git-blob" and place["reachable"] == "index":
        return b"A=1\nB=" + garden.token("staged").encode() if place["path"] == "staged.env" else None
    if place["kind"] == "git-message" and place["commit"]:
        return garden.git("--no-replace-objects", "cat-file", "commit", place["commit"]).encode()
    if place["kind"] == "git-config":
        return (garden.root / place["path"]).read_bytes()
    return None


def test_lines_and_columns_are_those_of_the_original(scanned: Scanned) -> None:
    looked = 0
    for value, there in scanned.places().items():
        for place in there:
            if (data := original(scanned.garden, place)) is None:
                continue
            line = data.splitlines()[place["start_line"] - 1]
            assert line[place["start_column"] - 1:].startswith(value.encode()), place
            assert place["end_line"] == place["start_line"]
            looked += 1
    assert looked >= 28


def test_no_value_is_shown_in_any_form(scanned: Scanned) -> None:
    assert {one.path: held for one in scanned.garden.plants if (held := scanned.said.holds(one.token))} == {}


def test_a_second_scan_finds_the_same(scanned: Scanned) -> None:
    """What was clean is not read again; what was not, is."""
    again = scanned.shell.json("git", scanned.garden.root)
    assert again.findings == scanned.said.findings
    assert again.report["coverage"]["cached"] > 0 and again.complete
    afresh = scanned.shell.json("git", scanned.garden.root, "--no-cache")
    assert afresh.findings == scanned.said.findings
    assert afresh.report["coverage"]["cached"] == 0


# --- encodings and containers, as blobs, as files, and as a stream ------------------------------------------------


@pytest.fixture(scope="module")
def boxes() -> list[Planted]:
    return planted(token)


@pytest.fixture(scope="module", params=["loose", "packed"])
def shelf(request: pytest.FixtureRequest, shells: Callable[[], Shell], boxes: list[Planted]) -> Iterator[Scanned]:
    """All of them were committed once, and taken out again."""
    shell = shells()
    garden = Garden(shell.root / "repo", token)
    (garden.root / "boxes").mkdir(parents=True)
    garden.git("init", "-q", ".")
    garden.commit("Begin")
    for box in boxes:
        (garden.root / "boxes" / box.name).write_bytes(box.data)
    garden.commit("Boxes")
    shutil.rmtree(garden.root / "boxes")
    garden.commit("No boxes")
    if request.param == "packed":
        garden.git("gc", "-q", "--prune=now")
    yield Scanned(garden, shell.json("git", garden.root), shell)


def wrong(boxes: Sequence[Planted], said: Said, folder: str = "", **more: str) -> dict[str, object]:
    """Those that were not found where they are, and what was said of them."""
    found = places(said, [box.token for box in boxes])

    def right(box: Planted, place: dict[str, Any]) -> bool:
        return all((place["path"] == box.beneath(folder + box.name), not box.line or place["start_line"] == box.line,
                    place["encoding"] == box.encoding, all(place[name] == told for name, told in more.items())))

    return {box.name: found.get(box.token) for box in boxes
            if not any(right(box, place) for place in found.get(box.token, ()))}


def test_every_encoding_and_container_is_found_in_the_history(shelf: Scanned, boxes: list[Planted]) -> None:
    commit = shelf.garden.git("rev-parse", "main~1")
    assert len(boxes) >= 45
    assert (shelf.said.code, shelf.said.faults) == (1, []), shelf.said.err
    assert wrong(boxes, shelf.said, "boxes/", kind="git-blob", reachable="branch", commit=commit,
                 message="Boxes", author="Ada Roe <ada@example.invalid>") == {}
    assert {box.name: held for box in boxes if (held := shelf.said.holds(box.token))} == {}


def test_in_files(shell: Shell, boxes: list[Planted]) -> None:
    for box in boxes:
        (shell.root / "tree").mkdir(exist_ok=True)
        (shell.root / "tree" / box.name).write_bytes(box.data)
    said = shell.json("path", shell.root / "tree")
    assert (said.code, said.faults) == (1, [])
    assert wrong(boxes, said, kind="file", commit="") == {}
    assert {box.name: held for box in boxes if (held := said.holds(box.token))} == {}


def test_on_standard_input(shell: Shell, boxes: list[Planted]) -> None:
    streamed = [box for box in boxes if box.name.startswith("deep") or box.name in ("enc-hex", "box-7z", "box-sqlite")]
    for box in streamed:
        said = shell.json("stdin", stdin=box.data)
        found = places(said, [box.token])
        assert said.code == 1 and found, box.name
        [place] = found[box.token]
        assert (place["path"], place["kind"]) == (box.beneath("<stdin>"), "stdin"), box.name
        assert not box.line or place["start_line"] == box.line


def test_several_members_of_one_blob_are_each_told(shell: Shell) -> None:
    """And names in one folder, and the same file at two paths."""
    from tests.scan.planted import zipped

    garden = Garden(shell.root / "repo", token)
    garden.root.mkdir()
    garden.git("init", "-q", ".")
    (garden.root / "in.bin").write_bytes(zipped({f"{n}.txt": f"\n\nk={token(f'member {n}')}".encode()
                                                 for n in range(3)}))
    for n in range(3):
        garden.write(f"dir/{token(f'name {n}')}.txt", "nothing\n")
    garden.commit("Once")
    said = shell.json("git", garden.root)
    found = places(said, [token(f"{what} {n}") for what in ("member", "name") for n in range(3)])
    for n in range(3):
        [place] = found[token(f"member {n}")]
        assert (place["path"], place["start_line"], place["message"]) == (f"in.bin!/{n}.txt", 3, "Once")
        value = token(f"name {n}")
        [place] = found[value]
        assert (place["path"], place["message"]) == (f"dir/sk-or-v1-…{value[-3:]}.txt", "Once")


# --- what stands here ---------------------------------------------------------------------------------------------


def test_scan_alone_looks_at_history_and_files(shell: Shell) -> None:
    garden = Garden(shell.root / "repo", token)
    garden.root.mkdir()
    garden.git("init", "-q", ".")
    garden.write(".gitignore", ".env\nbuild/\n")
    garden.write("old.txt", f"a\n{token('removed')}\n")
    garden.commit("Old")
    (garden.root / "old.txt").unlink()
    garden.write("sub/app.py", f'key = "{token("committed")}"\n')
    garden.commit("New")
    garden.write(".env", f"A=1\nKEY={token('ignored')}\n")
    garden.write("build/out.js", f"k='{token('built')}'\n")
    garden.write("sub/new.txt", f"{token('untracked')}\n")
    (garden.root / ".git/config").write_text((garden.root / ".git/config").read_text()
                                             + f'[remote "x"]\n\turl = https://u:{token("remote")}@h.invalid/r\n')
    for place in (garden.root, garden.root / "sub"):
        said = shell.json(cwd=place)
        found = places(said, [token(name) for name in ("removed", "committed", "ignored", "built", "untracked",
                                                       "remote")])
        where = {value: sorted((one["kind"], one["path"], one["start_line"]) for one in there)
                 for value, there in found.items()}
        assert where == {
            token("removed"): [("git-blob", "old.txt", 2)],
            token("committed"): [("file", "sub/app.py", 1), ("git-blob", "sub/app.py", 1)],
            token("ignored"): [("file", ".env", 2)], token("built"): [("file", "build/out.js", 1)],
            token("untracked"): [("file", "sub/new.txt", 1)], token("remote"): [("git-config", ".git/config", 7)],
        }
        assert (said.code, said.complete) == (1, True)
    tree = places(shell.json("path", garden.root), [token(name) for name in ("ignored", "built", "untracked",
                                                                             "committed", "removed")])
    assert set(tree) == {token(name) for name in ("ignored", "built", "untracked", "committed")}


def test_what_git_ignores_is_left_out_when_asked(shell: Shell) -> None:
    """With all that git can track: a link, a submodule, a file that is deleted here."""
    garden = Garden(shell.root / "repo", token)
    garden.root.mkdir()
    garden.git("init", "-q", ".")
    garden.write(".gitignore", ".env\n")
    garden.write("gone.txt", "gone\n")
    (garden.root / "link").symlink_to(f"/nowhere/{token('link')}")
    garden.git("init", "-q", "module")
    garden.write("module/in.txt", f"\n{token('module')}\n")
    garden.git("add", "-A", cwd=garden.root / "module")
    garden.git("commit", "-q", "-m", "M", cwd=garden.root / "module")
    garden.write("sub/tracked.txt", token("tracked"))
    garden.commit("All")
    (garden.root / "gone.txt").unlink()
    garden.write("sub/untracked.txt", token("untracked"))
    garden.write(f"sub/{token('name')}", "nothing")
    garden.write(".env", token("ignored"))
    garden.git("config", "core.worktree", str(shell.root))  # the repository does not say what is looked at
    every = [token(name) for name in ("link", "module", "tracked", "untracked", "ignored", "name")]
    said = shell.json("path", garden.root, "--no-ignored")
    shown = {value: [place["path"] for place in there] for value, there in places(said, every).items()}
    assert shown == {every[0]: ["link"], every[1]: ["module/in.txt"], every[2]: ["sub/tracked.txt"],
                     every[3]: ["sub/untracked.txt"], every[5]: ["./"]}
    assert (said.code, said.faults) == (1, [])
    below = shell.json("path", garden.root / "sub", "--no-ignored")
    assert set(places(below, every)) == {every[2], every[3], every[5]}
    garden.git("config", "--unset", "core.worktree")
    alone = shell.json("--no-ignored", cwd=garden.root)
    assert set(places(alone, every)) == set(every) - {every[4]}


def test_a_url_is_cloned_with_everything_it_offers(shell: Shell) -> None:
    garden = Garden(shell.root / "repo", token)
    garden.root.mkdir()
    garden.git("init", "-q", ".")
    garden.write("a.txt", token("here"))
    garden.commit("A")
    garden.git("notes", "add", "-m", token("note"))
    tree = garden.git("rev-parse", "HEAD^{tree}")
    garden.git("update-ref", "refs/pull/1/head", garden.git("commit-tree", tree, "-m", token("pull")))
    said = shell.json("git", f"file://{garden.root}")
    found = places(said, [token("here"), token("note"), token("pull")])
    assert {value: [(one["kind"], one["reachable"]) for one in there] for value, there in found.items()} == {
        token("here"): [("git-blob", "branch")], token("note"): [("git-blob", "notes")],
        token("pull"): [("git-message", "pull")]}
    assert list((shell.root / "tmp").iterdir()) == []


# --- a host -------------------------------------------------------------------------------------------------------

HOST = {
    ".bash_history": ("ls -la\nexport KEY={}\n", 2), ".zsh_history": (": 1700000000:0;curl -H 'x: {}'\n", 1),
    ".local/share/fish/fish_history": ("- cmd: login {}\n  when: 1700000000\n", 1),
    ".python_history": ("import os\nclient = C('{}')\n", 2), "app/.env": ("A=1\n\nOPENROUTER_API_KEY={}\n", 3),
    ".env": ("K={}\n", 1), "stack/compose.yaml": ("services:\n  a:\n    environment:\n      K: {}\n", 4),
    ".netrc": ("machine h.invalid login u password {}\n", 1), ".npmrc": ("//h.invalid/:_authToken={}\n", 1),
    ".config/gh/hosts.yml": ("h.invalid:\n    oauth_token: {}\n", 2),
    ".docker/config.json": ('{{"auths": {{"h.invalid": {{"identitytoken": "{}"}}}}}}\n', 1),
    ".openclaw/openclaw.json": ("// mine\n{{\n  gateway: {{ auth: {{ token: '{}' }} }},\n}}\n", 3),
    ".openclaw/openclaw.json.bak.1": ("{{\n  token: '{}',\n}}\n", 2),
    ".openclaw/agents/main/sessions/1.jsonl": ('{{"type": "session"}}\n{{"content": [{{"text": "use {} now"}}]}}\n', 2),
    ".openclaw/logs/gateway.log": ("started\nkey {} refused\n", 2),
    ".clawdbot/credentials/x.json": ('{{"k": "{}"}}\n', 1), ".claude.json": ('{{"env": {{"K": "{}"}}}}\n', 1),
}


def home(person: Path) -> dict[str, tuple[str, int]]:
    """A person's home: token -> path and line."""
    expected = {}
    for path, (text, line) in HOST.items():
        value = token(f"host {path}")
        (person / path).parent.mkdir(parents=True, exist_ok=True)
        (person / path).write_text(text.format(value))
        expected[value] = (str(person / path), line)
    value = token("host database")
    path = person / ".openclaw" / "memory" / "main.sqlite"
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE chunks (id TEXT, text TEXT)")
    connection.execute("INSERT INTO chunks VALUES ('a', 'nothing')")
    connection.execute("INSERT INTO chunks VALUES ('b', ?)", (f"my key is {value} as you know",))
    connection.commit()
    connection.close()
    expected[value] = (f"{path}!/chunks", 2)
    value = token("host backup")
    backup = person / ".openclaw" / "backups" / "old.tar.gz"
    backup.parent.mkdir()
    (person / ".env.old").write_text(f"\nK={value}\n")
    subprocess.run(["tar", "-C", str(person), "-czf", str(backup), ".env.old"], check=True)
    (person / ".env.old").unlink()
    expected[value] = (f"{backup}!/.env.old", 2)
    return expected


def test_a_host(shell: Shell) -> None:
    expected = home(shell.root / "person")
    said = shell.json("host")
    found = places(said, expected)
    where = {value: {(one["path"], one["start_line"]) for one in there} for value, there in found.items()}
    assert {expected[value] for value in expected} - {place for some in where.values() for place in some} == set()
    assert {value for value, place in expected.items() if place not in where[value]} == set()
    assert {one["kind"] for there in found.values() for one in there} == {"file"}
    assert {path: held for value, (path, _) in expected.items() if (held := said.holds(value))} == {}
