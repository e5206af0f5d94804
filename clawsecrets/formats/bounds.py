"""What reading one thing may cost at most. One budget is passed down to everything that is nested in it."""

from __future__ import annotations

from typing import NamedTuple

from clawsecrets.formats.errors import TooLarge


class Limits(NamedTuple):
    """Bounds of one outer content and of everything in it."""

    output: int = 1 << 30
    """Bytes that are unpacked, in total."""
    members: int = 1_000_000
    """Members of archives, rows of databases, streams of documents, in total."""
    depth: int = 6
    """Containers in containers."""
    whole: int = 64 << 20
    """Bytes of one member that is held in memory; what is larger is looked at in pieces."""
    ratio: int = 1000
    """Unpacked bytes for each packed byte …"""
    ratio_from: int = 16 << 20
    """… asked only of a stream that unpacked to more bytes than that."""


DEFAULT = Limits()


class Budget:
    """What was spent of the limits. Every method that finds them exceeded raises TooLarge."""

    __slots__ = ("limits", "members", "output")

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self.limits = limits
        self.output = 0
        self.members = 0

    def spend(self, size: int) -> None:
        """So many bytes were unpacked."""
        self.output += size
        if self.output > self.limits.output:
            raise TooLarge(f"it unpacks to more than {_mebibytes(self.limits.output)}")

    def count(self, members: int = 1) -> None:
        """So many members were met."""
        self.members += members
        if self.members > self.limits.members:
            raise TooLarge(f"it has more than {self.limits.members} members")

    def compare(self, unpacked: int, packed: int) -> None:
        """One stream gave `unpacked` bytes for `packed` ones."""
        if unpacked > self.limits.ratio_from and unpacked > packed * self.limits.ratio:
            raise TooLarge(f"it unpacks to more than {self.limits.ratio} times its size")

    @property
    def left(self) -> int:
        """Bytes that may still be unpacked."""
        return max(0, self.limits.output - self.output)


def _mebibytes(size: int) -> str:
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size} bytes"
