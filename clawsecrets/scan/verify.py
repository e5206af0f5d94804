"""`--verify`: who is asked whether a found value is live, how fast, how often, and where it is not done at all.

The asking itself is wiring/verifying.py's, which knows the provider files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from clawsecrets.errors import UsageError
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.value import SecretValue
from clawsecrets.ports import Clock, Reply
from clawsecrets.scan.mask import mask
from clawsecrets.scan.triage import Group

MOST = 100
"""Values that one scan asks about."""
PAUSE = 1.0
"""Seconds between two requests to one provider."""
PATIENCE = 180.0
"""Seconds after which no further value is asked about."""
_PULL = ("CI_MERGE_REQUEST_IID", "CI_EXTERNAL_PULL_REQUEST_IID", "CI_PULL_REQUEST", "CIRCLE_PULL_REQUEST",
         "TRAVIS_PULL_REQUEST", "BITBUCKET_PR_ID", "CHANGE_ID", "SYSTEM_PULLREQUEST_PULLREQUESTID",
         "BUILDKITE_PULL_REQUEST", "DRONE_PULL_REQUEST", "APPVEYOR_PULL_REQUEST_NUMBER", "CI_COMMIT_PULL_REQUEST",
         "SEMAPHORE_GIT_PR_NUMBER")
"""Variables that a CI service sets in the job of a pull request ("false" where it always sets them)."""
_EVENTS = {"GITHUB_EVENT_NAME": "pull_request", "CI_PIPELINE_SOURCE": "merge_request",
           "CI_PIPELINE_EVENT": "pull_request", "CODEBUILD_WEBHOOK_EVENT": "PULL_REQUEST", "BUILD_REASON":
           "PullRequest"}
"""Variables that name what started the job, and how the name of a pull request begins."""


class Answer(NamedTuple):
    """What is known of one value."""

    live: str
    """live, dead, unknown."""
    detail: str


class Asks(NamedTuple):
    """One provider, ready to be asked."""

    ask: Callable[[SecretValue], Reply]
    said: str
    """METHOD and URL without any value."""
    trouble: str = ""
    """Why it is not asked."""


def refuse_pull_request(environ: Mapping[str, str], force: bool) -> None:
    """UsageError in the CI job of a pull request: whoever opens one could have values of his choice sent out, from
    an address of yours."""
    if not force and (variable := pull_request(environ)):
        raise UsageError(f"--verify is not done in the job of a pull request ({variable} says that this is one)",
                         "verify on the branch that it is merged into; --force-verify does it here")


def pull_request(environ: Mapping[str, str]) -> str:
    """The variable that says that this is the job of a pull request; empty when none does."""
    for name, begin in _EVENTS.items():
        if environ.get(name, "").startswith(begin) or environ.get(name) == "external_pull_request_event":
            return name
    return next((name for name in _PULL if environ.get(name, "").lower() not in ("", "false", "0")), "")


def verify(groups: Iterable[Group], provider: Callable[[Group], Asks | None], say: Callable[[str], None],
           clock: Clock) -> None:
    """Ask about each value once, and note the answer in its groups. `provider`: who can be asked about a group. `say`
    hears what is sent where before it is."""
    asked: dict[tuple[str, bytes], list[Group]] = {}
    who: dict[str, Asks] = {}
    for group in groups:
        found = provider(group)
        if found is not None:
            who[group.rule.provider] = found
            asked.setdefault((group.rule.provider, group.secret.reveal()), []).append(group)
    turns = _in_turns(list(asked))
    chosen, left = turns[:MOST], turns[MOST:]
    _tell(chosen, asked, who, say)
    for key in left:
        _note(asked[key], Answer("unknown", f"not asked: more than {MOST} values"))
    if left:
        say(f"{len(left)} more values are not asked about: a scan asks about {MOST} at most")
    began, last = clock.now(), dict[str, float]()
    for key in chosen:
        code = key[0]
        if who[code].trouble:
            _note(asked[key], Answer("unknown", who[code].trouble))
            continue
        wait = last.get(code, float("-inf")) + PAUSE - clock.now()
        if clock.now() - began + max(0.0, wait) > PATIENCE:
            _note(asked[key], Answer("unknown", f"not asked: {PATIENCE:.0f} seconds were over"))
            continue
        if wait > 0:
            clock.sleep(wait)
        reply = who[code].ask(asked[key][0].secret)
        last[code] = clock.now()
        _note(asked[key], answer(reply, key[1]))


def answer(reply: Reply, value: bytes) -> Answer:
    """What a reply means, without the value."""
    detail = f"{reply.detail}; it is {reply.identity}" if reply.identity else reply.detail
    text = value.decode("utf-8", "replace")
    if text in detail:
        detail = reply.detail if text not in reply.detail else "the answer repeats the value"
    if reply.untestable:
        return Answer("unknown", detail)
    return Answer({Outcome.OK: "live", Outcome.REFUSED: "dead"}.get(reply.outcome, "unknown"), detail)


def _in_turns(keys: Sequence[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """One of each provider, then the second of each: so that the pauses cost least."""
    place: dict[str, int] = {}
    ranked = []
    for number, key in enumerate(keys):
        place[key[0]] = place.get(key[0], 0) + 1
        ranked.append((place[key[0]], number, key))
    return [key for *_, key in sorted(ranked, key=lambda item: item[:2])]


def _tell(keys: Sequence[tuple[str, bytes]], asked: Mapping[tuple[str, bytes], Sequence[Group]],
          who: Mapping[str, Asks], say: Callable[[str], None]) -> None:
    for key in keys:
        found, group = who[key[0]], asked[key][0]
        masked = mask(key[1], group.prefix)
        say(f"{masked} ({group.rule.name}) is not asked about: {found.trouble}" if found.trouble
            else f"{masked} ({group.rule.name}) is sent to its provider: {found.said}")


def _note(groups: Sequence[Group], found: Answer) -> None:
    for group in groups:
        group.live, group.live_detail = found
