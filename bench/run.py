"""What we claim about speed: medians of 20, each a whole process. Results go to bench/results/.

    python -m bench.run [GROUP …]      resolve, thousand, ten-thousand; all when none is named

Exit code 1 when a target is missed, 2 for a group that there is not.
"""

from __future__ import annotations

import sys

from bench import asked, figures, report
from bench.commands import GROUPS, Measure

TIMES = 20


def measured(measure: Measure) -> dict[str, object]:
    """One row: a first run that warms the caches, then TIMES that count."""
    measure.once()
    found = figures.spread([measure.once() for _ in range(TIMES)])
    row: dict[str, object] = {"what": measure.what, **found}
    met = True
    if measure.target:
        met = found["p50_ms"] < measure.target
        row |= {"target_ms": measure.target, "met": met}
    print(f"{measure.name:<16} {found['p50_ms']:>8.1f} ms  p95 {found['p95_ms']:>8.1f}"
          + (f"  target {measure.target:.0f} {'met' if met else 'MISSED'}" if measure.target else ""), flush=True)
    return row


def main(names: list[str]) -> int:
    """Measure the groups, keep the figures, write the table."""
    if (code := asked.answered(names, GROUPS, "group", __doc__ or "")) is not None:
        return code
    missed = 0
    for name in names or list(GROUPS):
        machine = figures.machine()
        rows = {measure.name: measured(measure) for measure in GROUPS[name]()}
        missed += sum(row.get("met") is False for row in rows.values())
        figures.write(name, machine, {"times": TIMES, "rows": rows})
    print(f"written: {report.write().name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
