"""The formats of git's objects, with damage of every kind: what is said is right, or it is Damaged; nothing else."""

from __future__ import annotations

import hashlib
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from dulwich._pack import apply_delta
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clawsecrets.sources.git import loose, messages, objects
from clawsecrets.sources.git.delta import CAREFUL, Damaged, apply, changed
from clawsecrets.sources.git.objects import Objects
from clawsecrets.sources.git.packs import Pack
from clawsecrets.sources.git.source import GitSource
from clawsecrets.sources.git.trees import Trees, entries
from tests.plants.git_plants import Garden
from tests.sources.git_eye import scan

LIMIT = 1 << 20
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def varint(number: int) -> bytes:
    out = bytearray()
    while True:
        out.append(number & 0x7F | (0x80 if number > 0x7F else 0))
        number >>= 7
        if not number:
            return bytes(out)


def copy(offset: int, size: int) -> bytes:
    op, arguments = 0x80, bytearray()
    for bit, byte in enumerate(offset.to_bytes(4, "little")):
        if byte:
            op |= 1 << bit
            arguments.append(byte)
    for bit, byte in enumerate((0 if size == 0x10000 else size).to_bytes(3, "little")):
        if byte:
            op |= 16 << bit
            arguments.append(byte)
    return bytes([op, *arguments])


@st.composite
def deltas(draw: st.DrawFn) -> tuple[bytes, bytes, bytes]:
    """Base, result, delta."""
    base = draw(st.binary(min_size=1, max_size=300)) * draw(st.sampled_from([1, 1, 3, 300]))
    out, ops = b"", b""
    for _ in range(draw(st.integers(0, 8))):
        if draw(st.booleans()):
            begin = draw(st.integers(0, len(base) - 1))
            size = draw(st.integers(1, min(len(base) - begin, 0x10000)))
            out, ops = out + base[begin:begin + size], ops + copy(begin, size)
        else:
            new = draw(st.binary(min_size=1, max_size=127))
            out, ops = out + new, ops + bytes([len(new)]) + new
    return base, out, varint(len(base)) + varint(len(out)) + ops


@quick
@given(deltas(), st.sampled_from([1, 16, 512]))
def test_a_delta_makes_what_it_says(made: tuple[bytes, bytes, bytes], context: int) -> None:
    base, result, delta = made
    data = apply(delta, base, LIMIT << 4)
    fresh, covered = changed(delta, len(base), context, LIMIT << 4)
    assert data == result
    assert b"".join(apply_delta(base, delta)) == result
    assert covered == sum(b - a for a, b in fresh)
    flat = [edge for span in fresh for edge in span]
    assert flat == sorted(flat) and all(0 <= edge <= len(data) for edge in flat)
    # what is not fresh, with what stands around it, stood in the base
    edges = [0, *flat, len(data)]
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        wider = data[max(0, begin - context):end + context] if end > begin else b""
        assert wider in base


@quick
@given(deltas(), st.data())
def test_a_damaged_delta_is_damaged_or_fits(made: tuple[bytes, bytes, bytes], draw: st.DataObject) -> None:
    base, _, delta = made
    raw = bytearray(delta)
    for _ in range(draw.draw(st.integers(1, 3))):
        raw[draw.draw(st.integers(0, len(raw) - 1))] = draw.draw(st.integers(0, 255))
    raw = raw[:draw.draw(st.integers(0, len(raw)))]
    ranges: list[tuple[int, int]] = []
    with suppress(Damaged, IndexError):
        ranges, _ = changed(bytes(raw), len(base), 16, LIMIT)
    try:
        data = apply(bytes(raw), base, LIMIT)
    except (Damaged, IndexError):
        return
    assert len(data) <= LIMIT
    assert all(0 <= begin < end <= len(data) for begin, end in ranges)


@quick
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_as_a_delta(raw: bytes, base: bytes) -> None:
    with suppress(Damaged, IndexError):
        apply(raw, base, LIMIT)
    with suppress(Damaged, IndexError):
        changed(raw, len(base), 512, LIMIT)


def test_a_delta_that_would_fill_the_memory() -> None:
    base = bytes(1 << 16)
    bomb = varint(len(base)) + varint(1000) + copy(0, 0x10000) * 200_000
    assert len(bomb) > CAREFUL
    with pytest.raises(Damaged):
        apply(bomb, base, LIMIT)
    with pytest.raises(Damaged):
        changed(bomb, len(base), 512, LIMIT)
    small = varint(len(base)) + varint(1000) + copy(1, 1000) * 20_000
    with pytest.raises(Damaged):
        apply(small, base, LIMIT)
    with pytest.raises(Damaged):
        changed(small, len(base), 512, LIMIT)


