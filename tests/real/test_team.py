"""Two hosts on a cluster of three whose leader is killed, and then paused, in the middle of their rotations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.fake_provider import FakeProvider
from tests.real import openbao
from tests.real.team import Team

pytestmark = [pytest.mark.real("openbao"), pytest.mark.slow]


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    authority = Authority(tmp_path)
    certificate = authority.issue("provider", tmp_path, hosts=("127.0.0.1",))
    with openbao.Cluster(3) as cluster, FakeProvider(certificate=certificate) as fake, \
            Team(cluster, fake, authority.file, keys=2, every=2, patience=30) as made:
        yield made


def test_rotations_go_on_while_leaders_fall(team: Team) -> None:
    team.go()
    team.until_rotated(1)
    killed = team.cluster.leader()
    killed.kill()
    team.until_rotated(2)
    killed.start()
    team.cluster.wait_writable()
    paused = team.cluster.leader()
    paused.stop()
    leads, other = sorted(team.hosts, key=lambda host: not host.leads)
    leads.kill()
    team.until(lambda: other.leads, "that the other host leads")
    leads.start()
    team.until_rotated(2)
    paused.resume()
    team.until_rotated(1)
    team.settle()
    figures = team.judge()
    assert figures["done"] >= 6 and figures["uses_of_keys"]["accepted"] > 0, figures
    assert figures.keys() <= {*FIGURES, "done"}, f"not every one ended well: {figures}"
    judges(team)


def judges(team: Team) -> None:
    """What looks is looked at: it sees an orphan, a value that does not work, and a rotation that came too early."""
    begun = [event for event in team.events() if event["action"] == "rotation.planned"]
    with pytest.raises(AssertionError, match="acme-"):
        team.early([*team.events(), {**begun[-1], "at": begun[0]["at"]}])
    stray = team.fake.seed("acme", "nobody's")
    with pytest.raises(AssertionError, match="orphans"):
        team.books()
    for handle in team.fake.live("acme").keys() - {stray.handle}:
        team.fake.bank.kill(handle)
    with pytest.raises(AssertionError, match="lost"):
        team.books()


FIGURES = ("keys", "interval_s", "rotations", "early", "lost", "orphans", "owed", "audit_events", "ended_by",
           "daemon_starts", "uses_of_keys")
