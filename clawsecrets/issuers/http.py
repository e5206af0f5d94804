"""Executes a provider file over HTTP.

- `create` is sent at most once per call; nothing is retried here (the engine does that, where a step is idempotent).
- A lost answer is UNKNOWN where the provider may have acted, LATER where the request cannot have reached it or where
  the operation only reads.
- No value, admin credential or body of an answer gets into a Reply's `detail`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from clawsecrets.issuers.fill import Unfit, Word, fill, no_base, sketch
from clawsecrets.issuers.judge import Verdict, judge, moment, point
from clawsecrets.model.provider import PLACEHOLDER, Answer, Operation, Paging, Provider, Shape, url_fault
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Issuer, Listed, Reply, Request

if TYPE_CHECKING:
    from clawsecrets.clients.http import Limits

MAX_PAGES = 200
MAX_EACH = 1000
ENDS_OLD = "; that ends the old one at once"
"""Of a creation, for people: said by the issuer, who knows, in the description of the call."""
_READS = frozenset({"login", "test", "list", "recover"})
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""What an option that stands in a host may be: one label of a name."""
_TOKEN_LASTS = 300.0
"""Seconds that what a login yields is used for, where its answer does not say how long it lives."""


class HttpIssuer:
    """The issuer of a provider with an API (strategies overlap and cut-over)."""

    def __init__(self, provider: Provider, limits: Limits | None = None,
                 clock: Callable[[], float] = time.time, *, public_only: bool = False) -> None:
        self.provider, self._limits, self._clock, self._public_only = provider, limits, clock, public_only
        self._token, self._token_ends = "", 0.0

    def can(self, operation: str) -> bool:
        """Whether the file declares that operation."""
        return self.provider.operation(operation) is not None

    def create(self, request: Request) -> Reply:
        """A new credential. REFUSED before anything is sent when the admin credential or an option is missing."""
        operation = self.provider.operation("create")
        if operation is None:
            return Reply(Outcome.REFUSED, f"{self.provider.code} cannot create a credential by itself")
        words = self._words(request, handle=request.old_handle or self._handle_of(request.old))
        trouble = self._trouble(operation.request, request, words)
        if trouble:
            return Reply(Outcome.REFUSED, trouble)
        if not all(answer.value for answer in operation.ok):  # it says nothing of the value: that is read
            return self._read_after(operation, request, words)
        return self.with_handle(self._valued("create", operation, request, words), request)

    def recover(self, request: Request) -> Reply:
        """Read back what a lost create made, where the file declares it."""
        operation = self.provider.operation("recover")
        if operation is None:
            return Reply(Outcome.REFUSED, f"{self.provider.code} has no way to read a value back")
        words = self._words(request, handle=request.old_handle or self._handle_of(request.old))
        trouble = self._trouble(operation.request, request, words)
        if trouble:
            return Reply(Outcome.LATER, trouble, person=True)
        return self.with_handle(self._valued("recover", operation, request, words), request)

    def recreate(self, request: Request) -> Reply:
        """Create again although the old one is dead; REFUSED where the old one would authenticate it."""
        operation = self.provider.operation("create")
        if operation is not None and "old" in operation.request.names():
            return Reply(Outcome.REFUSED, f"{self.provider.code}: only the old credential could make a new one, "
                         "and it is dead")
        return self.create(request)

    def test(self, value: SecretValue, request: Request) -> Reply:
        """Ask the provider. Untestable when the file has no test."""
        operation = self.provider.operation("test")
        if operation is None:
            return Reply(Outcome.OK, f"{self.provider.code} has no way to test a value", untestable=True)
        words = self._words(request, value=value, handle=self._handle_of(value))
        trouble = self._trouble(operation.request, request, words)
        if trouble:
            return Reply(Outcome.LATER, f"cannot be tested: {trouble}", person=True)
        reply, _ = self._perform("test", operation, request, words)
        return replace(reply, handle=reply.handle or self._handle_of(value)) if reply.outcome is Outcome.OK else reply

    def revoke(self, handle: str, value: SecretValue | None, request: Request) -> Reply:
        """Kill one credential; where no API can (or its id is unknown), see whether a person did."""
        operation = self.provider.operation("revoke")
        if operation is None:
            return self._by_hand(value, request, f"{self.provider.code} has no way to revoke")
        words = self._words(request, value=value, handle=handle or self._handle_of(value))
        if "handle" in operation.request.names() and "handle" not in words and value is not None:
            seen = self.test(value, request)  # some providers tell the id of a credential to itself
            if seen.outcome is Outcome.REFUSED:
                return Reply(Outcome.OK, "the provider refuses it already")
            if seen.handle:
                words["handle"] = seen.handle
        trouble = self._trouble(operation.request, request, words)
        if trouble:
            return self._by_hand(value, request, trouble)
        return self._perform("revoke", operation, request, words)[0]

    def find(self, request: Request) -> tuple[Reply, Sequence[Listed]]:
        """Those with the label, over all pages. UNKNOWN when it is not sure that all were seen."""
        operation = self.provider.operation("list")
        if operation is None:
            return Reply(Outcome.REFUSED, f"{self.provider.code} cannot list credentials: look yourself for one named "
                         f"{request.label} and revoke it"), ()
        words = self._words(request)
        trouble = self._trouble(operation.request, request, words)
        if trouble:
            return Reply(Outcome.LATER, f"cannot be listed: {trouble}", person=True), ()
        found: list[Listed] = []
        reply = self._pages(operation, request, words, found)
        return reply, tuple(item for item in found if item.label == request.label) if reply.outcome is Outcome.OK \
            else ()

    def explain(self, request: Request) -> Sequence[str]:
        """Where to go and what to do, with the rotation's label filled in."""
        words = self._words(request)
        manual = self.provider.manual
        lines = [f"Open {sketch(manual.url, words)}", *(sketch(step, words) for step in manual.steps)]
        return (*lines, "Careful: this ends the old one at once.") if manual.kills_old else tuple(lines)

    def describe(self, operation: str, request: Request) -> str:
        """METHOD and URL with label, id and options filled in; values stay placeholders. Whether creating ends the old
        one, the provider says, whatever strategy is taken."""
        declared = self.provider.operation(operation)
        if declared is None:
            return f"{operation}: by hand, {self.provider.manual.url}"
        handle = request.old_handle or self._handle_of(request.old)
        words = self._words(request, handle=handle)
        base = self._base(declared.request, request) or "(base_url is not set)"
        ends = ENDS_OLD if operation == "create" and self.provider.strategy == "cut-over" else ""
        return f"{declared.request.method} {base}{sketch(declared.request.path, words)}{ends}"

    def with_handle(self, reply: Reply, request: Request) -> Reply:
        """The reply of a creation with the credential's id: from the value, or from the provider's list."""
        if reply.outcome is not Outcome.OK or reply.handle or reply.value is None:
            return reply
        handle = self._handle_of(reply.value)
        if not handle and request.admin is not None and self.can("list"):
            _, listed = self.find(request)
            handle = listed[0].handle if len(listed) == 1 else ""
        return replace(reply, handle=handle)

    def login(self, request: Request) -> Reply:
        """Exchange the admin credential for a token that lives shortly, and is then sent in its place. Changes nothing
        at the provider, so that a lost answer is LATER."""
        if self._token and self._clock() < self._token_ends:
            return Reply(Outcome.OK, value=SecretValue(self._token))
        operation = self.provider.operation("login")
        if operation is None:
            return Reply(Outcome.REFUSED, f"{self.provider.code} has no login")
        words = self._words(request)
        trouble = self._trouble(operation.request, request, words)
        if trouble:
            return Reply(Outcome.REFUSED, trouble)
        reply = self._valued("login", operation, request, words)
        if reply.outcome is Outcome.OK:
            self._token = _text(reply.value)
            left = max(0.0, reply.expires_at - self._clock() - 60.0) if reply.expires_at else _TOKEN_LASTS
            self._token_ends = self._clock() + min(left, _TOKEN_LASTS)
        return replace(reply, outcome=Outcome.LATER) if reply.outcome is Outcome.UNKNOWN else reply

    # --- inside ---------------------------------------------------------------------------------------------------

    def _words(self, request: Request, *, value: SecretValue | None = None, handle: str = "") -> dict[str, Word]:
        """What can be filled in now. Empty texts are not there: an empty id in a path would be another path."""
        words: dict[str, Word] = {"label": request.label, "handle": handle}
        for name, secret in (("value", value), ("old", request.old), ("admin", request.admin),
                             ("refresh", request.refresh)):
            words[name] = _text(secret)
        if self.provider.lifetime:
            ahead = datetime.fromtimestamp(self._clock() + self.provider.lifetime, UTC)
            words["expiry_date"] = ahead.date().isoformat()
        for name, option in self.provider.options.items():
            text = self.provider.option_text(name, request.options) or ""
            words[name] = _typed(option.type, text)
        return {name: word for name, word in words.items() if word not in ("", [])}

    def _handle_of(self, value: SecretValue | None) -> str:
        return self.provider.handle_of(_text(value)) if value is not None else ""

    def _base(self, shape: Shape, request: Request) -> str:
        own = PLACEHOLDER.sub(lambda m: self.provider.option_text(m[1], request.options) or "", shape.host)
        return request.options.get("base_url") or own or self.provider.host

    def _trouble(self, shape: Shape, request: Request, words: Mapping[str, Word]) -> str:
        """Why the request cannot be made at all, for people; empty when it can."""
        for name in PLACEHOLDER.findall(shape.host):
            if name in words and not _LABEL.fullmatch(str(words[name])):
                return f"option {name!r} must be one label of a host's name: a-z, 0-9 and -"
        base = self._base(shape, request)
        if not base:
            return no_base(self.provider)
        if url_fault(base):
            return f"base_url {url_fault(base)}"
        said = {
            "admin": f"the admin credential {self.provider.admin!r} is not in the store",
            "handle": "the provider's id of this credential is not known",
            "value": "its value is not known",
            "old": "there is no old value",
            "refresh": "there is no refresh token in the store",
        }
        for name in sorted(shape.names() - set(words)):
            option = self.provider.options.get(name)
            if option is None or not option.optional:
                return said.get(name, f"option {name!r} is not set")
        return ""

    def _valued(self, name: str, operation: Operation, request: Request, words: Mapping[str, Word]) -> Reply:
        """Perform an operation whose success must hold a value; one without is UNKNOWN."""
        reply, verdict = self._perform(name, operation, request, words)
        if reply.outcome is not Outcome.OK or verdict is None or verdict.answer is None:
            return reply
        text = verdict.text(verdict.answer.value)
        if not text or not text.replace("\n", "").isprintable():  # a certificate has several lines
            return Reply(Outcome.UNKNOWN, f"{reply.detail}, but without a value at {verdict.answer.value}")
        return replace(reply, value=SecretValue(text))

    def _read_after(self, operation: Operation, request: Request, words: Mapping[str, Word]) -> Reply:
        """Create, then read the value. What was made and cannot be read now is UNKNOWN: the old one is dead by it."""
        made, _ = self._perform("create", operation, request, words)
        if made.outcome is not Outcome.OK:
            return made
        read = self.recover(request)
        return read if read.outcome is Outcome.OK else replace(read, outcome=Outcome.UNKNOWN, person=False)

    def _perform(self, name: str, operation: Operation, request: Request,
                 words: Mapping[str, Word]) -> tuple[Reply, Verdict | None]:
        from clawsecrets.clients.http import Call, Lost, send  # requests is slow to import, most commands need none

        base = self._base(operation.request, request)
        if name != "login" and self.can("login") and "admin" in operation.request.names():
            entered = self.login(request)
            if entered.outcome is not Outcome.OK:  # which says nothing about the value that is tested
                lives = name == "test" and entered.outcome is Outcome.REFUSED
                return replace(entered, outcome=Outcome.LATER, person=True) if lives else entered, None
            words = {**words, "admin": _text(entered.value)}
        try:
            url, headers, body = fill(operation.request, base, words)
        except Unfit as unfit:
            unsent = {"create": Outcome.REFUSED, "refresh": Outcome.LATER}
            return Reply(unsent.get(name, Outcome.UNKNOWN), str(unfit)), None
        call = Call(operation.request.method, url, headers, body)
        answered = send(call, self._limits, request.options.get("ca_bundle", ""), public_only=self._public_only)
        where = f"{name} at {base}"
        if isinstance(answered, Lost):
            unsure = answered.sent and name not in _READS
            return Reply(Outcome.UNKNOWN if unsure else Outcome.LATER, f"{where}: {answered.why}"), None
        operation = _expecting(operation, words)
        verdict = judge(operation, answered.status, answered.headers, answered.body, reads=name in _READS)
        detail = f"{where}: HTTP {answered.status}" + ("" if verdict.declared else " with an undeclared answer")
        return _reply(verdict, detail, self._clock()), verdict

    def _by_hand(self, value: SecretValue | None, request: Request, why: str) -> Reply:
        """A revoke that only a person can do: it is done when the provider refuses the value."""
        steps = self.provider.manual.revoke_steps or ("revoke the old credential there",)
        ask = Reply(Outcome.LATER, f"{why}. Open {self.provider.manual.url}: {'; '.join(steps)}", person=True)
        if value is None or not self.can("test"):
            return ask
        seen = self.test(value, request)
        if seen.outcome is Outcome.REFUSED:
            return Reply(Outcome.OK, "the provider refuses it already")
        return ask if seen.outcome is Outcome.OK or seen.person else replace(seen, outcome=Outcome.LATER)

    def _pages(self, operation: Operation, request: Request, words: Mapping[str, Word],
               found: list[Listed]) -> Reply:
        """Walk the list into `found`; OK only when it is sure that all of it was seen."""
        cursors = [""]
        for number in range(MAX_PAGES):
            extra = _page_query(operation.paging, number, len(found), cursors[-1])
            shape = replace(operation.request, query={**operation.request.query, **extra})
            reply, verdict = self._perform("list", replace(operation, request=shape), request, words)
            if reply.outcome is not Outcome.OK or verdict is None or verdict.answer is None:
                return reply
            items = point(verdict.document, verdict.answer.items or "")
            if not isinstance(items, list):
                return Reply(Outcome.UNKNOWN, f"{reply.detail}, but without a list")
            trouble = self._take(operation, verdict, items, request, words, found)
            if trouble is not None:
                return trouble
            end = _end(operation.paging, verdict, len(items), cursors)
            if end is Outcome.OK:
                return reply
            if end is Outcome.UNKNOWN:
                return Reply(end, f"{reply.detail}: it is not sure that all of the list was seen")
        return Reply(Outcome.UNKNOWN, f"more than {MAX_PAGES} pages of credentials")

    def _take(self, operation: Operation, verdict: Verdict, items: Sequence[object], request: Request,
              words: Mapping[str, Word], found: list[Listed]) -> Reply | None:
        """Note the credentials of one page; a Reply when one of them cannot be looked at."""
        answer = verdict.answer
        for item in items if answer is not None else ():
            one = replace(verdict, document=item)
            handle = one.text(answer.handle) if answer is not None and answer.handle else _plain_id(item)
            label = one.text(answer.label) if answer is not None else ""
            if operation.each is not None and handle:
                if len(found) >= MAX_EACH:
                    return Reply(Outcome.UNKNOWN, f"more than {MAX_EACH} credentials to look at one by one")
                reply, seen = self._perform("list", operation.each, request, {**words, "handle": handle})
                if reply.outcome not in (Outcome.OK, Outcome.REFUSED):
                    return reply
                label = seen.text(seen.answer.label) if seen is not None and seen.answer is not None else ""
            found.append(Listed(handle, label))
        return None


