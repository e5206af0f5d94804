"""What cannot be looked at is never clean: each case of the specification, by the command, with its exit code, and the
report naming what was not read."""

from __future__ import annotations

import base64
import ctypes
import fcntl
import gzip
import hashlib
import io
import json
import os
import signal
import struct
import subprocess
import tarfile
import termios
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.desk import SCRIPT
from tests.e2e.shell import Said, Shell, token
from tests.plants.git_plants import Garden
from tests.plants.image_plants import Layout, tar
from tests.sources.test_git_closed import DAMAGES
from tests.waiting import LONG, until

FORMATS = ("text", "json", "sarif", "junit", "github", "gitlab", "codequality", "html")


def repository(shell: Shell, leak: bool = False) -> Garden:
    """Six commits; nothing in them unless `leak`."""
    garden = Garden(shell.root / "repo", token)
    garden.root.mkdir()
    garden.git("init", "-q", ".")
    for number in range(6):
        garden.write("dir/a.txt", "".join(f"line {number} {k} of a file that holds nothing\n" for k in range(50)))
        garden.commit(f"Change {number}")
    if leak:
        garden.write("leak.txt", f"\n{token('leak')}\n")
        garden.commit("Leak")
    return garden


def incomplete(said: Said, *words: str) -> None:
    """Nothing was found, and it is not clean: the report says what was not read."""
    assert said.code == 6, said
    assert not said.complete and said.findings == []
    reasons = "\n".join(f"{item['what']}: {item['reason']}" for item in said.faults)
    assert said.faults or said.report["coverage"]["shallow"]
    for word in words:
        assert word in reasons, reasons


# --- repositories -------------------------------------------------------------------------------------------------


def test_a_repository_without_faults_is_clean(shell: Shell) -> None:
    said = shell.json("git", repository(shell).root)
    assert (said.code, said.complete, said.faults, said.err) == (0, True, [], "")
    assert said.report["coverage"]["objects"] > 12 and said.report["coverage"]["refs"] == 1


def test_an_empty_repository_is_clean(shell: Shell) -> None:
    garden = Garden(shell.root / "repo")
    garden.root.mkdir()
    garden.git("init", "-q", ".")
    said = shell.json("git", garden.root)
    assert (said.code, said.complete) == (0, True)
    assert shell.json(cwd=garden.root).code == 0


def test_an_empty_folder(shell: Shell) -> None:
    """No repository; but as a folder, there is nothing in it that was not looked at."""
    (shell.root / "empty").mkdir()
    for words in (("git", shell.root / "empty"), ("git", shell.root / "empty", "--staged")):
        said = shell.scan(*words)
        assert (said.code, said.out) == (6, "") and "no git repository" in said.err
    assert shell.scan("git", shell.root / "nowhere").code in (2, 6)
    assert shell.scan("path", shell.root / "nowhere").code == 2
    assert shell.json("path", shell.root / "empty").code == 0


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_not_clean(shell: Shell, damage: Callable[[Garden], None]) -> None:
    garden = repository(shell)
    damage(garden)
    incomplete(shell.json("git", garden.root))
    alone = shell.json(cwd=garden.root)  # with what the first one kept
    assert alone.code == 6 and not alone.complete


def test_damage_and_a_leak(shell: Shell) -> None:
    """1, and it says that there may be more."""
    garden = repository(shell, leak=True)
    name = garden.git("rev-parse", "HEAD~3:dir/a.txt")
    (garden.root / ".git/objects" / name[:2] / name[2:]).unlink()
    said = shell.json("git", garden.root)
    assert (said.code, said.complete) == (1, False)
    assert [item["path"] for item in said.findings] == ["leak.txt"]
    assert any(name in item["what"] + item["reason"] for item in said.faults), said.faults


def test_a_pack_without_permission(shell: Shell) -> None:
    garden = repository(shell)
    garden.git("repack", "-q", "-a", "-d")
    [pack] = (garden.root / ".git/objects/pack").glob("*.pack")
    pack.chmod(0)
    incomplete(without_power(shell, "git", garden.root))


def without_power(shell: Shell, *words: str | Path) -> Said:
    """As a user to whom the modes of files apply: root without the capabilities to pass over them (capabilities(7))."""
    done = subprocess.run([*shell.command(*words), "--format", "json"], env=shell.env, cwd=shell.root,
                          preexec_fn=_give_up if os.geteuid() == 0 else None, capture_output=True, timeout=LONG,
                          check=False)
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


