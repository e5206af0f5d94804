"""Name mappings: simple names map simply, every name maps back, and no two names share a target."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.errors import Refused
from clawsecrets.injectors import mapping
from clawsecrets.model.secret import SecretValue, valid_name
from clawsecrets.ports import Entry

NAMES = st.from_regex(r"[a-z0-9][a-z0-9._/-]{0,20}\Z").filter(valid_name)


@pytest.mark.parametrize(
    ("name", "variable", "file"),
    [
        ("anthropic-api-key", "ANTHROPIC_API_KEY", "anthropic-api-key"),
        ("acme/admin", "ACME__SADMIN", "acme+admin"),
        ("a.b_c", "A__DB__UC", "a.b_c"),
        ("a--b-", "A__H_B__H", "a--b-"),
        ("1password-token", "_1PASSWORD_TOKEN", "1password-token"),
        ("h", "H", "h"),
    ],
)
def test_the_documented_examples(name: str, variable: str, file: str) -> None:
    assert (mapping.env_name(name), mapping.file_name(name)) == (variable, file)


@given(NAMES)
def test_a_variable_is_valid_and_leads_back(name: str) -> None:
    variable = mapping.env_name(name)
    assert mapping.VARIABLE.match(variable) and variable.upper() == variable
    assert mapping.name_of_env(variable) == name


@given(NAMES)
def test_a_file_name_is_one_component_and_leads_back(name: str) -> None:
    file = mapping.file_name(name)
    assert "/" not in file and not file.startswith(".")
    assert mapping.name_of_file(file) == name


@given(st.from_regex(r"[A-Z_][A-Z0-9_]{0,12}\Z"))
def test_a_variable_that_is_no_image_has_no_name(variable: str) -> None:
    name = mapping.name_of_env(variable)
    assert name is None or mapping.env_name(name) == variable


@pytest.mark.parametrize("variable", ["A__X", "A_", "__SA", "a", "A__", "_A", ""])
def test_malformed_variables_have_no_name(variable: str) -> None:
    assert mapping.name_of_env(variable) is None


@pytest.mark.parametrize("file", ["a/b", ".a", "+a", "a+", "A", ""])
def test_malformed_files_have_no_name(file: str) -> None:
    assert mapping.name_of_file(file) is None


@given(st.lists(NAMES, unique=True, max_size=20))
def test_the_mappings_never_collide(names: list[str]) -> None:
    assert mapping.collisions((name, mapping.env_name(name)) for name in names) == {}
    assert mapping.collisions((name, mapping.file_name(name)) for name in names) == {}


def test_collisions_name_every_claimant() -> None:
    pairs = [("b", "X"), ("a", "X"), ("c", "Y")]
    assert mapping.collisions(pairs) == {"X": ["a", "b"]}
    with pytest.raises(Refused, match="a and b would both be written as X"):
        mapping.refuse_collisions(pairs)


def test_an_entrys_own_variable_wins_and_must_be_one() -> None:
    value = SecretValue(b"v")
    assert mapping.variable(Entry("a-b", 1, value, "Mine_1")) == "Mine_1"
    assert mapping.variable(Entry("a-b", 1, value)) == "A_B"
    for bad in ("1A", "A B", "A-B", "A=B", "Ä"):
        with pytest.raises(Refused, match="cannot be the name"):
            mapping.variable(Entry("a-b", 1, value, bad))


@given(NAMES)
def test_podman_s_names_are_reversible(name: str) -> None:
    mapped = mapping.engine_name(name)
    assert mapping.name_of_engine(mapped) == name and re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", mapped)


def test_what_no_name_is_mapped_to() -> None:
    assert [mapping.name_of_engine(text) for text in ("Acme", "a-E", "a/b", "a-S-", "")] == [None] * 5
