"""Provider files: TOML to Provider, with faults that name file, table and key, and the nearest spelling.

The file's name is its code. Files are read when somebody asks for that provider, not before: most commands need few.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from clawsecrets.data import data_path, read_regular
from clawsecrets.errors import ConfigError, NotFound
from clawsecrets.issuers.reading import Reader
from clawsecrets.issuers.soundness import faults
from clawsecrets.model.policy import format_duration, parse_duration
from clawsecrets.model.provider import (
    CONSUMERS,
    OPERATIONS,
    PROTOCOLS,
    Answer,
    Condition,
    Credential,
    Detect,
    Local,
    Lost,
    Manual,
    Operation,
    Option,
    Paging,
    Provider,
    Shape,
)
from clawsecrets.model.secret import Kind
from clawsecrets.model.strategies import STRATEGIES

MOST = 1 << 20
"""Bytes. A larger file is no provider file."""
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "LIST")
AUTH = ("none", "bearer", "path")
AUTH_WITH_WORD = ("scheme", "header", "basic", "query", "form")


class ProviderFiles(Mapping[str, Provider]):
    """Every provider file by code, read on demand. A later folder's file replaces one of the same code."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._files: dict[str, Path] = {}
        for folder in folders:
            self._files |= {path.stem: path for path in sorted(folder.glob("*.toml"))}
        self._loaded: dict[str, Provider] = {}
        self._texts: dict[str, bytes] = {}

    def __getitem__(self, code: str) -> Provider:
        if code not in self._loaded:
            self._loaded[code] = load_file(self._files[code])
        return self._loaded[code]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._files))

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, code: object) -> bool:
        return code in self._files

    def has_admin(self, name: str) -> bool:
        """Whether any file says that the secret of this name is its admin credential. Only files that hold the name
        are parsed."""
        found = (code for code in self._files if name.encode() in self._text(code))
        return any(self[code].admin == name for code in found)

    def page(self, code: str) -> str:
        """Where its credentials are kept ([manual] url), without a look at the rest of the file, if that can be
        said."""
        if code not in self._loaded:
            try:
                manual = tomllib.loads(self._text(code).decode()).get("manual")
            except ValueError:
                return self[code].manual.url
            if isinstance(manual, dict) and isinstance(url := manual.get("url"), str):
                return url
        return self[code].manual.url

    def _text(self, code: str) -> bytes:
        if code not in self._texts:
            try:
                self._texts[code] = read_regular(self._files[code], MOST)
            except OSError as error:
                fault = f"{self._files[code]}: cannot be read: {error.strerror}"
                raise ConfigError(fault, "it must be a file that you may read") from None
        return self._texts[code]

    def path(self, code: str) -> Path:
        """The file of a provider; NotFound if there is none."""
        if code not in self._files:
            raise NotFound(f"there is no provider {code!r}", "`clawsecrets providers` lists them")
        return self._files[code]


def load_providers(extra_dirs: Iterable[Path] = ()) -> ProviderFiles:
    """The shipped providers, and those of further folders, which win. ConfigError for a folder that is not there."""
    folders = [data_path("providers"), *extra_dirs]
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"{folder}: is not a folder of provider files", "mend providers_dirs in the config file")
    return ProviderFiles(folders)


def load_file(path: Path) -> Provider:
    """The provider of one file. ConfigError names file, table and key of the first fault, and counts the others."""
    provider, found = _read(path)
    if provider is None or found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise ConfigError(f"{path.name}: {found[0]}{more}", f"`clawsecrets providers check {path}` lists every fault")
    return provider


def check_file(path: Path) -> list[str]:
    """Every fault of one file as a line `file: [table]: key …`; empty when it is sound."""
    return [f"{path.name}: {line}" for line in _read(path)[1]]


def _read(path: Path) -> tuple[Provider | None, list[str]]:
    found: list[str] = []
    try:
        table = _table(read_regular(path, MOST).decode())
        provider = _provider(Reader(table, found), path.stem)
        return provider, found or faults(provider)
    except OSError as error:
        fault = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        fault = "is not UTF-8 text"
    except tomllib.TOMLDecodeError as error:
        fault = f"is not TOML: {error}"
    except RecursionError:
        fault = "is nested too deeply"
    except _TooLong:
        fault = "holds a number that is too long"
    return None, [fault]


class _TooLong(Exception):
    """More digits than Python reads."""


