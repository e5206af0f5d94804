"""The OpenClaw consumer against a small gateway in this process (tests/real has the real one)."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from clawsecrets.consumers.openclaw import OpenClawConsumer
from clawsecrets.errors import ConfigError, StoreBusy
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Handover, Reply
from tests.consumers.fake_gateway import FakeGateway, drop, failed_reload
from tests.waiting import LONG

TOKEN = "openclaw-gateway-token"
OPENAI = "models.providers.openai.apiKey"


def handover(name: str, new: str, old: str | None) -> Handover:
    provider = "gateway" if name == TOKEN else "any"
    return Handover(name, provider, "other", SecretValue(new), 2, SecretValue(old) if old is not None else None)


def is_own(provider: str) -> bool:
    return provider == "gateway"


READY = {"running": True, "connected": True, "lifecycle": "ready", "lastError": None, "probe": {"ok": True}}

OWN = handover(TOKEN, "token-new", "token-old")
KEY = handover("openai-api-key", "sk-new", "sk-old")


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    refs = {"gateway.auth.token": TOKEN, OPENAI: "openai-api-key", "skills.entries.maps.apiKey": "maps"}
    with FakeGateway(refs, {TOKEN: "token-old", "openai-api-key": "sk-old", "maps": "maps-1"}) as running:
        yield running


def consumer(gateway: FakeGateway, *tokens: str, restart: Sequence[str] = ()) -> OpenClawConsumer:
    known = [SecretValue(token) for token in tokens or ("token-old",)]
    return OpenClawConsumer("gateway", gateway.url, is_own, lambda: known, {"bundle"}, timeout=LONG,
                            reload_timeout=LONG, restart=restart)


def clean(reply: Reply, gateway: FakeGateway) -> Outcome:
    said = repr(reply)
    for value in (*gateway.bundle.values(), "token-old", "token-new", "sk-old", "sk-new"):
        assert value not in said
    return reply.outcome


# --- its own token -----------------------------------------------------------------------------------------------


def test_reload_enters_with_the_old_token_and_is_ok_once_the_new_one_is_accepted(gateway: FakeGateway) -> None:
    gateway.bundle[TOKEN] = "token-new"
    assert clean(consumer(gateway).reload(OWN), gateway) is Outcome.OK
    assert gateway.seen_tokens[0] == "token-old"
    assert gateway.reloads == 1


def test_reload_that_joined_an_older_one_is_done_again(gateway: FakeGateway) -> None:
    gateway.bundle[TOKEN] = "token-new"
    gateway.stale_reloads = 1
    assert clean(consumer(gateway).reload(OWN), gateway) is Outcome.OK
    assert gateway.reloads == 2


def test_reload_where_it_has_the_new_one_already_enters_with_that(gateway: FakeGateway) -> None:
    gateway.bundle[TOKEN] = gateway.token = "token-new"
    assert clean(consumer(gateway).reload(OWN), gateway) is Outcome.OK
    assert gateway.seen_tokens[:2] == ["token-old", "token-new"]


def test_reload_that_brings_another_token_is_refused(gateway: FakeGateway) -> None:
    assert clean(consumer(gateway).reload(OWN), gateway) is Outcome.REFUSED


def test_reload_that_the_gateway_says_failed_is_refused(gateway: FakeGateway) -> None:
    gateway.on_reload = failed_reload
    reply = consumer(gateway).reload(OWN)
    assert clean(reply, gateway) is Outcome.REFUSED
    assert "secrets.reload failed" in reply.detail


def test_reload_without_a_reply_is_unknown(gateway: FakeGateway) -> None:
    gateway.on_reload = drop
    assert clean(consumer(gateway).reload(OWN), gateway) is Outcome.UNKNOWN


def test_trouble_after_a_first_good_reply_is_unknown(gateway: FakeGateway) -> None:
    gateway.stale_reloads = 1
    gateway.on_reload = lambda: drop() if gateway.reloads == 2 else None
    assert clean(consumer(gateway).reload(OWN), gateway) is Outcome.UNKNOWN
    assert gateway.reloads == 2


def test_one_that_lets_everybody_in_proves_nothing(gateway: FakeGateway) -> None:
    gateway.open_door = True
    for ask in (consumer(gateway).probe, consumer(gateway).prove):
        reply = ask(OWN)
        assert clean(reply, gateway) is Outcome.LATER
        assert "both" in reply.detail


def test_reload_where_it_knows_neither_is_refused(gateway: FakeGateway) -> None:
    gateway.token = "another"
    assert clean(consumer(gateway).reload(OWN), gateway) is Outcome.REFUSED
    assert gateway.reloads == 0


def test_while_it_starts_nothing_happened(gateway: FakeGateway) -> None:
    gateway.starting = True
    for reply in (consumer(gateway).reload(OWN), consumer(gateway).probe(OWN), consumer(gateway).preflight(OWN)):
        assert clean(reply, gateway) is Outcome.LATER
        assert reply.after == 0.5


def test_where_nobody_listens_nothing_happened() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{taken.getsockname()[1]}"
        gone = OpenClawConsumer("gateway", url, is_own, lambda: [SecretValue("x")], timeout=LONG)
        assert [gone.reload(OWN).outcome, gone.prove(KEY).outcome, gone.preflight(KEY).outcome] == [Outcome.LATER] * 3


@pytest.mark.parametrize(
    ("held", "new", "old", "outcome"),
    [
        ("token-new", "token-new", "token-old", Outcome.OK),
        ("token-old", "token-new", "token-old", Outcome.REFUSED),
        ("another", "token-new", "token-old", Outcome.LATER),
        ("token-new", "token-new", None, Outcome.OK),
        ("token-new", "token-new", "token-new", Outcome.OK),
    ],
)
def test_probe_tries_both(gateway: FakeGateway, held: str, new: str, old: str | None, outcome: Outcome) -> None:
    gateway.token = held
    for ask in (consumer(gateway).probe, consumer(gateway).prove):
        reply = ask(handover(TOKEN, new, old))
        assert clean(reply, gateway) is outcome
        assert bool(reply.proof) is (outcome is Outcome.OK)


# --- any other secret --------------------------------------------------------------------------------------------


def test_another_secret_is_reloaded_twice_and_proven_by_reading_it_back(gateway: FakeGateway) -> None:
    gateway.bundle["openai-api-key"] = "sk-new"
    gateway.stale_reloads = 1
    assert clean(consumer(gateway).reload(KEY), gateway) is Outcome.OK
    assert gateway.reloads == 2
    reply = consumer(gateway).prove(KEY)
    assert clean(reply, gateway) is Outcome.OK
    assert OPENAI in reply.proof
    assert clean(consumer(gateway).probe(KEY), gateway) is Outcome.OK


def test_the_old_value_in_the_snapshot_is_no_proof(gateway: FakeGateway) -> None:
    for ask in (consumer(gateway).prove, consumer(gateway).probe):
        reply = ask(KEY)
        assert clean(reply, gateway) is Outcome.REFUSED
        assert OPENAI in reply.detail


def test_the_token_in_effect_is_found_among_those_known(gateway: FakeGateway) -> None:
    gateway.held[OPENAI] = "sk-new"
    assert clean(consumer(gateway, "token-next", "token-old").prove(KEY), gateway) is Outcome.OK
    assert clean(consumer(gateway, "token-next").prove(KEY), gateway) is Outcome.LATER
    assert clean(consumer(gateway, "token-next").reload(KEY), gateway) is Outcome.LATER, "not the fault of this secret"


def test_a_store_that_cannot_be_read_now_is_later(gateway: FakeGateway) -> None:
    def tokens() -> list[SecretValue]:
        raise StoreBusy("the store is busy")

    busy = OpenClawConsumer("gateway", gateway.url, is_own, tokens)
    assert [busy.reload(KEY).outcome, busy.prove(KEY).outcome] == [Outcome.LATER] * 2


def test_a_key_that_memory_search_uses_is_left_to_a_person(gateway: FakeGateway) -> None:
    gateway.held[OPENAI] = "sk-new"
    gateway.memory_provider = "openai"
    reply = consumer(gateway).prove(KEY)
    assert clean(reply, gateway) is Outcome.LATER
    assert reply.person
    assert "restart the gateway's process" in reply.detail
    gateway.memory_provider = "local"
    assert clean(consumer(gateway).prove(KEY), gateway) is Outcome.OK


@pytest.mark.parametrize(("shown", "search"), [
    ("openai", {}), ("openai", {"provider": "auto"}), ("local", {"provider": "local", "fallback": "openai"}),
    ("gemini", {}), ("local", {"provider": " openai "})],
    ids=["default", "auto", "fallback", "an agent's own beside the default", "spaces"])
def test_every_provider_that_memory_search_may_turn_to_counts(gateway: FakeGateway, shown: str,
                                                             search: dict[str, str]) -> None:
    gateway.held[OPENAI], gateway.memory_provider, gateway.memory = "sk-new", shown, search
    assert clean(consumer(gateway).prove(KEY), gateway) is Outcome.LATER


@pytest.mark.parametrize(("search", "model"), [("gemini", "google"), ("bedrock", "amazon-bedrock")])
def test_a_provider_of_memory_search_may_use_the_key_of_one_that_is_called_otherwise(
        gateway: FakeGateway, search: str, model: str) -> None:
    field = f"models.providers.{model}.apiKey"
    gateway.refs[field], gateway.bundle["other"], gateway.held[field] = "other", "key-new", "key-new"
    gateway.memory_provider = search
    asked = handover("other", "key-new", "key-old")
    reply = consumer(gateway).prove(asked)
    assert (clean(reply, gateway), reply.person) == (Outcome.LATER, True)
    assert "openclaw gateway restart" in reply.detail and "clawsecrets rotate other" in reply.detail
    gateway.memory_provider = "local"
    assert clean(consumer(gateway).prove(asked), gateway) is Outcome.OK


def test_a_process_that_began_after_the_value_was_written_has_it(gateway: FakeGateway) -> None:
    """Whoever restarted it: no person's word is needed then."""
    gateway.held[OPENAI], gateway.memory_provider, gateway.began = "sk-new", "openai", 1000.0
    assert consumer(gateway).prove(replace(KEY, since=1001.0)).outcome is Outcome.LATER
    assert consumer(gateway).prove(replace(KEY, since=0.0)).outcome is Outcome.LATER
    reply = consumer(gateway).prove(replace(KEY, since=990.0))
    assert clean(reply, gateway) is Outcome.OK and "began with the new value" in reply.proof


