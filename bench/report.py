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
    parts = (_commands(), _stores(), _scan(), _masking(), _gateway(), _daemon(), _injectors(), _copy(), _cluster(),
             _soak())
    path.write_text("\n".join([HEAD, *(line for part in parts for line in part)]).rstrip() + "\n")
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


def _stores() -> Iterator[str]:
    for name in ("stores", "stores-raft"):
        found = figures.read(name)
        if not found:
            continue
        yield from (f"## Embedded store and OpenBao side by side ({found['server']})", "",
                    f"Medians of {found['times']} calls in one process, {found['size']} secrets, on "
                    f"{_machine(found['machine'])}. A network adds its round trip to each request (reads of a bundle "
                    "and of all records go 16 at once).", "",
                    "| call | embedded | OpenBao | its requests |", "|---|---:|---:|---:|")
        for what, row in found["embedded"]["rows"].items():
            other = found["openbao"]["rows"][what]
            yield f"| {what} | {row['p50_ms']:.1f} ms | {other['p50_ms']:.1f} ms | {other['requests']:.0f} |"
        first = [found[store]["first_commit_ms"] for store in ("embedded", "openbao")]
        yield from (f"| the first commit of a secret | {first[0]:.1f} ms | {first[1]:.1f} ms | |", "")


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


def _masking() -> Iterator[str]:
    found = figures.read("masking")
    if not found:
        return
    latency = found["latency"]
    yield from (
        "## The mask of `run`", "", f"{found['secrets']} secrets in all of their forms, on "
        f"{_machine(found['machine'])}. {'Met' if found['met'] else '**Missed**'}.", "",
        f"- {found['mb_per_s']} MB/s from the command's pipe into the reader's (slowest {found['mb_per_s_slowest']}, "
        f"without `run` {found['mb_per_s_without']}); target {found['target_mb_per_s']:.0f}.",
        f"- p99 of {found['added_p99_ms']:.2f} ms added; target {found['target_added_p99_ms']:.0f}. A line: "
        f"{latency['line']['p99_ms']:.2f} ms, without `run` {latency['line_without']['p99_ms']:.2f}; what could be the "
        f"beginning of a value: {latency['held']['p99_ms']:.2f} ms, without {latency['held_without']['p99_ms']:.2f}.",
        "")


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


def _injectors() -> Iterator[str]:
    found = figures.read("injectors")
    if not found:
        return
    counted = ", ".join(f"{number} {name}" for name, number in found["counted before and after"].items())
    yield from (
        "## Rotations into real containers", "",
        f"{found['rotations']} rotations in one process on {_machine(found['machine'])}, each into "
        f"{', '.join(found['targets'])}, with the consumers {' and '.join(found['consumers'])} (real Docker, Compose, "
        "Swarm and Podman).", "",
        "| | p50 | p95 | longest |", "|---|---:|---:|---:|", _spread("one rotation", found["rotation"]), "",
        f"Left behind: {found['left behind']} (before and after: {counted}).", "")


def _spread(what: str, row: Mapping[str, float]) -> str:
    return f"| {what} | {row['p50_ms']:.0f} ms | {row['p95_ms']:.0f} ms | {row['max_ms']:.0f} ms |"


def _copy() -> Iterator[str]:
    found = figures.read("copy")
    if not found:
        return
    yield from (
        "## Moving to another store", "",
        f"`store copy` of {found['secrets']:,} secrets of {found['versions']} versions between two embedded stores, on "
        f"{_machine(found['machine'])}.", "",
        f"- {found['whole_s']:.0f} s in one go; comparing the two, every value and version, takes "
        f"{found['compare_s']:.0f} s; retiring the source {found['move_s']:.0f} s.",
        f"- Killed (SIGKILL) at {found['kills']} random moments and run again: {found['differences']} differences at "
        "the end.", "")


def _cluster() -> Iterator[str]:
    found = figures.read("cluster")
    if not found:
        return
    ends = {how: found[how] for how in ("done", "done-owed", "aborted", "aborted-owed", "stuck") if how in found}
    used = found["uses_of_keys"]
    yield from (
        "## Two hosts on a cluster that falls", "",
        f"Two daemons, each on a machine of its own (namespaces for network, processes and host name), on a cluster of "
        f"three OpenBao nodes with Raft and TLS; {found['keys']} keys due every {found['interval_s']} s, for "
        f"{found['seconds']} s, on {_machine(found['machine'])}; seed {found['seed']}.", "",
        f"- {found['rotations']} rotations ({_words(ends)}); ended by {_words(found['ended_by'])}. {found['lost']} "
        f"values lost, {found['orphans']} orphans, {found['early']} rotated before the interval was over; the audit "
        f"log of {found['audit_events']} events is whole.",
        f"- Meanwhile, {sum(found['faults'].values())} faults: {_words(found['faults'])}. "
        f"{found['paused_leaders_started_anew']} of the paused leaders did not find back and were started anew.",
        f"- The services used the keys all the time: {used['accepted']} times accepted, {used['refused']} refused, "
        f"{used['unanswered']} without an answer (their host was cut off).", "")


def _soak() -> Iterator[str]:
    found = figures.read("soak")
    if not found:
        return
    yield from ("## The full counts (`make soak`)", "", f"On {_machine(found['machine'])}.", "",
                "| part | passed | failed | seconds | seed |", "|---|---:|---:|---:|---|")
    for name, part in found["parts"].items():
        yield f"| {name} | {part['passed']} | {part['failed']} | {part['seconds']:.0f} | {part['seed']} |"
    yield ""
    for name in ("mutation", "race", "crash", "crash-injectors", "years"):
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
