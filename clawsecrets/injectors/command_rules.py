"""Which of OpenClaw's rules for an exec provider's command a path breaks, for `doctor` and before a plan is written.

Measured on OpenClaw 2026.9.6: the path must be absolute, a regular file and no symbolic link (links among its folders
are allowed), writable by nobody but its owner, and owned by the very user that the gateway runs as (root does not
count).
"""

from __future__ import annotations

import os
import stat


def check_command(path: str | os.PathLike[str], uid: int | None = None) -> list[str]:
    """One line per rule broken, with what to do; empty: OpenClaw will run it. `uid`: the gateway's user, or ours."""
    command = os.fspath(path)
    owner = os.geteuid() if uid is None else uid
    if not os.path.isabs(command):
        return [f"{command!r} must be an absolute path; OpenClaw expands no ~ and searches no PATH"]
    try:
        found = os.lstat(command)
    except OSError as error:
        return [f"{command}: {os.strerror(error.errno or 0)}"]
    if stat.S_ISLNK(found.st_mode):
        return [f"{command} is a symbolic link, which OpenClaw refuses; use {os.path.realpath(command)}"]
    if not stat.S_ISREG(found.st_mode):
        return [f"{command} is not a regular file"]
    return [*_rights(command, found, owner), *_first_line(command)]


def _rights(command: str, found: os.stat_result, owner: int) -> list[str]:
    broken = []
    if found.st_mode & 0o022:
        broken.append(f"{command} can be written by others, which OpenClaw refuses: chmod go-w {command}")
    if found.st_uid != owner:
        broken.append(
            f"{command} belongs to uid {found.st_uid}, but OpenClaw demands the gateway's user (uid {owner}): "
            "install clawsecrets as that user"
        )
    if not found.st_mode & 0o100:
        broken.append(f"{command} is not executable: chmod u+x {command}")
    return broken


def _first_line(command: str) -> list[str]:
    """The gateway gives no PATH, so an interpreter must not be searched for (OpenClaw itself does not check this)."""
    try:
        with open(command, "rb") as file:
            line = file.read(256).split(b"\n")[0]
    except OSError as error:
        return [f"{command}: {os.strerror(error.errno or 0)}"]
    if line.startswith(b"#!") and line[2:].split()[:1] in ([b"/usr/bin/env"], [b"/bin/env"]):
        return [f"{command} searches its interpreter on PATH, which OpenClaw does not set: use a virtualenv's script"]
    return []