@quick
@given(st.binary(max_size=300))
def test_any_bytes_as_a_loose_object(tmp_path: Path, raw: bytes) -> None:
    name = "ab" * 20
    (tmp_path / "ab").mkdir(exist_ok=True)
    for content in (raw, zlib.compress(raw), zlib.compress(b"blob 7\0" + raw)):
        loose.place(tmp_path, name).write_bytes(content)
        with pytest.raises(Damaged):
            loose.read(tmp_path, name)


def test_a_loose_bomb_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "ab").mkdir()
    path = loose.place(tmp_path, "ab" * 20)
    path.write_bytes(zlib.compress(b"blob 10\0" + bytes(30 << 20), 9))
    with pytest.raises(Damaged):
        loose.read(tmp_path, "ab" * 20)
    path.write_bytes(zlib.compress(b"blob %d\0" % (60 << 20) + bytes(60 << 20), 9))
    with pytest.raises(loose.Large):
        loose.read(tmp_path, "ab" * 20)


def pack_of(entries_: list[bytes], ids: list[bytes] | None = None) -> tuple[bytes, bytes]:
    """A pack and its index (version 2) of entries with made-up ids, or with these (ascending)."""
    body, offsets = b"PACK" + (2).to_bytes(4, "big") + len(entries_).to_bytes(4, "big"), []
    for entry in entries_:
        offsets.append(len(body))
        body += entry
    body += hashlib.sha1(body).digest()
    names = ids or [bytes([i]) * 20 for i in range(len(entries_))]
    fan = b"".join(sum(name[0] <= i for name in names).to_bytes(4, "big") for i in range(256))
    index = (b"\xfftOc" + (2).to_bytes(4, "big") + fan + b"".join(names) + bytes(4 * len(names))
             + b"".join(offset.to_bytes(4, "big") for offset in offsets) + body[-20:])
    return body, index + hashlib.sha1(index).digest()


def entry(kind: int, content: bytes, between: bytes = b"", size: int | None = None) -> bytes:
    size = len(content) if size is None else size
    head = bytearray([kind << 4 | size & 15])
    size >>= 4
    while size:
        head[-1] |= 0x80
        head.append(size & 0x7F)
        size >>= 7
    return bytes(head) + between + zlib.compress(content)


def repository(folder: Path, pack: bytes, index: bytes, name: str = "x") -> Path:
    (folder / "objects/pack").mkdir(parents=True, exist_ok=True)
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / f"objects/pack/pack-{name}.pack").write_bytes(pack)
    (folder / f"objects/pack/pack-{name}.idx").write_bytes(index)
    return folder


def told(folder: Path) -> list[str]:
    return [skip.reason for skip in scan(GitSource(folder))[1]]


def test_a_made_pack_is_read(tmp_path: Path) -> None:
    folder = repository(tmp_path, *pack_of([entry(3, b"base text"), entry(
        7, varint(9) + varint(4) + copy(0, 4), bytes(20))]))
    assert told(folder) == []
    assert Objects([folder / "objects"], 20).read("01" * 20) == ("blob", b"base")


@pytest.mark.parametrize("entries_", [
    [entry(7, varint(1) + varint(1) + copy(0, 1), bytes([1]) * 20), entry(7, varint(1) + varint(1) + copy(0, 1),
                                                                           bytes(20))],
    [entry(7, varint(1) + varint(1) + copy(0, 1), bytes(20))],
    [entry(6, varint(1) + varint(1) + copy(0, 1), b"\x05")],
    [entry(7, varint(1) + varint(1) + copy(0, 1), b"\xee" * 20)],
    [entry(5, b"reserved")],
    [entry(0, b"reserved")],
    [entry(3, b"longer than it says", size=3)],
    [entry(3, b"short", size=9)],
    [entry(3, bytes(20 << 20), size=9)],
    [entry(3, b"x", size=1 << 40)],
], ids=["cycle", "itself", "beside", "base-missing", "kind-5", "kind-0", "long", "short", "bomb", "huge"])
def test_packs_that_are_wrong(tmp_path: Path, entries_: list[bytes]) -> None:
    folder = repository(tmp_path, *pack_of([*entries_, entry(3, b"innocent")]))
    assert told(folder) != []


def test_a_delta_on_a_base_elsewhere(tmp_path: Path) -> None:
    """What stands in another pack, or loose, can be the base too."""
    garden = Garden(tmp_path)
    repository(tmp_path, *pack_of([]))
    base = garden.git("hash-object", "-w", "--stdin", given=b"plant_elsewhere_" + b"q" * 20)
    made = entry(7, varint(36) + varint(40) + copy(0, 36) + b"\x04qqqq", bytes.fromhex(base))
    repository(tmp_path, *pack_of([made]))
    found, skipped, _ = scan(GitSource(tmp_path))
    assert set(found) == {"plant_elsewhere_" + "q" * 24} and skipped == []


