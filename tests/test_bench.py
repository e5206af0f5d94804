"""The benches' command lines: a word that names nothing is one line and exit code 2, before anything is run."""

from __future__ import annotations

import pytest

from bench import run, soak


@pytest.mark.parametrize(("main", "known"), [(soak.main, "simulator"), (run.main, "resolve")])
def test_a_word_that_names_nothing_is_said_in_one_line(main, known, capsys) -> None:  # type: ignore[no-untyped-def]
    assert main([known, "NOSUCH"]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and "'NOSUCH'" in said.err and known in said.err
    assert main(["--help"]) == 0
    assert known in capsys.readouterr().out