def _expecting(operation: Operation, words: Mapping[str, Word]) -> Operation:
    """The operation with placeholders in what its answers' conditions are compared with."""
    def told(answer: Answer) -> Answer:
        return replace(answer, where=tuple(
            replace(item, equals=str(words.get(found[1], ""))) if isinstance(item.equals, str)
            and (found := PLACEHOLDER.fullmatch(item.equals)) else item for item in answer.where))

    return replace(operation, ok=tuple(told(answer) for answer in operation.ok))


def _page_query(paging: Paging, number: int, seen: int, cursor: str) -> dict[str, str]:
    """The query that asks for page `number` (from 0) after `seen` items."""
    if paging.offset:
        return {paging.offset: str(seen)}
    if paging.page:
        return {paging.page: str(paging.first + number)}
    return {paging.query: cursor} if cursor else {}


def _end(paging: Paging, verdict: Verdict, count: int, cursors: list[str]) -> Outcome | None:
    """OK: that was the last page. UNKNOWN: there may be more that cannot be asked for. None: go on."""
    if paging.limit:
        return Outcome.UNKNOWN if count >= paging.limit else Outcome.OK
    if paging.offset or paging.page:
        return None if count else Outcome.OK
    cursor = verdict.text(paging.next)
    if not cursor or (paging.more and point(verdict.document, paging.more) is not True):
        return Outcome.OK
    if cursor in cursors:
        return Outcome.UNKNOWN
    cursors.append(cursor)
    return None


def _plain_id(item: object) -> str:
    """The id where a list holds plain ids instead of objects."""
    return item if isinstance(item, str) else ""


def _reply(verdict: Verdict, detail: str, now: float) -> Reply:
    answer = verdict.answer
    if answer is None or verdict.outcome is not Outcome.OK:
        return Reply(verdict.outcome, detail, after=verdict.after if verdict.outcome is Outcome.LATER else 0.0)
    expires = moment(point(verdict.document, answer.expires)) if answer.expires else 0.0
    left = moment(point(verdict.document, answer.expires_in)) if answer.expires_in else 0.0
    return Reply(verdict.outcome, detail, handle=verdict.text(answer.handle), identity=verdict.text(answer.identity),
                 expires_at=expires or (now + left if left > 0 else 0.0))


def _text(secret: SecretValue | None) -> str:
    """The value as text; empty where it is none, so that it counts as not known."""
    if secret is None:
        return ""
    try:
        return secret.reveal_text()
    except ValueError:
        return ""


def _typed(kind: str, text: str) -> Word:
    if kind == "list":
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind == "number":
        try:
            return int(text)
        except ValueError:
            return ""
    return text


_issuer: type[Issuer] = HttpIssuer