def _give_up() -> None:
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: out of what exec gives back to root
        if ctypes.CDLL(None).prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
            os._exit(99)


def test_shallow_and_partial_clones(shell: Shell) -> None:
    garden = repository(shell)
    garden.git("config", "uploadpack.allowFilter", "true")
    for name, how in (("shallow", "--depth=2"), ("partial", "--filter=blob:none")):
        garden.git("clone", "-q", how, "--no-checkout", f"file://{garden.root}", str(shell.root / name))
        said = shell.json("git", shell.root / name)
        assert (said.code, said.complete) == (6, False)
        assert said.report["coverage"]["shallow"] == (name == "shallow")
        assert shell.json("git", shell.root / name, "--allow-incomplete").code == 0
    incomplete(shell.json("git", shell.root / "partial"), "promised")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository to somebody else")
def test_dubious_ownership(shell: Shell) -> None:
    garden = repository(shell)
    for folder, _, files in os.walk(garden.root):
        for name in (".", *files):
            os.lchown(os.path.join(folder, name), 12345, 12345)
    incomplete(shell.json("git", garden.root), "ownership")
    assert shell.json("git", garden.root, "--trust-owner").code == 0


# --- images -------------------------------------------------------------------------------------------------------


def image(shell: Shell, spoil: Callable[[Layout, list[str]], None]) -> Path:
    """A layout of two layers, spoiled."""
    layout = Layout()
    many = {f"f{number}": os.urandom(3000) for number in range(30)}
    layout.index([layout.image([tar({"a": b"nothing"}), tar(many)], how="gzip")])
    layers = [name for name, data in layout.files.items() if data[:2] == b"\x1f\x8b"]
    assert len(layers) == 2
    spoil(layout, layers)
    return layout.write(shell.root / "layout")


def cut(layout: Layout, layers: list[str]) -> None:
    layout.files[layers[1]] = layout.files[layers[1]][:-3000]