def _table(text: str) -> Mapping[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:  # of int()
        raise _TooLong from None


def _provider(top: Reader, stem: str) -> Provider:
    code = top.text("code", need=True)
    if code != stem:
        top.fault(f"key 'code': {code!r} must be the file's name, {stem!r}")
    strategy = top.text("strategy", need=True)
    if strategy:
        strategy = top.text("strategy", among=STRATEGIES)
    admin = top.child("admin")
    provider = Provider(
        code=code,
        name=top.text("name", need=True),
        kind=Kind(top.text("kind", "other", need=True, among=[kind.value for kind in Kind])),
        docs=top.text("docs", need=True),
        strategy=strategy,
        interval=top.check("interval", parse_duration, 90 * 86400.0),
        shortest=top.check("shortest", parse_duration, 0.0),
        manual=_manual(top.child("manual", need=True)),
        host=top.text("host").rstrip("/"),
        env=top.texts("env"),
        env_older=top.texts("env_older"),
        fallback_strategy=top.text("fallback_strategy"),
        admin=admin.text("secret", need=True) if admin else "",
        opens=top.text("opens", among=CONSUMERS),
        note=top.text("note"),
        handle_pattern=top.text("handle_pattern"),
        lifetime=top.check("lifetime", parse_duration, 0.0),
        options=_options(top.child("options")),
        operations={name: _operation(child, name) for name in OPERATIONS if (child := top.child(name))},
        local=_local(top.child("local")),
        protocol=top.text("protocol", among=PROTOCOLS),
        slots=top.mapping("slots"),
        detect=tuple(_detect(child) for child in top.children("detect")),
    )
    if admin:
        admin.done()
    top.done()
    return provider


def _manual(reader: Reader | None) -> Manual:
    if reader is None:
        return Manual("", ())
    manual = Manual(reader.text("url", need=True), reader.texts("steps", need=True), reader.texts("revoke_steps"),
                    reader.flag("kills_old"), reader.texts("reauthorize"))
    reader.done()
    return manual


def _local(reader: Reader | None) -> Local | None:
    if reader is None:
        return None
    size = reader.number("bytes", 32)
    if not 16 <= size <= 512:
        reader.fault("key 'bytes' must be 16 to 512")
    local = Local(size, reader.text("encoding", "base64url", among=("base64url", "hex")), reader.text("prefix"))
    reader.done()
    return local


def _options(reader: Reader | None) -> dict[str, Option]:
    found: dict[str, Option] = {}
    for name in reader.table if reader else ():
        child = reader.child(name) if reader else None
        if child is not None:
            found[name] = Option(child.text("about", need=True), child.text("default") or None, child.flag("optional"),
                                 child.text("type", "text", among=("text", "number", "list")))
            child.done()
    return found


def _detect(reader: Reader) -> Detect:
    rule = Detect(reader.text("id", need=True), reader.text("pattern", need=True), reader.texts("examples", need=True),
                  reader.texts("negative"), reader.text("confidence", "high"), reader.real("entropy", 0.0),
                  reader.text("name"), reader.texts("near"), reader.text("checksum"))
    reader.done()
    return rule


def _operation(reader: Reader, name: str) -> Operation:
    request = reader.child("request", need=True)
    each = reader.child("each") if name == "list" else None
    paging = reader.anything("paging") if name == "list" else "none"
    if name == "list" and paging is None:
        reader.fault("key 'paging' is missing: \"none\" if everything stands in one answer")
    operation = Operation(
        request=_shape(request) if request else Shape("GET", "/"),
        ok=_answers(reader, "ok"),
        refused=_answers(reader, "refused"),
        later=_answers(reader, "later"),
        unknown=_answers(reader, "unknown"),
        paging=_paging(reader.child("paging")) if isinstance(paging, dict) else Paging(),
        each=_operation(each, "each") if each else None,
        lost=_lost(reader) if name == "refresh" else Lost.REAUTHORIZE,
    )
    if isinstance(paging, str) and paging != "none":
        reader.fault("key 'paging' must be \"none\" or a table")
    reader.done()
    return operation


def _lost(reader: Reader) -> Lost:
    return Lost(reader.text("lost", Lost.REAUTHORIZE.value, need=True, among=[lost.value for lost in Lost]))


def _paging(reader: Reader | None) -> Paging:
    if reader is None:
        return Paging()
    paging = Paging(reader.text("next"), reader.text("query"), reader.text("more"), reader.text("offset"),
                    reader.text("page"), reader.number("first", 1), reader.number("limit", 0))
    if bool(paging.next) != bool(paging.query) or sum(map(bool, (paging.next, paging.offset, paging.page,
                                                                 paging.limit))) != 1:
        reader.fault("needs exactly one of: next with query, offset, page, limit")
    reader.done()
    return paging


def _shape(reader: Reader) -> Shape:
    auth = reader.text("auth", "none")
    word, _, rest = auth.partition(":")
    if not (auth in AUTH or (word in AUTH_WITH_WORD and rest and rest.isprintable() and " " not in rest)):
        reader.fault(f"key 'auth': {auth!r} must be one of {', '.join(AUTH)}, "
                     + ", ".join(f"{w}:NAME" for w in AUTH_WITH_WORD))
    shape = Shape(
        method=reader.text("method", "GET", need=True, among=METHODS),
        path=reader.text("path", "/", need=True),
        query=reader.mapping("query"),
        headers=reader.mapping("headers"),
        auth=auth,
        credential=Credential(reader.text("credential", "admin", among=[item.value for item in Credential],
                                          need=auth != "none")),
        json=reader.anything("json"),
        form=reader.mapping("form") if reader.has("form") else None,
        host=reader.text("host").rstrip("/"),
    )
    reader.done()
    return shape


def _answers(reader: Reader, key: str) -> tuple[Answer, ...]:
    return tuple(_answer(child) for child in reader.children(key))


def _answer(reader: Reader) -> Answer:
    answer = Answer(
        status=reader.numbers("status", need=True),
        where=tuple(_condition(child) for child in reader.children("where")),
        value=reader.text("value"),
        handle=reader.text("handle"),
        identity=reader.text("identity"),
        expires=reader.text("expires"),
        expires_in=reader.text("expires_in"),
        refresh=reader.text("refresh"),
        items=reader.text("items") if reader.has("items") else None,
        label=reader.text("label"),
    )
    for key in ("value", "handle", "identity", "expires", "expires_in", "refresh", "items", "label"):
        _pointer(reader, key)
    reader.done()
    return answer


def _condition(reader: Reader) -> Condition:
    _pointer(reader, "at")
    tests = [key for key in ("equals", "one_of", "present", "matches", "contains") if reader.has(key)]
    if len(tests) != 1:
        reader.fault("needs exactly one of equals, one_of, present, matches, contains")
    one_of = reader.anything("one_of")
    condition = Condition(reader.text("at"), reader.anything("equals"),
                          tuple(one_of) if isinstance(one_of, list) else (),
                          reader.flag("present") if reader.has("present") else None,
                          reader.text("matches"), reader.text("contains"))
    reader.done()
    return condition


def _pointer(reader: Reader, key: str) -> None:
    text = reader.table.get(key, "")
    if isinstance(text, str) and text and not text.startswith("/"):
        reader.fault(f"key {key!r}: {text!r} is not a JSON pointer (it must begin with /)")


def explain(provider: Provider) -> list[str]:
    """The file in plain words, one line each: what it is, how it rotates, what is called, what a person does."""
    lines = [
        f"{provider.name} ({provider.code}).",
        f"Kind: {provider.kind.value}, due every {format_duration(provider.interval)}" +
        (", and well before it ends by itself." if provider.strategy == "refresh" else "."),
        f"Strategy: {_STRATEGY_WORDS[provider.strategy]}",
    ]
    if provider.fallback_strategy:
        lines.append("Without the admin credential or a needed option, a person makes the new one (assisted).")
    if provider.env:
        older = f" (in older guides also {', '.join(provider.env_older)})" if provider.env_older else ""
        lines.append(f"Environment: {', '.join(provider.env)}{older}.")
    if provider.admin:
        lines.append(f"Admin credential: the secret {provider.admin!r} in the store.")
    lines += [f"Option {name}: {item.about}{_option_words(item)}" for name, item in provider.options.items()]
    for name, operation in provider.operations.items():
        shape = operation.request
        who = "without authentication" if shape.auth == "none" else f"as {shape.credential.value}"
        base = shape.host or provider.host or "base_url"
        lines.append(f"To {name}: {shape.method} {base}{shape.path}, {who}.")
    refresh = provider.operation("refresh")
    if refresh is not None:
        lines.append(f"When its answer is lost: {_LOST_WORDS[refresh.lost]}")
    if "test" not in provider.operations:
        lines.append("It cannot be tested at the provider: the consumers are the only proof.")
    lines += [f"By hand: {provider.manual.url}", *(f"  {n}. {s}" for n, s in enumerate(provider.manual.steps, 1))]
    if provider.manual.reauthorize:
        lines += ["To authorize anew:", *(f"  {n}. {s}" for n, s in enumerate(provider.manual.reauthorize, 1))]
    if provider.manual.kills_old:
        lines.append("Careful: making the new one by hand ends the old one at once.")
    return lines + ([f"Note: {provider.note}"] if provider.note else []) + [f"Documentation: {provider.docs}"]


_STRATEGY_WORDS = {
    "overlap": "overlap: the new credential is made and proven before the old one is revoked.",
    "alternate": "alternate: of two fixed slots the idle one gets a new value; when that is proven, the other ends.",
    "cut-over": "cut-over: making the new credential ends the old one; the gap is as long as the delivery.",
    "refresh": "refresh: a refresh token yields the next one and the next refresh token, before the current one ends.",
    "self-issued": "self-issued: we make a random value, and its consumer is who accepts it.",
    "assisted": "assisted: a person makes the new credential, the rest is done for them.",
}


_LOST_WORDS = {
    Lost.USE_AGAIN: "the refresh token is used once more, which this provider allows.",
    Lost.ASK_OLD: "the refresh token is used once more only where the old value is still accepted, so that it was not "
                  "spent; else a person authorizes anew.",
    Lost.REAUTHORIZE: "the refresh token is not used again, a person authorizes anew.",
}


def _option_words(option: Option) -> str:
    if option.default is not None:
        return f" (default {option.default!r})."
    return " (optional)." if option.optional else " (needed)."
