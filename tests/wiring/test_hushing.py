"""What an error may repeat of what was typed: names that people and programs give, and nothing that chance made."""

from __future__ import annotations

import base64
import random

import pytest

from clawsecrets.wiring.hushing import looks_random


@pytest.mark.parametrize("name", [
    "clawsecrets-transcript-a1b2c3d4", "openclaw-2026-11-30", "pytest-of-root", "my_backup_folder_2026_11_30_v2",
    "systemd-private-0f1e2d3c-service", "a1b2c3d4e5f6g7h8i9j",
])
def test_names_with_a_few_characters_by_chance_are_repeated(name: str) -> None:
    assert not looks_random(name)


@pytest.mark.parametrize("size", [24, 32, 43])
@pytest.mark.parametrize("before", ["", "sk-ant-", "token_", "clawsecrets-"])
def test_what_chance_made_is_not(size: int, before: str) -> None:
    """Also behind a word, as the prefixes of credentials are."""
    chance = random.Random(size)
    made = [base64.urlsafe_b64encode(chance.randbytes(40)).decode()[:size] for _ in range(500)]
    assert sum(not looks_random(before + one) for one in made) <= 3