def test_what_comes_from_the_environment_needs_a_restart(gateway: FakeGateway) -> None:
    gateway.from_environment = {OPENAI}
    gateway.bundle["openai-api-key"] = "sk-new"
    assert consumer(gateway).reload(KEY).outcome is Outcome.OK
    reply = consumer(gateway).prove(KEY)
    assert clean(reply, gateway) is Outcome.LATER and reply.person and "comes from its environment" in reply.detail
    assert consumer(gateway).probe(KEY).outcome is Outcome.REFUSED
    assert consumer(gateway).preflight(replace(KEY, new=SecretValue("sk-old"), old=None)).outcome is Outcome.OK


@pytest.mark.parametrize("from_environment", [True, False], ids=["environment", "memory search"])
def test_the_restart_command_is_run_where_a_reload_is_not_enough(gateway: FakeGateway, tmp_path: Path,
                                                               from_environment: bool) -> None:
    mark = gateway.restart_mark = tmp_path / "mark"
    gateway.began -= 3600
    gateway.from_environment, gateway.memory_provider = ({OPENAI}, "") if from_environment else (set(), "openai")
    gateway.bundle["openai-api-key"] = "sk-new"
    asked = replace(KEY, since=time.time())
    began = gateway.began
    reply = consumer(gateway, restart=["touch", str(mark)]).reload(asked)
    assert clean(reply, gateway) is Outcome.OK and "started anew" in reply.detail and gateway.began > began
    assert consumer(gateway).prove(asked).proof
    again, other = gateway.began, handover("maps", "maps-1", None)
    assert consumer(gateway, restart=["touch", str(mark)]).reload(other).outcome is Outcome.OK
    assert gateway.began == again, "nothing of it needs a restart"


