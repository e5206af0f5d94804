"""Which files of a working tree git does not ignore."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from clawsecrets.clients.git import Git
from clawsecrets.clients.git_waits import special_in_tree
from clawsecrets.errors import Incomplete
from clawsecrets.sources.git.layout import find


def unignored(root: Path) -> Sequence[str]:
    """Paths relative to `root` of files that are tracked, or that nothing ignores. Incomplete when `root` is in no
    repository or git fails."""
    layout = find(root, False)
    if found := special_in_tree(layout.top):
        raise Incomplete(f"{found} is no file, and git would wait for it", "take it away, or leave --no-ignored out")
    raw = Git(layout.gitdir, layout.top).inside(
        layout.top, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--full-name", "--deduplicate")
    inside = os.path.relpath(os.path.realpath(root), os.path.realpath(layout.top))
    lead = "" if inside == "." else inside + "/"
    names = {os.fsdecode(name) for name in raw.split(b"\0") if name}
    return sorted(name[len(lead):] for name in names if name.startswith(lead))
