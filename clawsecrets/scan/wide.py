"""Text of two or four bytes a character: whole files, with and without a mark, and pieces of it in binary data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from clawsecrets.model.late import late
from clawsecrets.scan.derived import Builder, Derived

_MARKS = ((b"\xff\xfe\0\0", "utf-32le"), (b"\0\0\xfe\xff", "utf-32be"), (b"\xff\xfe", "utf-16le"),
          (b"\xfe\xff", "utf-16be"))
_SAMPLE = 4096
_TWO = late(rb"(?:[\t\n\r -~]\0){12,}")
_FOUR = late(rb"(?:[\t\n\r -~]\0\0\0){8,}")


def whole(data: bytes) -> tuple[str, int]:
    """The encoding of the data as a whole, and where its text begins; empty when it is not wide text."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return name, len(mark)
    head = data[:_SAMPLE]
    if len(head) < 8 or len(head) > 4 * head.count(0) + 16:
        return "", 0
    for name, width, phase in (("utf-32le", 4, 0), ("utf-32be", 4, 3), ("utf-16le", 2, 0), ("utf-16be", 2, 1)):
        low = head[phase::width]
        if len(low) and low.count(0) * 20 < len(low) and all(
                other == phase or head[other::width].count(0) * 10 >= len(head[other::width]) * 9
                for other in range(width)):
            return name, 0
    return "", 0


def texts(data: bytes, ends: Sequence[int]) -> Iterator[Derived]:
    """The wide text in the data; `ends` are where some was seen."""
    name, start = whole(data)
    if name:
        width = 4 if "32" in name else 2
        text = _narrow(data[start:], name)
        yield Derived(text, name, (0,), (start,), width)
        return
    for pattern, width in ((_TWO, 2), (_FOUR, 4)):
        built, name = Builder(), "utf-16le" if width == 2 else "utf-32le"
        done = 0
        for end in ends:
            if end <= done:
                continue
            found = pattern.search(data, max(done, end - 32), end)
            found = pattern.match(data, found.start()) if found else None
            if found is not None:
                done = found.end()
                built.add(data[found.start():done:width], found.start())
                built.add(b"\n\n\n", done)
        if built.size:
            made = built.derived(name)
            yield Derived(made.data, name, made.starts, made.origins, width)


def _narrow(data: bytes, name: str) -> bytes:
    """One byte for each unit: what is not ASCII becomes `?`, so that places stay what they are."""
    width = 4 if "32" in name else 2
    data = data[:len(data) - len(data) % width]
    phase = width - 1 if name.endswith("be") else 0
    text = data[phase::width]
    if all(not any(data[other::width]) for other in range(width) if other != phase) and text.isascii():
        return text
    out = bytearray(text)
    for other in range(width):
        if other != phase:
            for found in re.finditer(rb"[^\0]", data[other::width]):
                out[found.start()] = 0x3F
    return bytes(out)