SAME = varint(10) + varint(10) + copy(0, 10)


def test_deltas_in_a_circle_through_two_packs(tmp_path: Path) -> None:
    one, two = bytes([1]) * 20, bytes([2]) * 20
    repository(tmp_path, *pack_of([entry(7, SAME, two)], [one]))
    repository(tmp_path, *pack_of([entry(7, SAME, one)], [two]), "y")
    with pytest.raises(Damaged):
        Objects([tmp_path / "objects"], 20).read(one.hex())
    assert len(told(tmp_path)) == 2


def test_a_long_chain_from_pack_to_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git writes no such thing: each delta's base is in the other pack. Each is applied a few times at most."""
    length, applied = 3000, 0
    ids = [number.to_bytes(20, "big") for number in range(1, length + 1)]
    made = [*(entry(7, SAME, base) for base in ids[1:]), entry(3, b"0123456789")]
    for number, name in enumerate("xy"):
        repository(tmp_path, *pack_of(made[number::2], ids[number::2]), name)

    def counting(*words: object) -> bytes:
        nonlocal applied
        applied += 1
        return apply(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(objects, "apply", counting)
    assert Objects([tmp_path / "objects"], 20).read(ids[0].hex()) == ("blob", b"0123456789")
    assert len(told(tmp_path)) == 0 and applied <= 5 * length


def test_deltas_that_are_too_much_to_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_DELTAS", 100)
    one, two, three = (bytes([number]) * 20 for number in (1, 2, 3))
    padded = varint(10) + varint(0x45) + b"\x45" + bytes(0x45)
    repository(tmp_path, *pack_of([entry(7, padded, two), entry(3, b"0123456789")], [one, three]))
    repository(tmp_path, *pack_of([entry(7, SAME, three)], [two]), "y")
    assert Objects([tmp_path / "objects"], 20).read(one.hex())[0] == "blob"
    monkeypatch.setattr(objects, "_DELTAS", 70)
    with pytest.raises(Damaged, match="too large"):
        Objects([tmp_path / "objects"], 20).read(one.hex())


@quick
@given(st.data())
def test_damage_to_a_pack_never_raises(tmp_path: Path, draw: st.DataObject) -> None:
    pack, index = pack_of([entry(3, b"base text " * 9), entry(6, varint(90) + varint(9) + copy(3, 9), b"\x1d"),
                           entry(2, b"100644 a\0" + bytes(20)), entry(1, b"tree " + b"0" * 40 + b"\n\nwords")])
    raw = bytearray(pack)
    for _ in range(draw.draw(st.integers(1, 4))):
        raw[draw.draw(st.integers(12, len(raw) - 21))] = draw.draw(st.integers(0, 255))
    told(repository(tmp_path, bytes(raw), index))


@quick
@given(st.binary(max_size=1300))
def test_any_bytes_as_an_index(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "p.pack").write_bytes(b"PACK")
    for index in (raw, raw + hashlib.sha1(raw).digest(), b"\xfftOc\0\0\0\2" + raw):
        (tmp_path / "p.idx").write_bytes(index)
        with pytest.raises(Damaged):
            Pack(tmp_path / "p.pack", 20)


@quick
@given(st.binary(max_size=400))
def test_any_bytes_as_tree_or_message(raw: bytes) -> None:
    trees = Trees(20, None)
    trees.add(bytes(20), raw, None)
    list(trees.names())
    list(entries(raw, 20))
    text, line = messages.text(raw, messages.begins(raw))
    assert raw.count(b"\n") == text.count(b"\n") + line
    messages.linked(raw, 20)


@pytest.mark.parametrize("size", [39, 41, 42, 64])
def test_links_of_a_length_that_no_id_has(size: int) -> None:
    raw = b"tree " + b"a" * size + b"\nparent " + b"b" * 40 + b"\nauthor A <a> 1 +0000\n\nwords"
    assert messages.linked(raw, 20) == [bytes.fromhex("b" * 40)]


def test_signatures_are_no_text() -> None:
    raw = (b"tree " + b"0" * 40 + b"\nparent " + b"1" * 40 + b"\nauthor A <a@b> 1 +0000\ngpgsig -----BEGIN PGP "
           b"SIGNATURE-----\n \n iQEzBAABCgAdFiEE\n =abcd\n -----END PGP SIGNATURE-----\n\nwords\n")
    text, line = messages.text(raw, messages.begins(raw))
    assert line == 2 and b"iQEz" not in text and text.endswith(b"\n\nwords\n")
    assert messages.linked(raw, 20) == [bytes(20), b"\x11" * 20]
