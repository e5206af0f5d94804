"""A provider that mints and revokes keys and serves models and embeddings with them, in one server with one log.

    with Models() as models:
        models.log    # [Asked("embeddings", "acme-1", 200), Asked("revoke", "acme-1", 204), ...] in the order they came

Keys are those of style acme (tests/fake_provider.py). Not a test file: tests import it.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.fake_provider import Answer, FakeProvider, Handler

SERVED = {"/v1/embeddings": "embeddings", "/v1/chat/completions": "chat"}


class Asked(NamedTuple):
    """One request. `key`: the handle of the key that it used, or that it revoked; empty: none that was ever made."""

    what: str
    key: str
    status: int


class Models(FakeProvider):
    """Answers every text with one vector, and every question with one word."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[Asked] = []
        self.server.RequestHandlerClass = type("BoundModels", (_Models,), {"bank": self.bank, "log": self.log})

    def used(self, key: str, *kinds: str, since: int = 0) -> Sequence[Asked]:
        """Requests of a gateway with this key from the log's entry `since` on."""
        return [one for one in self.log[since:] if one.key == key and one.what in (kinds or SERVED.values())]

    def revoked(self) -> list[str]:
        """Keys that were revoked, in that order."""
        return [one.key for one in self.log if one.what == "revoke"]

    def too_late(self) -> list[Asked]:
        """Requests of a gateway with a key that had been revoked."""
        gone: set[str] = set()
        late = []
        for one in self.log:
            if one.what == "revoke":
                gone.add(one.key)
            elif one.key in gone:
                late.append(one)
        return late


class _Models(Handler):
    log: list[Asked]

    def handle_any(self) -> None:
        path = urllib.parse.urlsplit(self.path).path
        if what := SERVED.get(path):
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            self._serve(what, body)
            return
        if self.command == "DELETE":
            # before it is ended: whoever still uses it then is told as one that came too late
            self.log.append(Asked("revoke", path.rsplit("/", 1)[1], 204))
        super().handle_any()

    def _serve(self, what: str, body: dict[str, Any]) -> None:
        with self.bank.lock:
            owner = next((item for item in self.bank.credentials if item.value == self.bearer()), None)
            status = 200 if owner is not None and owner.alive else 401
            self.log.append(Asked(what, owner.handle if owner is not None else "", status))
        if status == 401:
            return self.answer(Answer.of(401, {"error": {"message": "Incorrect API key provided"}}))
        if what == "embeddings":
            return self.answer(Answer.of(200, _vectors(body)))
        if body.get("stream"):
            chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            parts = [{"index": 0, "delta": {"role": "assistant", "content": "well"}, "finish_reason": None},
                     {"index": 0, "delta": {}, "finish_reason": "stop"}]
            text = "".join(f"data: {json.dumps({**chunk, 'choices': [part]})}\n\n" for part in parts)
            return self.answer(Answer(200, (text + "data: [DONE]\n\n").encode(), {"Content-Type": "text/event-stream"}))
        choice = {"index": 0, "message": {"role": "assistant", "content": "well"}, "finish_reason": "stop"}
        return self.answer(Answer.of(200, {"id": "c", "object": "chat.completion", "created": 1, "model": "m",
                                           "choices": [choice]}))


def _vectors(body: dict[str, Any]) -> dict[str, Any]:
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    data = [{"object": "embedding", "index": number, "embedding": [0.1, 0.2, 0.3, 0.4]} for number in range(len(texts))]
    return {"object": "list", "model": body["model"], "data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}}