def test_a_restart_that_does_not_happen_is_not_done(gateway: FakeGateway) -> None:
    gateway.memory_provider, gateway.bundle["openai-api-key"] = "openai", "sk-new"
    gateway.began -= 3600
    short = OpenClawConsumer("gateway", gateway.url, is_own, lambda: [SecretValue("token-old")], timeout=LONG,
                             reload_timeout=2.0, restart=["true"])
    reply = short.reload(KEY)
    assert clean(reply, gateway) is Outcome.UNKNOWN and "its process is the old one" in reply.detail
    reply = consumer(gateway, restart=["false"]).reload(KEY)
    assert clean(reply, gateway) is Outcome.UNKNOWN and "exit code 1" in reply.detail


def test_a_degraded_owner_of_its_field_delays_the_proof(gateway: FakeGateway) -> None:
    gateway.held[OPENAI] = "sk-new"
    owner = {"ownerKind": "provider", "ownerId": "openai", "degradationState": "stale", "paths": [OPENAI],
             "reason": "secret reference was not found"}
    gateway.owners = [{**owner, "paths": ["skills.entries.maps.apiKey"]}]
    assert clean(consumer(gateway).prove(KEY), gateway) is Outcome.OK, "another secret's owner"
    gateway.owners = [owner]
    reply = consumer(gateway).prove(KEY)
    assert (clean(reply, gateway), reply.person) == (Outcome.LATER, False)
    assert "stale" in reply.detail


