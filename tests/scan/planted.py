"""A detector with a few rules of our own, a made-up token, and archives of every kind with it inside."""

from __future__ import annotations

import io
import sqlite3
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from clawsecrets.formats.bounds import DEFAULT, Limits
from clawsecrets.model.finding import Content, Kind, Place, Rule, Skipped
from clawsecrets.scan.detector import Detector
from clawsecrets.scan.inspect import Inspector
from clawsecrets.scan.ruleset import Ruleset

TOKEN = "made_" + "k3Vn8QwLz1Rt7YpXb2Mc9HdFj5Sg4TaUe6Ni"
TEXT = f"one\ntwo x={TOKEN}\n".encode()
"""The token is on line 2, column 7."""
GATEWAY = "3f9a1c7be2d84056a9b1c3d5e7f90214a6b8c0d2e4f61357"
PEM_BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj"
RULES = (
    Rule("made.token", "made", "A made token", r"\b(made_[A-Za-z0-9]{36})\b"),
    Rule("made.url", "made", "A database", r"\b(postgres://[a-z]+:[^@\s\"']{6,40}@[a-z.]+)"),
    Rule("made.gateway", "made", "A key beside its name", "[0-9a-f]{48}", near=("gateway token",)),
    Rule("made.pem", "made", "A private key", r"(-----BEGIN PRIVATE KEY-----\s{0,4}[A-Za-z0-9+/]{20,64})"),
    Rule("made.doubtful", "made", "Not sure", r"\b(guess[0-9]{8})\b", confidence="low"),
)


@dataclass
class Told:
    """Keeps what was skipped."""

    skips: list[Skipped] = field(default_factory=list)

    def skipped(self, skipped: Skipped) -> None:
        """Something could not be looked at."""
        self.skips.append(skipped)

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """What, and why."""
        return [(skip.what, skip.reason) for skip in self.skips]


@cache
def detector() -> Detector:
    """One for all tests."""
    return Detector(Ruleset(RULES))


Found = tuple[str, int, int, str, str]
"""Path, line, column, encoding, value."""


def looked(data: bytes | str, name: str = "f", told: Told | None = None, limits: Limits = DEFAULT) -> list[Found]:
    """What the inspector finds in one content."""
    data = data.encode() if isinstance(data, str) else data
    inspector = Inspector(detector(), notes=told or Told(), limits=limits)
    return found(inspector, Content(data, Place(Kind.FILE, name, name)))


def found(inspector: Inspector, content: Content) -> list[Found]:
    """What an inspector finds in content."""
    return [(match.place.path, match.start_line, match.start_column, match.encoding,
             match.secret.reveal().decode("latin-1")) for match in inspector.look(content)]


def tar(files: Mapping[str, bytes], mode: str = "w") -> bytes:
    """A tar archive."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def database(*statements: tuple[str, tuple[object, ...]]) -> bytes:
    """A SQLite database."""
    connection = sqlite3.connect(":memory:")
    for statement, values in statements:
        connection.execute(statement, values)
    connection.commit()
    data = connection.serialize()
    connection.close()
    return data


def pdf(content: bytes, *, packed: bool = True, also: bytes = b"") -> bytes:
    """A PDF file with one content stream."""
    stream = zlib.compress(content) if packed else content
    told = b" /Filter /FlateDecode" if packed else b""
    return (b"%%PDF-1.4\n1 0 obj\n<< /Length %d%s >>\nstream\n%s\nendstream\nendobj\n%s\ntrailer <<>>\n%%%%EOF"
            % (len(stream), told, stream, also))
