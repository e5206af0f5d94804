"""Text of XML documents (docx, xlsx, pptx, odt): what stands between tags, runs of one paragraph joined."""

from __future__ import annotations

import re

_TAG = re.compile(rb"<[^<>]{0,65536}>")
_BREAK = re.compile(rb"</?(?:[\w-]+:)?(?:p|br|tab|si|row|tr|h|cr|c|v|line-break|table-row|table-cell|is)(?=[\s/>])")
"""Tags at which a paragraph, a line or a cell ends or begins."""
OFFICE = ("[Content_Types].xml", "mimetype")
"""Names of the first member of an archive whose XML members are documents."""


def text(data: bytes) -> tuple[bytes, list[int], list[int]]:
    """The text, and where its parts come from: the part that begins at `starts[i]` of it stood at `origins[i]`."""
    parts: list[bytes] = []
    starts, origins = [], []
    at = size = 0

    def add(part: bytes, origin: int) -> None:
        nonlocal size
        if part:
            starts.append(size)
            origins.append(origin)
            parts.append(part)
            size += len(part)

    for tag in _TAG.finditer(data):
        add(data[at:tag.start()], at)
        if _BREAK.match(tag.group()):
            add(b"\n", tag.start())
        at = tag.end()
    add(data[at:], at)
    return b"".join(parts), starts, origins