def flipped(layout: Layout, layers: list[str]) -> None:
    data = bytearray(layout.files[layers[1]])
    data[len(data) // 2] ^= 1
    layout.files[layers[1]] = bytes(data)


def gone(layout: Layout, layers: list[str]) -> None:
    del layout.files[layers[0]]


def no_layer(layout: Layout, layers: list[str]) -> None:
    layout.files[layers[0]] = b"this is no layer at all"


def no_config(layout: Layout, layers: list[str]) -> None:
    for name, data in list(layout.files.items()):
        if b'"rootfs"' in data:
            del layout.files[name]


def no_manifest(layout: Layout, layers: list[str]) -> None:
    for name, data in list(layout.files.items()):
        if b'"layers"' in data and name.startswith("blobs"):
            del layout.files[name]


@pytest.mark.parametrize("spoil", [cut, flipped, gone, no_layer, no_config, no_manifest])
def test_an_image_that_is_damaged(shell: Shell, spoil: Callable[[Layout, list[str]], None]) -> None:
    path = image(shell, spoil)
    for _ in range(2):
        incomplete(shell.json("image", path))
    packed = shell.root / "image.tar"
    with tarfile.open(packed, "w") as archive:
        archive.add(path, ".")
    incomplete(shell.json("image", packed))
    incomplete(shell.json("image", "-", stdin=packed.read_bytes()))
    assert shell.json("image", path, "--allow-incomplete").code == 0


def test_an_archive_that_is_cut(shell: Shell) -> None:
    path = image(shell, lambda layout, layers: None)
    assert shell.json("image", path).code == 0
    packed = shell.root / "image.tar"
    with tarfile.open(packed, "w") as archive:
        archive.add(path, ".")
    whole = packed.read_bytes()
    for size in (len(whole) // 2, 2000, 700, 100, 0):
        packed.write_bytes(whole[:size])
        for said in (shell.scan("image", packed), shell.scan("image", "-", stdin=whole[:size])):
            assert said.code == 6, (size, said)
    zipped = gzip.compress(whole)
    assert shell.scan("image", "-", stdin=zipped[:-400]).code == 6


def test_an_image_that_is_not_there(shell: Shell) -> None:
    assert shell.scan("image", shell.root / "nowhere.tar").code == 2
    (shell.root / "folder").mkdir()
    assert shell.scan("image", shell.root / "folder").code == 6


# --- files --------------------------------------------------------------------------------------------------------


def _zip(name: str, data: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return made.getvalue()


def encrypted() -> bytes:
    """A zip archive the member of which says that it is encrypted."""
    data = bytearray(_zip("key.txt", os.urandom(300)))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def damaged() -> bytes:
    data = bytearray(_zip("key.txt", os.urandom(3000)))
    data[300:340] = bytes(40)
    return bytes(data)


def bomb() -> bytes:
    data = bytes(24 << 20)
    for number in range(3):
        data = _zip(f"{number}", data)
    return data


BOXES: dict[str, tuple[Callable[[], bytes], str]] = {
    "encrypted zip": (encrypted, "encrypted"), "damaged zip": (damaged, ""), "cut zip": (lambda: damaged()[:1500], ""),
    "cut gzip": (lambda: gzip.compress(os.urandom(3000))[:-500], ""), "a bomb": (bomb, ""),
    "cut tar": (lambda: tar({"a": bytes(5000)})[:3000], ""),
}


@pytest.mark.parametrize("name", BOXES)
def test_a_container_that_cannot_be_read(shell: Shell, name: str) -> None:
    """In a blob, in a file, in a layer, on standard input."""
    make, word = BOXES[name]
    data = make()
    garden = Garden(shell.root / "repo")
    garden.root.mkdir()
    garden.git("init", "-q", ".")
    (garden.root / "box").write_bytes(data)
    garden.commit("Box")
    blob = garden.git("rev-parse", "HEAD:box")
    for _ in range(2):
        incomplete(shell.json("git", garden.root), word, blob)
    incomplete(shell.json("path", garden.root / "box"), word, "box")
    incomplete(shell.json("stdin", stdin=data), word, "<stdin>")
    layout = Layout()
    layout.index([layout.image([tar({"srv/box": data})])])
    incomplete(shell.json("image", layout.write(shell.root / "layout")), word, "srv/box")


def test_a_file_that_may_not_be_read(shell: Shell) -> None:
    (shell.root / "tree/closed").mkdir(parents=True)
    (shell.root / "tree/open.txt").write_text("nothing")
    (shell.root / "tree/shut.txt").write_text("nothing")
    (shell.root / "tree/shut.txt").chmod(0)
    (shell.root / "tree/closed").chmod(0)
    incomplete(without_power(shell, "path", shell.root / "tree"), "shut.txt: permission denied", "closed")


# --- what the person gave -----------------------------------------------------------------------------------------


RULES = {
    "no toml": "[[detect\n", "no pattern": '[[detect]]\nid = "a.b"\n', "what nobody knows": "x = 1\n",
    "an expression that is none": "[[detect]]\nid='a.b'\nprovider='a'\nname='A'\npattern='(('\nexamples=['x']\n",
    "one that goes back": "[[detect]]\nid='a.b'\nprovider='a'\nname='A'\npattern='(a)\\1'\nexamples=['aa']\n",
    "an example that is not found": "[[detect]]\nid='a.b'\nprovider='a'\nname='A'\npattern='\\b(zzq[0-9]{30})\\b'\n"
                                    "examples=['nothing of it']\n",
}


@pytest.mark.parametrize("name", RULES)
def test_rules_that_are_wrong(shell: Shell, name: str) -> None:
    (shell.root / "rules.toml").write_text(RULES[name])
    said = shell.scan("stdin", "--rules", shell.root / "rules.toml", stdin=b"nothing")
    assert (said.code, said.out) == (2, ""), said
    assert "rules.toml" in said.err


def test_rules_that_are_not_there(shell: Shell) -> None:
    assert shell.scan("stdin", "--rules", shell.root / "nowhere").code == 2


@pytest.mark.parametrize("text", ["", "nonsense\n", "clawsecrets-baseline 99\n", "\x00\x01"])
def test_a_baseline_that_is_broken(shell: Shell, text: str) -> None:
    garden = repository(shell, leak=True)
    (garden.root / ".clawsecrets-baseline").write_text(text)
    for words in (("git", garden.root), ("git", garden.root, "--baseline", garden.root / ".clawsecrets-baseline")):
        said = shell.scan(*words)
        assert said.code in (1, 2), said
        assert (said.code == 1) == ("leak.txt" in said.out), said
        if text:
            assert said.code == 2
    assert shell.scan("git", garden.root, "--baseline", shell.root / "nowhere").code == 2
    assert shell.json("git", garden.root, "--no-baseline").code == 1


@pytest.mark.parametrize("words", [
    ("nonsense",), ("git", "a", "b"), ("git", "--format", "x"), ("stdin", "--confidence", "x"),
    ("git", "--workers", "0"), ("git", "--since", "a", "--branch", "b"), ("path", "--staged"), ("image",),
    ("git", "--format"), ("stdin", "--json", "--format", "text"),
])
def test_usage(shell: Shell, words: tuple[str, ...]) -> None:
    said = shell.scan(*words)
    assert (said.code, said.out) == (2, ""), said
    assert "hint" in said.err


def test_a_revision_that_is_not_there(shell: Shell) -> None:
    garden = repository(shell)
    for words in (("--since", "nowhere"), ("--commits", "x..y"), ("--branch", "nowhere"), ("--since", "--all")):
        said = shell.scan("git", garden.root, *words)
        assert said.code in (2, 6) and said.out == "", (words, said)


# --- the way out --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leak", [False, True])
def test_a_report_that_cannot_be_written(shell: Shell, leak: bool) -> None:
    garden = repository(shell, leak)
    for form in FORMATS if leak else ("text", "github", "json"):
        said = shell.scan("git", garden.root, "--format", form, "--output", "/dev/full")
        assert said.code == 6 and "No space left" in said.err, said
        with open("/dev/full", "wb") as full:
            done = subprocess.run([*shell.command("git", garden.root), "--format", form], env=shell.env, stdout=full,
                                  stderr=subprocess.PIPE, timeout=LONG, check=False)
        assert done.returncode == 6 and b"No space left" in done.stderr
        assert said.holds(token("leak")) == []
    said = shell.scan("git", garden.root, "--output", shell.root / "nowhere" / "report")
    assert said.code == 6 and not (shell.root / "nowhere").exists()
    (shell.root / "kept").write_text("what stood there before")
    said = shell.scan("git", garden.root, "--format", "json", "--output", shell.root / "kept")
    assert (said.code, said.out) == (1 if leak else 0, "")
    assert Said(0, (shell.root / "kept").read_text(), "").complete
    assert not list(shell.root.glob("*.new"))


def test_standard_output_that_is_closed(shell: Shell) -> None:
    """What is found decides; that nobody listens does not make it clean."""
    garden = repository(shell, leak=True)
    command = " ".join(f"'{word}'" for word in shell.command("git", garden.root))
    closed = subprocess.run(["sh", "-c", f"{command} >&-"], env=shell.env, capture_output=True, timeout=LONG,
                            check=False)
    assert closed.returncode == 1, closed
    gone = subprocess.run(["bash", "-c", f"{command} | true; exit ${{PIPESTATUS[0]}}"], env=shell.env,
                          capture_output=True, timeout=LONG, check=False)
    assert gone.returncode == 1, gone
    silent = subprocess.run(["sh", "-c", f"{command} 2>&-"], env=shell.env, capture_output=True, timeout=LONG,
                            check=False)
    assert silent.returncode == 1 and b"leak.txt" in silent.stdout


LOCALES = [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C", "PYTHONUTF8": "0"},
           {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]


@pytest.mark.parametrize("env", LOCALES, ids=str)
@pytest.mark.parametrize("kind", ["path", "git"])
def test_what_programs_read_is_utf8_whatever_the_locale(shell: Shell, kind: str, env: dict[str, str]) -> None:
    garden = repository(shell)
    garden.write("größe/→.txt", f"key = {token('locale')}\n")
    garden.commit("größer →", author="Ünal → <u@example.invalid>")
    (finding,) = json.loads(shell.scan(kind, garden.root, "--json", env=env).out)["findings"]
    assert finding["path"] == "größe/→.txt" and finding["author"] in ("", "Ünal → <u@example.invalid>")
    assert "größe/→.txt" in shell.scan(kind, garden.root, "--format", "html", env=env).out


# --- processes that end -------------------------------------------------------------------------------------------


def slow(shell: Shell, *words: str) -> tuple[subprocess.Popen[bytes], Any]:
    """A scan of standard input that goes on for as long as nobody closes it, after what leaks went in."""
    process = subprocess.Popen([*shell.command("stdin", *words), "--format", "json"], env=shell.env,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return process, process.stdin


def children(pid: int) -> list[int]:
    """Processes that it started."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(number) for number in (task / "children").read_text().split()]
    return found


def busy(shell: Shell) -> subprocess.Popen[bytes]:
    """A scan of files by two workers that has much to do: the same archive many times."""
    tree = shell.root / "tree"
    tree.mkdir()
    data = "".join(f"{number} words of a long file, {number * number}\n" for number in range(40_000)).encode()
    big = _zip("a", data * 20)
    for number in range(40):
        (tree / f"{number:03}.zip").write_bytes(big + bytes([number]))
    (tree / "leak.txt").write_text(f"\n{token('leak')}\n")
    return subprocess.Popen([*shell.command("path", tree), "--workers", "2", "--format", "json"], env=shell.env,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_worker_that_is_killed(shell: Shell) -> None:
    process = busy(shell)
    until(lambda: len(children(process.pid)) == 2, "two workers")
    os.kill(children(process.pid)[0], signal.SIGKILL)
    out, err = process.communicate(timeout=LONG)
    said = Said(process.returncode, out.decode(), err.decode())
    assert said.code in (1, 6) and not said.complete, said
    assert any("killed by signal 9" in item["reason"] for item in said.faults)
    assert said.holds(token("leak")) == []


@pytest.mark.parametrize("whom", ["parent", "group"])
def test_ctrl_c_gives_a_partial_report(shell: Shell, whom: str) -> None:
    process = busy(shell)
    until(lambda: len(children(process.pid)) == 2, "two workers")
    workers = children(process.pid)
    for pid in (process.pid, *(workers if whom == "group" else ())):
        os.kill(pid, signal.SIGINT)
    out, err = process.communicate(timeout=LONG)
    said = Said(process.returncode, out.decode(), err.decode())
    assert said.code in (1, 6) and not said.complete and said.report["coverage"]["interrupted"], said
    assert "interrupted" in said.err and "Traceback" not in said.err
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert said.holds(token("leak")) == []


def test_ctrl_c_without_workers(shell: Shell) -> None:
    """One process that reads standard input; nothing more comes."""
    process, into = slow(shell)
    into.write(f"{token('leak')}\n".encode() + b"nothing\n" * 9_000_000)
    into.flush()
    process.send_signal(signal.SIGINT)
    into.close()
    process.stdin = None
    out, err = process.communicate(timeout=LONG)
    assert process.returncode in (1, 6, 130), (process.returncode, err)
    assert b"interrupted" in err and b"Traceback" not in err
    if out:
        assert json.loads(out)["coverage"]["complete"] is False


def test_the_first_ctrl_c_ends_the_wait_for_standard_input(shell: Shell) -> None:
    """What came until then is looked at; the input stays open, and nobody sends the signal again."""
    process, into = slow(shell)
    into.write(f"{token('leak')}\n".encode())
    into.flush()
    until(lambda: not unread(into.fileno()), "that it has read it, and waits for more")
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None and process.stderr is not None
    said = Said(process.wait(LONG), process.stdout.read().decode(), process.stderr.read().decode())
    into.close()
    assert said.code == 1 and not said.complete and said.report["coverage"]["interrupted"], said
    assert len(said.report["findings"]) == 1 and "interrupted; the report is incomplete" in said.err
    assert said.holds(token("leak")) == []


def unread(pipe: int) -> int:
    """Bytes in a pipe that nobody has read."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0]


def test_a_process_that_is_killed_leaves_nothing_behind(shell: Shell) -> None:
    process = busy(shell)
    until(lambda: len(children(process.pid)) == 2, "two workers")
    workers = children(process.pid)
    process.kill()
    process.communicate()
    until(lambda: not any(alive(pid) for pid in workers), "the end of its workers")
    assert list((shell.root / "tmp").iterdir()) == []


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# --- a hostile repository -----------------------------------------------------------------------------------------


def test_nothing_of_a_hostile_repository_is_run(shell: Shell, tmp_path: Path) -> None:
    from tests.sources.test_git_hostile import canaries, setting_of_traps

    (tmp_path / "trap").mkdir()
    trap = setting_of_traps(tmp_path / "trap")
    every = [(), ("git", trap.root), ("git", trap.root, "--staged"), ("git", trap.root, "--no-history"),
             ("git", trap.root, "--since", "HEAD~1"), ("git", trap.root, "--commits", "HEAD~1..HEAD"),
             ("git", trap.root, "--branch", "main"), ("path", trap.root, "--no-ignored"), ("--no-ignored",),
             ("git", trap.root, "--trust-alternates", "--trust-owner", "--trust-inline-allow"),
             ("git", f"file://{trap.root}")]
    for words in every:
        said = shell.scan(*words, cwd=trap.root)
        assert said.code in (0, 1, 6) and "bug" not in said.err, (words, said)
        assert canaries(trap) == [], words
    assert shell.json("git", trap.root).code == 6


def test_the_repository_has_no_word_in_what_is_reported(shell: Shell) -> None:
    """Comments, ignore files, attributes, and a configuration of ours that stands in it."""
    garden = Garden(shell.root / "repo", token)
    garden.root.mkdir()
    garden.git("init", "-q", ".")
    garden.write("a.txt", f"{token('comment')}  # clawsecrets:allow gitleaks:allow noqa\n")
    garden.write(".gitattributes", "* binary -diff -text linguist-generated filter=none export-ignore\n")
    for name in (".gitleaksignore", ".clawsecretsignore", ".secretsignore"):
        garden.write(name, "*\n")
    garden.write("clawsecrets.toml", '[scan]\nexclude = ["*"]\n')
    garden.write(".gitignore", "*\n")
    garden.write("b.env", token("ignored"))
    garden.git("add", "-f", "-A")
    garden.git("commit", "-q", "-m", "All")
    for words in (("git", "."), (), ("path", ".")):
        said = shell.json(*words, cwd=garden.root)
        assert said.code == 1
        assert {item["path"] for item in said.findings} >= {"a.txt", "b.env"}, words
    trusted = shell.json("git", ".", "--trust-inline-allow", cwd=garden.root)
    assert [item["path"] for item in trusted.findings] == ["b.env"]


def test_hostile_names_do_not_reach_a_terminal(shell: Shell) -> None:
    tree = shell.root / "tree"
    tree.mkdir()
    name = "\x1b]0;owned\x07\x1b[31m\u202egnp.exe\n::error::x"
    (tree / name).write_text(token("name"))
    garden = Garden(shell.root / "repo", token)
    garden.root.mkdir()
    garden.git("init", "-q", ".")
    (garden.root / name).write_text(token("name"))
    garden.commit("words \x1b[2J::warning::y", author="\x1b[1mEve <e@example.invalid>")
    for form in FORMATS:
        for words in (("path", tree), ("git", garden.root))[:2 if form in ("text", "github") else 1]:
            said = shell.scan(*words, "--format", form, "-v", "--explain")
            assert said.code == 1
            assert "\x1b" not in said.out + said.err and "\u202e" not in said.out + said.err, (form, words)
            if form == "github":
                assert not any(line.startswith(("::error::x", "::warning::y")) for line in said.out.splitlines())


# --- no value is ever shown ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_no_value_in_any_form(shell: Shell, form: str) -> None:
    """On success and on failure, explained, verbose, with names and messages that hold values."""
    garden = Garden(shell.root / "repo", token)
    garden.root.mkdir()
    garden.git("init", "-q", ".")
    low = "hunter2-Correct-Horse-77"
    names = ("plain", "name", "message", "author", "encoded", "gone", "broken")
    values = [*map(token, names), low]
    garden.write("a.txt", f"{token('plain')}\n")
    garden.write(f"{token('name')}.txt", f"password = '{low}'\n")
    garden.write("b.txt", token("encoded").encode().hex())
    garden.commit(f"with {token('message')}", author=f"Eve <{token('author')}@example.invalid>")
    garden.write(f"zip/{token('broken')}.zip", "")
    (garden.root / f"zip/{token('broken')}.zip").write_bytes(damaged())
    garden.write("gone.txt", token("gone"))
    garden.commit("gone")
    blob = garden.git("rev-parse", "HEAD:gone.txt")
    (garden.root / ".git/objects" / blob[:2] / blob[2:]).unlink()
    for words in (("git", ".", "--no-history"), (), ("--explain", "-v", "--confidence", "low"),
                  ("path", ".", "--confidence", "high", "--explain")):
        said = shell.scan(*words, "--format", form, cwd=garden.root)
        assert said.code == 1, (words, said)
        assert {value[:12]: held for value in values if (held := said.holds(value))} == {}, words


TYPED = {"by a rule": token("typed"), "hexadecimal": hashlib.sha256(b"typed").hexdigest()[:48],
         "base64": base64.urlsafe_b64encode(hashlib.sha256(b"typed").digest()).decode().rstrip("="),
         "with its name": f"password={hashlib.sha256(b'word').hexdigest()[:24]}"}


@pytest.mark.parametrize("name", TYPED)
def test_no_value_in_what_was_typed_wrongly(shell: Shell, name: str) -> None:
    """A token in the place of a path, a revision, an option's value: the error says what is wrong, not with what."""
    typed = TYPED[name]
    value = typed.rpartition("=")[2]
    garden = repository(shell)
    for words in (("git", typed), ("path", typed), ("image", typed), (typed,), ("git", ".", f"--{typed}"),
                  ("stdin", "--baseline", typed), ("stdin", "--rules", typed), ("git", f"https://x:{typed}@h.invalid/r"),
                  ("stdin", "--format", typed), ("stdin", "--confidence", typed), ("git", ".", "--since", typed),
                  ("git", ".", f"--since={typed}"), ("git", ".", f"--commits={typed}..HEAD"),
                  ("git", ".", "--branch", typed), ("stdin", "--fingerprints", typed), ("image", f"docker://{typed}"),
                  ("stdin", "--workers", typed), ("stdin", "--output", f"/nowhere/{typed}"),
                  ("path", f"/nowhere/{typed}/x"), ("git", "--store", typed, "--known", "."),
                  ("git", "--config", typed)):
        said = shell.scan(*words, cwd=garden.root)
        assert said.code in (2, 3, 6), (words, said)
        assert said.holds(value) == [] and "error: " in said.err, (words, said)
    for command in (("rules", "show", typed), ("rules", "list", "--provider", typed), ("rules", "test", typed),
                    ("baseline", "list", "--baseline", typed), ("baseline", "prune", "--report", typed),
                    ("baseline", "add", typed)):
        done = subprocess.run([str(SCRIPT), *command], env=shell.env, cwd=garden.root, capture_output=True,
                              timeout=LONG, check=False)
        ended = Said(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert ended.holds(value) == [], (command, ended)


def test_what_is_no_secret_is_repeated(shell: Shell) -> None:
    for words in (("git", "no-such-folder"), ("path", "a/2026-11-29/app.v12.tar"), ("image", "./registry-2.8.tar"),
                  ("stdin", "--baseline", "team-baseline-for-2026"), ("stdin", "--rules", "our_rules_for_2026.toml")):
        said = shell.scan(*words)
        assert words[-1].removeprefix("./") in said.err, said


@pytest.mark.parametrize(("option", "place"), [
    ("--rules", "/nonexistent/ours.toml"), ("--rules", "gone/../ours.toml"), ("--output", "/nonexistent/x"),
    ("--output", "gone/x"), ("--output", "."),
])
def test_a_file_is_named_as_it_was_typed(shell: Shell, option: str, place: str) -> None:
    said = shell.scan("stdin", option, place)
    assert said.err.startswith(f"clawsecrets: error: {place}: "), said


@pytest.mark.parametrize("table", ["id = '{}'", "id = 'a.b'\n'{}' = 1", "id = 'a.b'\nchecksum = '{}'",
                                   "id = 'made.{}'"])
def test_no_value_of_a_file_of_rules(shell: Shell, table: str) -> None:
    value = token("rule")
    (shell.root / "rules.toml").write_text(f"[[detect]]\n{table.format(value)}\nprovider = 'a'\nname = 'A'\n"
                                           "pattern = '\\b(zzq[0-9]{30})\\b'\nexamples = ['x']\n")
    said = shell.scan("stdin", "--rules", shell.root / "rules.toml", stdin=b"nothing")
    assert said.code == 2 and said.holds(value) == [] and "rules.toml: [[detect]]" in said.err, said
    (shell.root / "rules.toml").write_text(f"'{value}' = 1\n")
    said = shell.scan("stdin", "--rules", shell.root / "rules.toml", stdin=b"nothing")
    assert said.code == 2 and said.holds(value) == [] and "rules.toml: a key" in said.err, said
