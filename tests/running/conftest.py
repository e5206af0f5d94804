"""A store with a few values, made once for the tests of a file; none of them changes it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import canary as canaries
from tests.cli.desk import Desk

VALUE = canaries.fresh()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with Desk(tmp_path_factory.mktemp("run") / "s") as made:
        made.config(f'[injectors.app]\nkind = "env-file"\npath = "{made.root}/app.env"\ndialect = "shell"\n'
                    '[injectors.app.names]\n"db/password" = "PGPASSWORD"\n[consumers.empty]\nkind = "none"\n')
        made.init()
        made.quick("set", "my-key", "--env", "MY_KEY", stdin=VALUE)
        made.quick("set", "db/password", stdin=b"pass-word-0123")
        made.quick("set", "pin", stdin=b"1234")
        made.quick("set", "binary", stdin=b"\0\xff\x80binary-value")
        made.quick("set", "openai-admin-key", "--provider", "openai-admin", stdin=b"sk-admin-0123456789abcdef0123")
        made.quick("configure", "my-key", "--inject", "app")
        made.quick("configure", "db/password", "--inject", "app")
        yield made
