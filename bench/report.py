"""Writes bench/results/README.md out of the figures beside it. Nothing is measured here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench import figures

HEAD = """<!-- written by bench/report.py from the .json files here: do not edit -->
# Measured

`make bench` measures commands, `make soak` the rest. Times are of whole processes, started and gone.
"""
GROUPS = ("resolve", "thousand", "ten-thousand")


def write() -> Path:
    """The table of everything that was measured so far."""
    path = figures.RESULTS / "README.md"
    path.write_text("\n".join([HEAD, *_commands(), *_scan(), *_gateway(), *_daemon(), *_soak()]).rstrip() + "\n")
    return path


def _commands() -> Iterator[str]:
    rows = [(group, row) for group in GROUPS for row in figures.read(group).get("rows", {}).values()]
    if not rows:
        return
    loads = [figures.read(group)["machine"]["load"] for group in dict.fromkeys(group for group, _ in rows)]
    machine = figures.read(rows[0][0])["machine"] | {"load": ", ".join(map(str, loads))}
    yield from ("## Commands", "", f"Medians of {rows[0][1]['count']} on {_machine(machine)}.", "",
                "| command | median | p95 | target |", "|---|---:|---:|---|")
    for _, row in rows:
        target = f"< {row['target_ms']:.0f} ms: {'met' if row['met'] else '**missed**'}" if "target_ms" in row else ""
        yield f"| {row['what']} | {row['p50_ms']:.0f} ms | {row['p95_ms']:.0f} ms | {target} |"
    yield ""


def _scan() -> Iterator[str]:
    found = figures.read("scan")
    if not found:
        return
    yield from ("## The scan beside its peers", "", f"Medians of whole processes on {_machine(found['machine'])}; "
                "memory is the largest sum over a tool's processes. `cached` is the run after 10 new commits.", "",
                "| input | tool | seconds | memory MB | exit codes |", "|---|---|---:|---:|---|")
    for name, row in found["rows"].items():
        for tool, told in row["tools"].items():
            codes = ", ".join(map(str, told.get("codes", []))) + ("" if told.get("answered", True) else " (no answer)")
            yield f"| {name} | {tool} | {told['seconds']:.2f} | {told.get('peak_mb', '')} | {codes} |"
    yield ""


def _gateway() -> Iterator[str]:
    found = figures.read("gateway")
    if not found:
        return
    client = found["client"]
    yield from (
        "## One rotation of a real gateway's token", "", f"On {_machine(found['machine'])}.", "",
        "| | p50 | p95 | largest |", "|---|---:|---:|---:|",
        _spread("start of the reload to the commit after its reply", found["span_from_reload_to_commit"]),
        _spread("the same under a client that connects every 100 ms", found["span_under_the_client"]),
        _spread("`clawsecrets rotate`, whole process", found["rotation_wall"]),
        _spread("the same under the client", found["rotation_wall_under_the_client"]),
        _spread("for comparison: `openclaw secrets reload --json`, whole process",
                found["openclaw_secrets_reload_cli"]),
        _spread("the RPC `secrets.reload` alone", found["secrets_reload_rpc"]), "",
        "Where the time of one rotation goes (medians): "
        + ", ".join(f"{part} {ms:.0f} ms" for part, ms in found["rotation_parts_p50_ms"].items())
        + ". In confirm and in prove-dead the gateway delays its refusal of the old token by 250 ms each.", "",
        f"A client that connected every {client['every_ms']} ms with the token that `get` gives, through "
        f"{client['rotations']} rotations: {client['failed']} of {client['attempts']} attempts failed, "
        f"{client['failed_outside_the_span']} of them outside of the time between the start of a reload and the "
        "commit after its reply.",
        "The rotation speaks the gateway's RPC itself. OpenClaw's own command line, for the reload alone, would take "
        f"{found['share_that_openclaws_cli_alone_would_be']:.0%} of what the whole rotation takes.", "")


def _daemon() -> Iterator[str]:
    found = figures.read("daemon")
    if not found:
        return
    yield from (
        "## The daemon at intervals of seconds", "",
        f"{found['secrets']} secrets at HTTP fakes and a real gateway for {found['seconds']:.0f} s, on "
        f"{_machine(found['machine'])}; seed {found['seed']}.", "",
        f"- {found['rotations']} rotations, {found['rotations_under_kills']} of them while the daemon was killed "
        f"(SIGKILL) {found['kills']} times; {found['failed']} were given up and tried again, {found['stuck']} stuck; "
        f"{found['orphans']} orphans at the provider.",
        f"- Resident memory {found['rss_kib_start'] / 1024:.1f} MiB, and {found['rss_kib_end'] / 1024:.1f} MiB after "
        f"{found['steady_rotations']} more rotations; idle it takes {found['idle_cpu_percent']:.2f} % of a core.", "")


def _spread(what: str, row: Mapping[str, float]) -> str:
    return f"| {what} | {row['p50_ms']:.0f} ms | {row['p95_ms']:.0f} ms | {row['max_ms']:.0f} ms |"


def _soak() -> Iterator[str]:
    found = figures.read("soak")
    if not found:
        return
    yield from ("## The full counts (`make soak`)", "", f"On {_machine(found['machine'])}.", "",
                "| part | passed | failed | seconds | seed |", "|---|---:|---:|---:|---|")
    for name, part in found["parts"].items():
        yield f"| {name} | {part['passed']} | {part['failed']} | {part['seconds']:.0f} | {part['seed']} |"
    yield ""
    for name in ("mutation", "race", "crash", "years"):
        if told := figures.read(name):
            yield f"- {name}: {_words(told.get('lives', told))}"


def _words(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key} ({_words(v)})" if isinstance(v, dict) else f"{key} {v}" for key, v in value.items())
    return str(value)


def _machine(found: Mapping[str, Any]) -> str:
    return (f"{found['cores']} cores ({found['cpu']}, {found['memory_gib']:.0f} GiB), {found['system']}, Python "
            f"{found['python']}; load average before: {found['load']}")


if __name__ == "__main__":
    print(write().name)
