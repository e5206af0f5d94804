"""Puts values into a request's placeholders. One pass: what a value holds is never expanded again.

In a path a value is percent-encoded and may not be a dot segment; in a query and a form it is encoded as usual; in
JSON it is plain text, and a member that is exactly one placeholder of a list or number option becomes that.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlencode

from clawsecrets.model.provider import PLACEHOLDER, SECRETS, Provider, Shape

Word = str | int | float | list[str]
_LEFT_OUT = object()


class Unfit(ValueError):
    """A value cannot stand where it is needed. The message names the placeholder, never the value."""


def no_base(provider: Provider) -> str:
    """That nothing says where the provider is, and where that is said: in the configuration, never in an option."""
    example = f"{provider.protocol or 'https'}://HOST[:PORT]{'/DATABASE' if provider.protocol else ''}"
    return (f"base_url is not set: say where its server is by base_url = \"{example}\" under "
            f"[providers.{provider.code}] in the configuration")


def fill(shape: Shape, base: str, words: Mapping[str, Word]) -> tuple[str, dict[str, str], bytes | None]:
    """URL, headers and body of the request. `words` must hold every name that is not an unset optional option."""
    query = {name: _text(text, words) for name, text in shape.query.items()}
    headers = {name: _text(text, words) for name, text in shape.headers.items()}
    form = None if shape.form is None else {name: _text(text, words) for name, text in shape.form.items()}
    form = _authenticate(shape, words, query, headers, form)
    body: bytes | None = None
    if form is not None:
        body = urlencode(form).encode()
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    elif shape.json is not None:
        body = json.dumps(_json(shape.json, words), ensure_ascii=False).encode()
        headers["Content-Type"] = "application/json"
    _check_headers(shape, headers)
    url = base.rstrip("/") + _path(shape.path, words)
    return url + ("?" + urlencode(query) if query else ""), headers, body


def sketch(text: str, words: Mapping[str, Word]) -> str:
    """The text for people: placeholders of secrets and of unknown things stay as they are written."""
    shown = {name: word for name, word in words.items() if name not in SECRETS}
    return PLACEHOLDER.sub(lambda m: _word(shown[m[1]]) if m[1] in shown else m[0], text)


def _authenticate(shape: Shape, words: Mapping[str, Word], query: dict[str, str], headers: dict[str, str],
                  form: dict[str, str] | None) -> dict[str, str] | None:
    if shape.auth in ("none", "path"):
        return form
    secret = _word(words[shape.credential.placeholder])
    kind, _, name = shape.auth.partition(":")
    if kind == "bearer":
        headers["Authorization"] = f"Bearer {secret}"
    elif kind == "scheme":
        headers["Authorization"] = f"{name} {secret}"
    elif kind == "basic":
        headers["Authorization"] = "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()
    elif kind == "header":
        headers[name] = secret
    elif kind == "query":
        query[name] = secret
    else:
        return {**(form or {}), name: secret}
    return form


def _check_headers(shape: Shape, headers: Mapping[str, str]) -> None:
    for name, text in headers.items():
        if not (text.isascii() and text.isprintable()):
            raise Unfit(f"the text for header {name} of {shape.method} {shape.path} holds characters that no header "
                        "can carry")


def _word(word: Word) -> str:
    return ",".join(word) if isinstance(word, list) else str(word)


def _text(text: str, words: Mapping[str, Word]) -> str:
    return PLACEHOLDER.sub(lambda m: _word(words[m[1]]) if m[1] in words else "", text)


def _path(path: str, words: Mapping[str, Word]) -> str:
    encode: Callable[[str], str] = lambda text: quote(text, safe=":@")  # noqa: E731
    filled = PLACEHOLDER.sub(lambda m: encode(_word(words[m[1]])), path)
    if any(segment in (".", "..") for segment in filled.split("/")):
        raise Unfit(f"a value for path {path} would make it another path")
    return filled


def _json(node: object, words: Mapping[str, Word]) -> object:
    """The document with placeholders filled; members of unset optional options are left out."""
    if isinstance(node, str):
        whole = PLACEHOLDER.fullmatch(node)
        if whole:
            return words.get(whole[1], _LEFT_OUT)
        return _text(node, words)
    if isinstance(node, Mapping):
        filled = {key: _json(item, words) for key, item in node.items()}
        return {key: item for key, item in filled.items() if item is not _LEFT_OUT}
    if isinstance(node, list):
        items = [_json(item, words) for item in node]
        return [item for item in items if item is not _LEFT_OUT]
    return node
