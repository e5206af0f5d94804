"""A restored backup holds an older refresh token: where a second use would end everything, there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.desk import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A store with a refreshed token of either kind, and a backup of it."""
    with Desk(tmp_path / "s") as made:
        made.provider('[consumers.app]\nkind = "command"\nprobe = ["true"]\n')
        made.init()
        assert made.fake is not None
        made.quick("set", "refresher-client-secret", stdin=made.fake.admin.encode())
        for style in ("refresher", "refresher-once"):
            token = made.fake.seed(style).refresh.encode()
            made.quick("set", style, "--provider", style, "--refresh-token", stdin=token)
            made.quick("configure", style, "--consume", "app")
            made.ok("rotate", style)
        made.quick("backup", "copy")
        yield made


def restored(desk: Desk, *more: str) -> str:
    """Restore the backup, and what its confirmation says."""
    desk.env["CLAWSECRETS_HOME"] = str(desk.root / "new")
    desk.write("new/clawsecrets.toml", (desk.home / "clawsecrets.toml").read_bytes())
    desk.ok("restore", "copy", "--recovery-file", "code")
    ran = desk.run("restore", "--confirm", "--yes")
    assert ran.code == int("refused" in more), ran
    return ran.err


def test_one_that_was_spent_since_is_given_up_and_never_used(desk: Desk) -> None:
    assert desk.fake is not None
    desk.ok("rotate", "refresher-once")
    told = restored(desk, "refused")
    assert "refresher-once: its refresh token may have been spent" in told
    assert "clawsecrets set refresher-once --refresh-token" in told
    assert "refresher: its refresh token" not in told, "this one may be used again: it is refused at worst"
    ran = desk.run("rotate", "refresher-once")
    assert ran.code == 4 and "refresh token: none is in the store" in ran.err
    assert not desk.fake.calls["reused"]
    desk.quick("set", "refresher-once", "--refresh-token", stdin=desk.fake.seed("refresher-once").refresh.encode())
    desk.ok("rotate", "refresher-once")


def test_one_whose_value_still_lives_was_not_spent(desk: Desk) -> None:
    assert desk.fake is not None
    assert "refresh token" not in restored(desk)
    for style in ("refresher", "refresher-once"):
        desk.ok("rotate", style)
    assert not desk.fake.calls["reused"]
