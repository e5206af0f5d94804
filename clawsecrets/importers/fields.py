"""OpenClaw's credential fields and variables, from config/openclaw-fields.toml (generated)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clawsecrets.data import data_path

SETTING = "setting"
"""Kind of a variable that is no secret."""
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One pattern of a config path; `*` stands for any key or index."""

    parts: tuple[str, ...]
    env: tuple[str, ...]
    kind: str
    provider: str = ""
    public: bool = False
    """A certificate or host key: no credential."""
    store: bool = False
    """In auth-profiles.json, not in openclaw.json."""
    text: bool = False
    """It must be text: OpenClaw takes no SecretRef there."""

    @property
    def open(self) -> bool:
        """The last key is the user's own (a header, a variable): it may be no credential at all."""
        return self.parts[-1] == "*"

    def wild(self, path: Path) -> list[str]:
        """What stands in `path` for each `*`, in order."""
        return [str(part) for pattern, part in zip(self.parts, path, strict=True) if pattern == "*"]


@dataclass(frozen=True, slots=True)
class Fields:
    """All of it, indexed."""

    fields: Mapping[tuple[str, int], Sequence[Field]]
    pointers: Mapping[tuple[str, int], Sequence[Field]]
    models: Mapping[str, tuple[str, ...]]
    """Variables by OpenClaw's id of a model provider."""
    variables: Mapping[str, str]
    """Kind of each variable that OpenClaw reads."""

    def at(self, path: Path) -> Field | None:
        """The credential field at `path`."""
        return _find(self.fields, path)

    def points(self, path: Path) -> bool:
        """Whether the field at `path` names a file that holds a credential."""
        return _find(self.pointers, path) is not None


def _find(index: Mapping[tuple[str, int], Sequence[Field]], path: Path) -> Field | None:
    """Literal keys go before `*`, for patterns are sorted that way."""
    if not path:
        return None
    for field in index.get((str(path[0]), len(path)), ()):
        if all(want == "*" or want == part for want, part in zip(field.parts, path, strict=True)):
            return field
    return None


def load_fields() -> Fields:
    """The table that ships with clawsecrets."""
    data = tomllib.loads((data_path("config") / "openclaw-fields.toml").read_text())
    known = [
        Field(
            tuple(one["path"].split(".")),
            tuple(one.get("env", ())),
            one["kind"],
            one.get("provider", ""),
            one.get("public", False),
            one.get("store", False),
            one.get("text", False),
        )
        for one in data["fields"]
    ]
    pointers = [Field(tuple(path.split(".")), (), "") for path in data["pointers"]]
    models = {name: tuple(env) for name, env in data["models"].items()}
    return Fields(_index(known), _index(pointers), models, data["variables"])


def _index(fields: Sequence[Field]) -> Mapping[tuple[str, int], Sequence[Field]]:
    index: dict[tuple[str, int], list[Field]] = {}
    for field in sorted(fields, key=lambda one: (one.parts.count("*"), one.parts)):
        index.setdefault((field.parts[0], len(field.parts)), []).append(field)
    return index
