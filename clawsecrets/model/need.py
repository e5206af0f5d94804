"""What is to be done now, for every secret: decided from the records and the time alone, at every tick. Pure.

1. Nothing is remembered between two ticks. A lost tick, a restart or a jump of the clock changes nothing but the time.
2. An unfinished rotation goes on at any time; only beginnings wait for windows and for each other.
3. Never two of one redundancy group at once, nor in one opening; in an opening that several wait for, the one that has
   been due for longest goes. Those that come before (`Rule.after`; all others for a gateway) go first where they are
   due together, but nobody is kept waiting past an opening of their own.
4. The daemon, `rotate --due`, `status` and `plan` all ask here.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from clawsecrets.model.hosts import AWAITED
from clawsecrets.model.policy import format_duration
from clawsecrets.model.record import Record, retry_at
from clawsecrets.model.rotation import Rotation, State, Wait
from clawsecrets.model.schedule import Pace, Rule, Slot, due, past_hard_age, slot, unhindered
from clawsecrets.model.secret import paused

NEVER = math.inf
WAITS_FOR_WINDOW = "waits for its window"
"""Why it is not begun: none of its windows is open."""


class Act(StrEnum):
    """What is to be done with a secret."""

    BEGIN = "begin"
    """Begin a rotation now."""
    GO_ON = "go-on"
    """Go on with an unfinished rotation now."""
    ASK = "ask"
    """Its rotation waits for something that a person does elsewhere: look whether it has been done."""
    WAIT = "wait"
    """Nothing before `at`, or before what `why` says."""
    HELD = "held"
    """Nothing by itself: a person must act first."""
    NONE = "none"
    """It is never due by itself."""


@dataclass(frozen=True, slots=True)
class Need:
    """The decision for one secret."""

    secret: str
    act: Act
    why: str
    at: float = NEVER
    """When it is to be done, as far as the secret alone says (WAIT, BEGIN); Unix time."""
    due: float | None = None
    slot: Slot | None = None
    turn: bool = False
    """WAIT: it could begin now, but for others that go first; it is its turn within the stagger after them."""


@dataclass
class _Scene:
    """What the others do, as far as it matters for one that wants to begin."""

    now: float
    pace: Pace
    begun: float = -NEVER
    """The last beginning of any rotation."""
    providers: dict[str, list[float]] = field(default_factory=dict)
    """Beginnings, by provider."""
    groups: dict[str, list[tuple[str, float]]] = field(default_factory=dict)
    """By group: who was rotated, and when; NEVER = it is under way."""
    claims: dict[str, list[tuple[float, str, float, Rule]]] = field(default_factory=dict)
    """By group: since when somebody is due, who, when it can begin, its rule."""
    moving: set[str] = field(default_factory=set)
    """Those that are under way by themselves, or whose turn it is in this opening."""


def needs(records: Iterable[Record], rules: Mapping[str, Rule], pace: Pace, now: float) -> list[Need]:
    """The decisions for all, those first that are to be done first."""
    every = [(record, rules[record.secret.name]) for record in records if record.secret.name in rules]
    scene, alone = _scene(every, pace, now), {}
    for record, rule in every:
        alone[record.secret.name] = need = _alone(record, rule, pace, now)
        _claim(record, rule, need, scene)
        if need.act is Act.GO_ON or (need.act is Act.WAIT and record.rotating and not _in_grace(record)):
            scene.moving.add(record.secret.name)
    depth = _depths(rules)

    def order(item: tuple[Record, Rule]) -> tuple[bool, bool, int, float, str]:
        need = alone[item[0].secret.name]
        return (need.act is not Act.GO_ON, item[1].last, depth[need.secret],
                need.due if need.due is not None else NEVER, need.secret)

    return [_together(record, rule, alone[record.secret.name], scene) for record, rule in sorted(every, key=order)]


# --- one secret by itself ------------------------------------------------------------------------------------------


def _alone(record: Record, rule: Rule, pace: Pace, now: float) -> Need:
    name, current, rotation = record.secret.name, record.current, record.rotation
    when, rule = due(rule, record), unhindered(rule, record)
    if record.elsewhere:
        return Need(name, Act.NONE, f"kept in {record.elsewhere}")
    if record.reconcile:
        return Need(name, Act.HELD, "restored, not confirmed", due=when)
    if rotation is not None and not rotation.final:
        return _unfinished(name, rotation, when, now)
    if current is None or when is None:
        return Need(name, Act.NONE, "no value" if current is None else "never by age")
    if paused(record.secret, now) and not record.secret.paused_until:
        return Need(name, Act.HELD, f"paused: {record.secret.pause_reason}", due=when)
    if rotation is not None and rotation.failures >= pace.attempts:
        return Need(name, Act.HELD, f"stuck: {rotation.failures} rotations in a row failed", due=when)
    return _to_begin(record, rule, pace, when, now)


def _to_begin(record: Record, rule: Rule, pace: Pace, when: float, now: float) -> Need:
    name, rotation, again = record.secret.name, record.rotation, retry_at(record, pace.backoff)
    if rotation is not None and rotation.finished_at > now:
        again = 0.0  # the clock was put back: a failure that is still to come holds nothing
    urgent, pause = rule.outside and past_hard_age(record, rule, now), paused(record.secret, now)
    ready = max(when, again, record.secret.paused_until if pause else 0.0)
    place = slot(name, rule, when, ready, now, urgent=urgent)
    if place is None:
        return Need(name, Act.HELD, "no window opens within four years", due=when)
    if pause:
        return Need(name, Act.WAIT, f"paused: {record.secret.pause_reason}", place.begins, when, place)
    if place.begins <= now:
        return Need(name, Act.BEGIN, f"due since {format_duration(now - when)}", place.begins, when, place)
    why = "not due yet" if when > now else "its last rotation failed" if again > now else WAITS_FOR_WINDOW \
        if place.span.opens > now else "spread by its name"
    return Need(name, Act.WAIT, why, place.begins, when, place)


def _unfinished(name: str, rotation: Rotation, when: float | None, now: float) -> Need:
    if rotation.state is State.STUCK:
        return Need(name, Act.HELD, f"stuck: {rotation.note}", due=when)
    if not rotation.parked:
        return Need(name, Act.GO_ON, f"unfinished ({rotation.state.value})", now, when)
    if rotation.waits_for is Wait.PERSON:
        if rotation.state is State.AWAITING:
            return Need(name, Act.HELD, "waiting for the new value", due=when)
        return Need(name, Act.ASK, f"waiting for a person ({rotation.state.value})", now, when)
    if rotation.until <= now or rotation.entered_at > now:  # the latter: the clock was put back
        return Need(name, Act.GO_ON, f"unfinished ({rotation.state.value})", now, when)
    why = rotation.note if rotation.note.startswith(AWAITED) else f"unfinished ({rotation.state.value})"
    return Need(name, Act.WAIT, why, rotation.until, when)


def _in_grace(record: Record) -> bool:
    return record.rotation is not None and record.rotation.state is State.PROVEN


# --- among the others ----------------------------------------------------------------------------------------------


def _scene(every: Sequence[tuple[Record, Rule]], pace: Pace, now: float) -> _Scene:
    scene = _Scene(now, pace)
    for record, rule in every:
        rotation, group = record.rotation, record.secret.group
        if rotation is not None and rotation.started_at <= now:
            scene.begun = max(scene.begun, rotation.started_at)
            scene.providers.setdefault(rule.provider, []).append(rotation.started_at)
        if group:
            scene.groups.setdefault(group, []).append((record.secret.name, _touched(record)))
    return scene


def _claim(record: Record, rule: Rule, need: Need, scene: _Scene) -> None:
    """Whoever is due and can act by itself has a claim on its group's next opening; not one whose last try failed, or
    it would keep the others from theirs as long as it fails."""
    failed = record.rotation is not None and record.rotation.failures > 0
    if record.secret.group and need.act in (Act.BEGIN, Act.WAIT) and need.slot and need.due is not None \
            and need.due <= scene.now and not record.rotating and not rule.assisted and not failed:
        scene.claims.setdefault(record.secret.group, []).append((need.due, need.secret, need.slot.begins, rule))


def _touched(record: Record) -> float:
    """When the secret was last replaced; NEVER = it is being replaced. One that only waits for a person's new value has
    not begun to be."""
    rotation, current = record.rotation, record.current
    if rotation is not None and not rotation.final and rotation.state is not State.AWAITING:
        return NEVER
    return current.created_at if current is not None and current.origin == "rotation" else -NEVER


def _together(record: Record, rule: Rule, need: Need, scene: _Scene) -> Need:
    if need.act is not Act.BEGIN or need.slot is None:
        return need
    name, group, place = need.secret, record.secret.group, need.slot
    held = _held_by_group(name, group, place, scene) or _claimed(need, group, scene)
    if held is not None:
        return _held_back(need, *held)
    first = _before(name, rule, scene) if not place.missed else ""
    if first:
        scene.moving.add(name)
        return _held_back(need, f"{first} comes first", NEVER, turn=True)
    full = _full(rule, scene)
    if full > scene.now:
        scene.moving.add(name)
        return _held_back(need, f"{rule.provider}: at most so many at a time", full)
    scene.moving.add(name)
    if scene.begun + scene.pace.stagger > scene.now:
        return _held_back(need, "staggered", scene.begun + scene.pace.stagger, turn=True)
    scene.begun = scene.now
    scene.providers.setdefault(rule.provider, []).append(scene.now)
    if group:
        scene.groups[group].append((name, NEVER))
    return need


def _held_back(need: Need, why: str, at: float, *, turn: bool = False) -> Need:
    """The need of one that is due and must wait for others."""
    return Need(need.secret, Act.WAIT, why, at, need.due, need.slot, turn)


def _held_by_group(name: str, group: str, place: Slot, scene: _Scene) -> tuple[str, float] | None:
    """Why another of its group keeps it, and until when."""
    for other, touched in scene.groups.get(group, ()):
        if other == name or touched == -NEVER:
            continue
        if touched == NEVER:
            return f"{other} of its group {group} comes first", NEVER
        bounded = place.span.opens > -NEVER and place.span.closes < NEVER
        if bounded and touched >= place.span.opens and touched <= scene.now:
            return f"{other} of its group {group} was rotated in this window", place.span.closes
        apart = touched + scene.pace.group_apart
        if not bounded and touched <= scene.now < apart:
            return f"{other} of its group {group} was rotated {format_duration(scene.now - touched)} ago", apart
    return None


def _claimed(need: Need, group: str, scene: _Scene) -> tuple[str, float] | None:
    """Another of its group that has been due for longer, and can begin in this opening (or within the time that two of
    a group are kept apart): it goes first, or the one whose place in the window is the earliest would always go."""
    assert need.slot is not None and need.due is not None
    end = min(need.slot.span.closes, scene.now + scene.pace.group_apart)
    for since, other, begins, rule in sorted(scene.claims.get(group, ()), key=lambda claim: claim[:2]):
        if (since, other) >= (need.due, need.secret):
            break
        if begins < end and need.secret not in rule.after:
            return f"{other} of its group {group} comes first", begins if begins > scene.now else NEVER
    return None


def _before(name: str, rule: Rule, scene: _Scene) -> str:
    """Somebody who comes first and whose turn it is."""
    found = [other for other in rule.after if other in scene.moving]
    if rule.last:
        found += sorted(scene.moving - {name})
    return found[0] if found else ""


def _full(rule: Rule, scene: _Scene) -> float:
    """When the provider's limit leaves room for another; 0.0 = now."""
    limit = scene.pace.limits.get(rule.provider)
    if limit is None:
        return 0.0
    recent = sorted(at for at in scene.providers.get(rule.provider, ()) if at > scene.now - limit.period)
    return recent[-limit.count] + limit.period if len(recent) >= limit.count else 0.0


