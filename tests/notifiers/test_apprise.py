"""Real delivery: the process that sends, with the real library, to services on loopback. And what it never does: say an
address, follow a redirect, wait without end, read settings of its own."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawsecrets.model.notice import Severity
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.notifiers import apprise as child
from clawsecrets.notifiers.courier import UNREADABLE, AppriseCourier, Parcel
from clawsecrets.notifiers.rendering import Message
from clawsecrets.ports import Reply
from tests import canary as canaries
from tests.fake_services import Mail, Services
from tests.waiting import LONG

MESSAGE = Message("clawsecrets: a: stuck", "What went wrong: <b>&amp; \"x\"\n1. Äpfel\n\n-- clawsecrets on h",
                  Severity.ERROR)
TOKEN = "canary0123456789abcdefcanary"


@pytest.fixture
def services() -> Iterator[Services]:
    with Services() as found:
        yield found


def send(*addresses: str, timeout: float = LONG) -> list[Reply]:
    return list(AppriseCourier().bring([Parcel(SecretValue(address), MESSAGE) for address in addresses], timeout))


# --- it arrives ------------------------------------------------------------------------------------------------------


def test_a_webhook_gets_title_body_and_kind(services: Services) -> None:
    [reply] = send(f"json://{services.host}/hook/{TOKEN}")
    assert (reply.outcome, reply.detail) == (Outcome.OK, "JSON")
    [got] = services.got
    said = json.loads(got.body)
    assert got.path == f"/hook/{TOKEN}" and said["type"] == "failure"
    assert (said["title"], said["message"]) == (MESSAGE.title, MESSAGE.body)


@pytest.mark.parametrize(("address", "path"), [
    ("form://{host}/hook", "/hook"), ("xml://{host}/hook", "/hook"), ("ntfy://tok:en@{host}/topic", "/"),
    ("gotify://{host}/{token}", "/message"), ("apprise://{host}/{token}", "/notify"),
])
def test_others_that_have_a_host(services: Services, address: str, path: str) -> None:
    [reply] = send(address.format(host=services.host, token=TOKEN))
    assert reply.outcome is Outcome.OK, reply
    assert services.got[0].path.partition("?")[0] == path
    assert b"stuck" in services.got[0].body and b"pfel" in services.got[0].body


PATCH = """
from apprise.plugins.telegram import NotifyTelegram as T
from apprise.plugins.slack import NotifySlack as S
from apprise.plugins.discord import NotifyDiscord as D
T.notify_url, S.webhook_url, D.notify_url = "{url}/bot", "{url}/services", "{url}/api/webhooks"
"""


@pytest.mark.parametrize(("address", "path"), [
    ("tgram://123456789:abcdefghijklmnopqrstuvwxyz_-ABCDEFG/12315544", "/bot123456789:abc"),
    ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops", "/services/T1JJ3T3L2"),
    ("discord://123456789012345678/abcdefghijklmnopqrstuvwxyz0123456789", "/api/webhooks/1234"),
])
def test_telegram_slack_discord(services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str,
                                path: str) -> None:
    """Their hosts stand in the library: the process that sends is given others, before it starts."""
    (tmp_path / "sitecustomize.py").write_text(PATCH.format(url=f"http://{services.host}"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(":"))
    [reply] = send(address)
    assert reply.outcome is Outcome.OK, reply
    assert services.got[-1].path.startswith(path)
    text = services.got[-1].body.decode()
    assert "a: stuck" in text and "clawsecrets on h" in text


def test_a_long_one_is_split_for_a_service_with_a_limit(services: Services, tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    patch = PATCH.format(url=f"http://{services.host}") + "D.request_rate_per_sec = 0\n"
    (tmp_path / "sitecustomize.py").write_text(patch)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(":"))
    body = "\n".join(f"line {number}" for number in range(600))
    address = SecretValue("discord://123456789012345678/abcdefghijklmnopqrstuvwxyz0123456789")
    [reply] = AppriseCourier().bring([Parcel(address, Message("t", body, Severity.INFO))], LONG)
    assert reply.outcome is Outcome.OK and len(services.got) > 1
    assert "line 0" in services.texts()[0] and "line 599" in services.texts()[-1]


def test_mail() -> None:
    with Mail() as mail:
        [reply] = send(f"mailto://127.0.0.1:{mail.port}?from=claw@home.example&to=me@home.example&mode=insecure")
    assert reply.outcome is Outcome.OK, reply
    [text] = mail.mails
    assert "Subject: clawsecrets: a: stuck" in text and "me@home.example" in text


@pytest.mark.parametrize(("code", "outcome"), [(554, Outcome.REFUSED), (451, Outcome.LATER)])
def test_a_mail_that_is_refused_says_the_code(code: int, outcome: Outcome) -> None:
    with Mail(code) as mail:
        [reply] = send(f"mailto://127.0.0.1:{mail.port}?from=claw@home.example&to=me@home.example&mode=insecure")
    assert reply.outcome is outcome and reply.detail.endswith(f"the service answered SMTP {code}")


# --- it fails --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("where", "outcome", "words"), [
    ("json://{host}/status-401/{token}", Outcome.REFUSED, "JSON: the service answered HTTP 401"),
    ("json://{host}/status-404/{token}", Outcome.REFUSED, "JSON: the service answered HTTP 404"),
    ("json://{host}/status-429/{token}", Outcome.LATER, "JSON: the service answered HTTP 429"),
    ("json://{host}/status-500/{token}", Outcome.LATER, "JSON: the service answered HTTP 500"),
    ("json://{host}/status-503/{token}", Outcome.LATER, "JSON: the service answered HTTP 503"),
    ("json://{host}/away/{token}", Outcome.LATER, "JSON: the service answered HTTP 307"),
    ("json://{host}/away/{token}?redirect=yes", Outcome.LATER, "JSON: the service answered HTTP 307"),
    ("json://127.0.0.1:9/{token}", Outcome.LATER, "JSON: no connection: Connection refused"),
    ("jsons://{host}/{token}", Outcome.LATER, "JSON: "),
    ("json://{host}/hang/{token}?rto=0.2", Outcome.LATER, "JSON: it did not answer in time"),
    ("nonsense://{host}/{token}", Outcome.REFUSED, UNREADABLE),
    ("slack://{token}", Outcome.REFUSED, UNREADABLE),
    ("{token}", Outcome.REFUSED, UNREADABLE),
    ("", Outcome.REFUSED, UNREADABLE),
    ("json://{host}/\n", Outcome.OK, "JSON"),
])
def test_why_it_did_not_arrive(services: Services, where: str, outcome: Outcome, words: str) -> None:
    [reply] = send(where.format(host=services.host, token=TOKEN))
    assert reply.outcome is outcome and reply.detail.startswith(words), reply
    assert TOKEN not in reply.detail and str(services.port) not in reply.detail
    assert [got.path for got in services.got if got.path == "/elsewhere"] == []


def test_what_is_no_text_is_unreadable() -> None:
    [reply] = AppriseCourier().bring([Parcel(SecretValue(b"\xff\xfe json://x"), MESSAGE)], LONG)
    assert (reply.outcome, reply.detail) == (Outcome.REFUSED, UNREADABLE)


@pytest.mark.parametrize("how", ["hang", "drip"])
def test_one_that_never_ends_is_killed_and_the_others_arrive(services: Services, how: str) -> None:
    """`drip`: a byte now and then, which no timeout of the library bounds."""
    replies = send(f"json://{services.host}/{how}?rto=3600&cto=3600", f"json://{services.host}/fine", timeout=20.0)
    assert [reply.outcome for reply in replies] == [Outcome.UNKNOWN, Outcome.OK], replies
    assert replies[0].detail == "no answer within 20 s"
    assert not children(), "the process that hung is gone"


def children() -> list[str]:
    """Processes of this one that send."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent, words = int(stat.read_text().rpartition(")")[2].split()[1]), stat.with_name("cmdline").read_bytes()
        except OSError:
            continue
        if parent == os.getpid() and b"notifiers.apprise" in words:
            found.append(words.decode())
    return found


