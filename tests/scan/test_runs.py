"""Singling out what can hold a run: the same shapes are seen at the same places as in the whole."""

from __future__ import annotations

import base64
import random

import pytest

from clawsecrets.scan import gates
from clawsecrets.scan.runs import Runs

_TEXT = b"the quick brown fox, jumps over the lazy dog = 12345; // and so on\n"
_SECRET = b"password=correct horse battery staple"


def _planted() -> list[bytes]:
    """Each kind of run, as short as it is seen, and a long one."""
    wide = _SECRET.decode().encode("utf-16-le")
    return [base64.b64encode(_SECRET)[:24], base64.b64encode(_SECRET * 200), base64.b64encode(wide),
            _SECRET.hex()[:32].encode(),
            _SECRET.hex().upper().encode() * 90, wide.hex().encode()[:32], wide[:24], wide * 40,
            _SECRET.decode().encode("utf-16-be")[:26], _SECRET.decode().encode("utf-32-le")[:32],
            _SECRET.decode().encode("utf-32-be") * 9]


def _both(data: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    gate = gates.gate()
    whole = gate.seen(data, None)
    with monkeypatch.context() as patch:
        patch.setattr(gates, "_LARGE", 0)
        return whole, gate.seen(data, None)


@pytest.mark.parametrize("number", range(len(_planted())))
def test_a_run_is_seen_where_it_is_wherever_it_begins(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    run = _planted()[number]
    for before in (*range(40), 1000):
        for around in (b" ", b"\0", b"x-", b""):
            data = _TEXT[:before] + around + run + around + b"(" + _TEXT
            whole, parts = _both(data, monkeypatch)
            assert whole, "the run is seen in the whole"
            assert parts == whole, (before, around)


def test_random_bytes_and_runs_over_the_edges_of_a_look_are_seen_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(7)
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-  \n.\0\0"
    seen = 0
    for _ in range(20):
        noise = bytes(rng.choices(alphabet, k=(256 << 10) + rng.randrange(64)))
        at = (256 << 10) - 8 - rng.randrange(40)  # the first look's end
        for run in _planted():
            data = noise[:at] + run + noise[at:]
            whole, parts = _both(data, monkeypatch)
            assert parts == whole
            seen += len(whole)
    assert seen


def test_parts_that_were_apart_are_no_run_together() -> None:
    half = base64.b64encode(_SECRET)[:20]
    runs = Runs((half + b"(" * 40) * 50)
    assert half + half not in runs.text
    assert len(runs.text) % 8 == 0


def test_little_of_a_source_is_kept() -> None:
    assert len(Runs(_TEXT * 2000).text) < len(_TEXT) * 200
