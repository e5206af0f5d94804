"""A rotation renders a template target anew, and says before it begins when it could not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import canary as canaries
from tests.cli.desk import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path / "s") as made:
        made.provider(f'[injectors.conf]\nkind = "template"\ntemplate = "{made.root}/t.j2"\n'
                      f'path = "{made.root}/app.conf"\nmode = "0640"\n[consumers.app]\nkind = "command"\n'
                      f'probe = ["grep", "-qF", "-f", "-", "{made.root}/app.conf"]\n')
        made.init()
        made.write("t.j2", "acme: {{ secret('acme-api-key') | tojson }}\nother: {{ secret('other') }}\n")
        made.seeded()
        made.quick("set", "other", stdin=b"other-value-0123")
        made.quick("configure", "acme-api-key", "--inject", "conf", "--consume", "app")
        yield made


def test_rendered_anew_by_a_rotation(desk: Desk) -> None:
    desk.quick("configure", "other", "--inject", "conf")
    desk.ok("inject", "acme-api-key")
    before = (desk.root / "app.conf").read_text()
    ran = desk.run("rotate", "acme-api-key", "-v")
    assert ran.code == 0, ran
    value = desk.quick("get", "acme-api-key", "--raw").out
    assert (desk.root / "app.conf").read_text() == f'acme: "{value}"\nother: other-value-0123\n' != before
    assert (desk.root / "app.conf").stat().st_mode & 0o777 == 0o640
    assert canaries.search(ran.everything.encode(), value.encode()) == []


def test_what_is_not_bound_stops_it_before_anything_is_made(desk: Desk) -> None:
    assert desk.fake is not None
    made = len(desk.fake.ever("acme"))
    ran = desk.run("rotate", "acme-api-key")
    assert ran.code != 0 and "line 2: secret 'other' is not bound to conf" in ran.everything
    assert len(desk.fake.ever("acme")) == made and not (desk.root / "app.conf").exists()


def test_a_loop_without_an_end_stops_it_before_anything_is_made(desk: Desk) -> None:
    assert desk.fake is not None
    loop = "{% for i in range(99999) %}{{ secret('acme-api-key') * 1000 }}{% endfor %}"
    desk.write("t.j2", f"a\n{loop}")
    made = len(desk.fake.ever("acme"))
    said = f"{desk.root}/t.j2: line 2: it makes more than 16 MiB"
    for words in (("rotate", "acme-api-key"), ("inject", "acme-api-key"), ("render", f"{desk.root}/t.j2")):
        ran = desk.run(*words)
        assert ran.code != 0 and said in " ".join(ran.everything.split()), ran
    assert len(desk.fake.ever("acme")) == made and not (desk.root / "app.conf").exists()


def test_a_template_is_not_overwritten_by_what_it_makes(desk: Desk) -> None:
    desk.quick("set", "my-key", stdin=b"value-0123456789")
    text = '{{ secret("my-key") }}\n'
    template = desk.write("t.j2", text)
    (desk.root / "link").symlink_to(template)
    for output in ("t.j2", "link", str(template)):
        ran = desk.run("render", "t.j2", "--output", output)
        assert ran.code == 2 and f"{output} is the template itself" in ran.err and template.read_text() == text
    assert desk.run("render", "t.j2", "--output", "made").code == 0