def test_a_process_that_cannot_be_started_is_no_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    [reply] = send("json://127.0.0.1/x")
    assert (reply.outcome, reply.detail) == (Outcome.LATER, "the process that sends could not be started")


def test_a_process_that_says_nothing_is_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/true")
    assert send("json://127.0.0.1/x")[0].outcome is Outcome.LATER


# --- what never gets out ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["json://u:{token}@{host}/{token}", "json://{host}/status-403/{token}",
                                   "json://127.0.0.1:9/{token}", "nonsense://{token}", "slack://{token}",
                                   "json://{host}/away/{token}"])
def test_the_address_is_in_no_output_and_no_log(services: Services, where: str, capfd: pytest.CaptureFixture[str],
                                                caplog: pytest.LogCaptureFixture) -> None:
    """All logs of this process at their most talkative, the library's too."""
    for name in ("", "apprise", "urllib3", "requests"):
        caplog.set_level(1, logger=name)
    address = where.format(host=services.host, token=TOKEN)
    replies = [*send(address), AppriseCourier().check(SecretValue(address), LONG)]
    out, err = capfd.readouterr()
    everything = f"{out}{err}{caplog.text}{replies!r}".encode()
    assert canaries.search(everything, TOKEN.encode()) == []


@pytest.mark.parametrize("where", ["json://127.0.0.1:9/{token}", "nonsense://{token}", "tgram://{token}",
                                   "json://{token}:{token}@127.0.0.1:9/{token}?+X-Token={token}"])
