"""Figures of measured runs: percentiles, what machine it was, and the files under bench/results/ they are kept in."""

from __future__ import annotations

import json
import math
import os
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of them do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p95 and largest, in milliseconds."""
    return {"p50_ms": _ms(percentile(seconds, 0.5)), "p95_ms": _ms(percentile(seconds, 0.95)),
            "max_ms": _ms(max(seconds)), "count": len(seconds)}


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def machine() -> dict[str, object]:
    """What it was measured on, without names or paths. `load` is the load average of the last minute."""
    found = re.search(r"model name\s*:\s*(.+)", _text("/proc/cpuinfo"))
    memory = re.search(r"MemTotal:\s*(\d+)", _text("/proc/meminfo"))
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": found.group(1).strip() if found else platform.machine(),
        "memory_gib": round(int(memory.group(1)) / 2**20, 1) if memory else 0,
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def read(name: str) -> dict[str, Any]:
    """What bench/results/NAME.json holds; empty when nothing was measured yet."""
    path = RESULTS / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def _text(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def write(name: str, measured_on: Mapping[str, object], figures: Mapping[str, object]) -> Path:
    """Keep them as bench/results/NAME.json, replacing the former ones whole. `measured_on`: machine() beforehand."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps({"schema": 1, "machine": measured_on, **figures}, indent=2) + "\n")
    draft.replace(path)
    return path