# --- the order -----------------------------------------------------------------------------------------------------


def _depths(rules: Mapping[str, Rule]) -> dict[str, int]:
    """How many stand before each, one after another; within a circle, which is refused elsewhere, any order."""
    found = {name: 0 for name in rules}
    followers: dict[str, list[str]] = {}
    waits = {name: sum(other in rules for other in rule.after) for name, rule in rules.items()}
    for name, rule in rules.items():
        for other in rule.after:
            followers.setdefault(other, []).append(name)
    ready = deque(name for name, count in waits.items() if not count)
    while ready:
        name = ready.popleft()
        for follower in followers.get(name, ()):
            found[follower] = max(found[follower], found[name] + 1)
            waits[follower] -= 1
            if not waits[follower]:
                ready.append(follower)
    return found


def circle(after: Mapping[str, Sequence[str]]) -> list[str]:
    """A circle in who comes before whom, as names in order, the first again at the end; empty when there is none."""
    done: set[str] = set()
    for start in after:
        path: list[str] = []
        stack: list[tuple[str, int]] = [(start, 0)]
        while stack:
            name, step = stack.pop()
            if step == 0:
                if name in path:
                    return [*path[path.index(name):], name]
                if name in done:
                    continue
                path.append(name)
            following = [other for other in after.get(name, ()) if other in after]
            if step < len(following):
                stack += [(name, step + 1), (following[step], 0)]
            else:
                path.pop()
                done.add(name)
    return []