def test_the_process_itself_prints_nothing_but_its_answer(where: str) -> None:
    """Run as it is, its standard error kept, under every debugging aid of the interpreter."""
    order = {"do": "send", "address": where.format(token=TOKEN), "timeout": 60, "title": "t", "body": "b",
             "kind": "info"}
    env = {**os.environ, "PYTHONDEVMODE": "1", "PYTHONFAULTHANDLER": "1"}
    done = subprocess.run([sys.executable, "-P", "-m", "clawsecrets.notifiers.apprise"], env=env, check=False,
                          input=json.dumps(order).encode(), capture_output=True, timeout=LONG, cwd="/")
    assert done.returncode == 0 and json.loads(done.stdout)["outcome"] in ("later", "unreadable")
    assert canaries.search(done.stdout + done.stderr, TOKEN.encode()) == []


def test_its_hearing_would_be_told(caplog: pytest.LogCaptureFixture) -> None:
    """Not vacuous: the library does log; numbers are kept of it, nothing else."""
    hearing = child.Hearing()
    logger = logging.Logger("library")
    logger.addHandler(hearing)
    logger.warning("Failed to send to https://host/%s: Unauthorized, error=401.", TOKEN)
    assert (hearing.why, hearing.refused) == ("the service answered HTTP 401", True)
    logger.warning("Socket Exception: [Errno 111] Connection refused to %s", TOKEN)
    assert hearing.why == "the service answered HTTP 401", "a service's answer is the most telling"


def test_neither_command_line_nor_environment_hold_it(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    real = subprocess.Popen

    def watched(*args: object, **kwargs: object) -> subprocess.Popen[bytes]:
        process = real(*args, **kwargs)  # type: ignore[call-overload]
        seen.append(repr((args, kwargs)).encode())
        folder = Path(f"/proc/{process.pid}")
        seen.append((folder / "cmdline").read_bytes() + (folder / "environ").read_bytes())
        return process  # type: ignore[no-any-return]

    monkeypatch.setattr(subprocess, "Popen", watched)
    send(f"json://{services.host}/{TOKEN}")
    assert len(services.got) == 1 and len(seen) == 2
    assert [canaries.search(part, TOKEN.encode()) for part in seen] == [[], []]


def test_settings_of_the_library_are_not_read(services: Services, tmp_path: Path,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables, configuration and plugins of Apprise, `.netrc`: all of them lie there, none counts."""
    for folder in (".apprise", ".config/apprise"):
        (tmp_path / folder / "plugins").mkdir(parents=True)
        (tmp_path / folder / "plugins" / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
        (tmp_path / folder / "apprise.conf").write_text(f"json://{services.host}/from-config\n")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password from-netrc\n")
    (tmp_path / ".netrc").chmod(0o600)
    for name, text in {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / ".config"),
                       "APPRISE_URLS": f"json://{services.host}/from-variable", "APPRISE_TEMPLATE_TOKEN": "filled",
                       "APPRISE_PLUGIN_PATH": str(tmp_path / ".apprise" / "plugins"),
                       "APPRISE_CONFIG_PATH": str(tmp_path / ".apprise" / "apprise.conf")}.items():
        monkeypatch.setenv(name, text)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "json.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")  # the folder it is started in
    [reply] = send(f"json://{services.host}/x")
    assert reply.outcome is Outcome.OK, reply
    [got] = services.got
    assert got.path == "/x" and "authorization" not in got.headers
    assert not (tmp_path / "ran").exists()


def test_nothing_is_left_of_a_process_whose_parent_is_gone() -> None:
    """Its own alarm ends it."""
    with Services() as services:
        order = {"do": "send", "address": f"json://{services.host}/hang?rto=3600", "timeout": 0, "title": "t",
                 "body": "b", "kind": "info"}
        began = time.monotonic()
        done = subprocess.run([sys.executable, "-P", "-m", "clawsecrets.notifiers.apprise"], check=False,
                              input=json.dumps(order).encode(), capture_output=True, timeout=LONG)
        assert done.returncode < 0 and time.monotonic() - began < LONG
