"""The order in which a run of several processes hands out its files: what takes longest comes first, as a process that
began one of them late would go on alone at the end. It decides on nothing but the time that a run takes.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LONGEST = """
crash/test_crash.py cli/test_transcripts.py real/test_adopt.py crash/test_crash_targets.py real/test_memory_key.py
cli/test_no_leaks.py crash/test_crash_engine.py cli/test_bad_input.py real/test_rotate_containers.py
adopting/test_adopt.py real/test_consumer_openclaw.py e2e/test_fail_closed.py real/test_team.py daemon/test_process.py
sim/test_simulator.py real/test_rotate_gateway.py crash/test_crash_vault.py real/test_container.py
cli/test_outcomes.py real/test_swarm.py cli/test_vault.py real/test_service.py stores/vault/test_crash.py
real/test_gateway_client.py adopting/test_undo_newer.py real/test_adopt_undo.py cli/test_terminal.py
crash/test_race.py stores/vault/test_cluster.py
stores/test_tampering.py cli/test_hosts.py daemon/test_hosts.py real/test_docker_consumer.py cli/test_store_copy.py
running/test_watch.py real/test_handover.py real/test_state_scan.py running/test_pipes.py daemon/test_notifying.py
notifiers/test_apprise.py e2e/test_bounds.py e2e/test_git_coverage.py scan/test_inspect.py scan/test_rule_data.py
scan/test_rules.py
"""
"""As measured (`pytest --durations=0`), with what each sets up; those that wait and those that compute take turns. The
others come then, by their number of tests."""


def longest_first(items: list[pytest.Item]) -> None:
    """Put the items into that order; those of one file stay as they are."""
    place = {HERE / name: at for at, name in enumerate(LONGEST.split())}
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (place.get(item.path, len(place)), -tests[item.path], str(item.path)))
