"""The order of files is only an order: nothing is lost, and nothing within a file changes its place."""

from __future__ import annotations

from types import SimpleNamespace

from tests.order import HERE, LONGEST, longest_first


def test_it_names_files_that_there_are() -> None:
    names = LONGEST.split()
    assert [name for name in names if not (HERE / name).is_file() or names.count(name) > 1] == []


def test_the_longest_come_first_and_files_stay_whole() -> None:
    last, first = (HERE / LONGEST.split()[place] for place in (1, 0))
    few, many = HERE / "a" / "test_few.py", HERE / "b" / "test_many.py"
    items = [SimpleNamespace(path=path, name=name) for path, name in (
        (few, "1"), (many, "2"), (last, "3"), (many, "4"), (first, "5"), (last, "6"), (many, "7"))]
    longest_first(items)  # type: ignore[arg-type]
    assert [item.path for item in items] == [first, last, last, many, many, many, few]
    assert [item.name for item in items] == ["5", "3", "6", "2", "4", "7", "1"]