@pytest.mark.parametrize(
    ("row", "outcome", "person"),
    [
        ({"running": True, "probe": {"ok": True}}, Outcome.OK, False),
        ({"running": True, "probe": {"ok": False, "status": 401}}, Outcome.REFUSED, False),
        ({"running": False, "probe": {"ok": False}, "terminalDisconnect": True}, Outcome.REFUSED, False),
        ({**READY, "lifecycle": "starting", "connected": False}, Outcome.LATER, False),
        ({**READY, "connected": False}, Outcome.LATER, False),
        ({**READY, "lastError": "channel stop timed out after 5000ms"}, Outcome.LATER, False),
        (READY, Outcome.OK, False),
        ({"running": True, "probe": {"ok": False, "status": None}}, Outcome.LATER, False),
        ({"running": False, "probe": {"ok": True}}, Outcome.LATER, False),
        ({"running": True}, Outcome.LATER, True),
    ],
)
@pytest.mark.parametrize(
    ("path", "account"),
    [("channels.telegram.botToken", "default"), ("channels.telegram.accounts.ops.botToken", "ops")],
)
def test_a_channel_must_answer(path: str, account: str, row: dict[str, object], outcome: Outcome, person: bool) -> None:
    accounts = [{"accountId": "other", "running": True, "probe": {"ok": True}}, {"accountId": account, **row}]
    with FakeGateway({path: "telegram"}, {"telegram": "bot-new"}, channels={"telegram": accounts}) as gateway:
        reply = consumer(gateway).prove(handover("telegram", "bot-new", "bot-old"))
        assert (clean(reply, gateway), reply.person) == (outcome, person)


def test_a_channel_account_that_is_not_there_cannot_be_shown() -> None:
    with FakeGateway({"channels.telegram.botToken": "telegram"}, {"telegram": "bot-new"}) as gateway:
        reply = consumer(gateway).prove(handover("telegram", "bot-new", "bot-old"))
        assert (reply.outcome, reply.person) == (Outcome.LATER, True)


def test_a_field_that_is_not_read_back_is_left_to_a_person(gateway: FakeGateway) -> None:
    gateway.unreadable.add(OPENAI)
    reply = consumer(gateway).prove(KEY)
    assert (clean(reply, gateway), reply.person) == (Outcome.LATER, True)
    assert "read back" in reply.detail


def test_a_secret_that_no_field_yields_is_left_to_a_person(gateway: FakeGateway) -> None:
    reply = consumer(gateway).prove(handover("elsewhere", "e-new", "e-old"))
    assert (clean(reply, gateway), reply.person) == (Outcome.LATER, True)


def test_a_field_of_a_composed_secret_counts_and_what_did_not_change_says_nothing() -> None:
    with FakeGateway({OPENAI: "pair"}, {"pair": "sk-new"}) as gateway:
        pair = handover("pair", '{"user": "claw", "key": "sk-new"}', '{"user": "claw", "key": "sk-old"}')
        assert clean(consumer(gateway).prove(pair), gateway) is Outcome.OK
        gateway.held[OPENAI] = "sk-old"
        assert clean(consumer(gateway).prove(pair), gateway) is Outcome.REFUSED
        gateway.held[OPENAI] = "claw"
        assert clean(consumer(gateway).probe(pair), gateway) is Outcome.OK, "neither old nor wrong"


# --- before anything ---------------------------------------------------------------------------------------------


def test_preflight_of_a_sound_one(gateway: FakeGateway) -> None:
    as_it_is = [handover(TOKEN, "token-old", "token-old"), handover("openai-api-key", "sk-old", "sk-old")]
    assert [clean(consumer(gateway).preflight(now), gateway) for now in as_it_is] == [Outcome.OK] * 2
    assert gateway.reloads == 0


def test_preflight_says_where_the_current_value_is_and_what_it_means_that_it_cannot_be_seen(
        gateway: FakeGateway) -> None:
    as_it_is = handover("openai-api-key", "sk-old", "sk-old")
    assert consumer(gateway).preflight(as_it_is).detail == f"reachable, and it holds the current value in {OPENAI}"
    gateway.unreadable.add(OPENAI)
    reply = consumer(gateway).preflight(as_it_is)
    assert clean(reply, gateway) is Outcome.OK
    assert f"does not read back {OPENAI}" in reply.detail and "after a rotation it is for you to see" in reply.detail


def test_preflight_of_one_that_does_not_run_asks_whether_it_does() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{taken.getsockname()[1]}"
        reply = OpenClawConsumer("gateway", url, is_own, lambda: [SecretValue("x")], timeout=LONG).preflight(KEY)
    assert reply.outcome is Outcome.LATER and f"does the gateway run, at {url}?" in reply.detail


def test_preflight_wants_the_right_to_reload(gateway: FakeGateway) -> None:
    gateway.scopes = []
    reply = consumer(gateway).preflight(OWN)
    assert clean(reply, gateway) is Outcome.REFUSED
    assert "loopback" in reply.detail
    assert clean(consumer(gateway).reload(KEY), gateway) is Outcome.REFUSED
    assert clean(consumer(gateway).prove(KEY), gateway) is Outcome.LATER


def test_preflight_wants_a_ref_that_a_reload_would_change() -> None:
    with FakeGateway({OPENAI: "openai-api-key"}, {"openai-api-key": "sk-old"}) as gateway:
        reply = consumer(gateway).preflight(handover(TOKEN, "token-old", "token-old"))
        assert clean(reply, gateway) is Outcome.REFUSED
        assert "SecretRef" in reply.detail
        reply = consumer(gateway).preflight(handover("maps", "maps-1", "maps-1"))
        assert clean(reply, gateway) is Outcome.REFUSED


def test_it_describes_itself_without_values_and_refuses_clear_text(gateway: FakeGateway) -> None:
    mine = consumer(gateway)
    assert (mine.target, mine.validates, set(mine.reads)) == ("gateway", True, {"bundle"})
    assert gateway.url in mine.describe()
    with pytest.raises(ConfigError):
        OpenClawConsumer("gateway", "ws://gateway.example:18789", is_own, list)
