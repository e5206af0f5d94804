"""The rules as data, over every file of providers/ and config/detect/: whole, sound, apart from each other, and enough
for every credential that OpenClaw knows.

What the whole detector makes of them (filters, overlaps) is asked in its own tests: the negatives of generic.toml,
which only filters tell from secrets, are left to these.
"""

from __future__ import annotations

import random
import re
import string
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import hyperscan
import pytest

from clawsecrets.data import data_path
from clawsecrets.model.finding import CONFIDENCES
from clawsecrets.model.provider import Detect, pattern_fault
from clawsecrets.scan import checksums
from clawsecrets.scan.filters import entropy


class Entry(NamedTuple):
    """A rule, the provider it belongs to, and its file."""

    rule: Detect
    provider: str
    path: Path
    table: dict[str, Any]
    pattern: re.Pattern[str]
    """Compiled once: there are more of them than `re` keeps."""

    def find(self, text: str) -> list[str]:
        """The secrets in `text`, as `Detect.find` tells them."""
        return [match[self.pattern.groups] for match in self.pattern.finditer(text)]

    @property
    def judged(self) -> bool:
        """Whether filters decide about its negatives."""
        return self.path.name == "generic.toml"


def _entries() -> list[Entry]:
    found = []
    for folder in (data_path("providers"), data_path("config") / "detect"):
        for path in sorted(folder.glob("*.toml")):
            data = tomllib.loads(path.read_text(encoding="utf-8"))
            for table in data.get("detect", ()):
                fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value
                                          for key, value in table.items() if key != "provider"}
                rule = Detect(**{"negative": (), **fields})
                code = data.get("code") or table["provider"]
                found.append(Entry(rule, code, path, table, re.compile(rule.expression)))
    return found


ENTRIES = _entries()
OURS = [entry for entry in ENTRIES if entry.path.parent.name == "detect"]
SHARED = {
    frozenset({"openrouter.key", "openrouter-management.variable"}): "a management key looks like an inference key",
    frozenset({"telegram.bot-token", "telegram-manager.variable"}): "a manager is a bot; its variable's name tells",
    frozenset({"fal.key", "fal.header"}): "the same key, named or in a header",
}
"""Rules of high confidence that may find the same value, and why."""

COUNTING = re.compile(r"(?i:012345|123456|234567|345678|456789|abcdef|bcdefg|xxxx|your|changeme)")


def _by_id(entries: list[Entry]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("entry", entries, ids=lambda entry: entry.rule.id)


def test_there_are_enough() -> None:
    assert len(ENTRIES) >= 450
    assert len({entry.provider for entry in ENTRIES}) >= 250


def test_ids_are_unique_and_begin_with_the_provider() -> None:
    count = Counter(entry.rule.id for entry in ENTRIES)
    assert [id for id, times in count.items() if times > 1] == []
    assert [entry.rule.id for entry in ENTRIES if not entry.rule.id.startswith(f"{entry.provider}.")] == []
    assert [id for id in count if not re.fullmatch(r"[a-z0-9][a-z0-9-]*\.[a-z0-9][a-z0-9-]*", id)] == []


def test_rules_outside_of_provider_files_say_whose_they_are() -> None:
    assert [entry.rule.id for entry in OURS if not entry.table.get("name", "").strip()] == []
    assert [entry.rule.id for entry in OURS if not re.fullmatch(r"[a-z0-9-]+", entry.table["provider"])] == []


@_by_id(ENTRIES)
def test_sound(entry: Entry) -> None:
    rule = entry.rule
    assert pattern_fault(rule.expression) == ""
    assert rule.expression.isascii()
    assert rule.confidence in CONFIDENCES
    assert 0 <= rule.entropy <= 5
    assert len(rule.examples) >= (1 if entry.judged else 2)
    assert rule.negative


@_by_id(ENTRIES)
def test_examples_are_found_and_negatives_are_not(entry: Entry) -> None:
    rule = entry.rule
    assert [text for text in rule.examples if not entry.find(text)] == []
    assert [text for text in rule.negative if entry.find(text) and not entry.judged] == []


def _note(index: int, start: int, end: int, flags: int, seen: Any) -> None:
    seen.add(index)


def test_hyperscan_takes_them_all_and_finds_every_example() -> None:
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(expressions=[entry.rule.expression.encode() for entry in ENTRIES], ids=list(range(len(ENTRIES))),
                     elements=len(ENTRIES), flags=[hyperscan.HS_FLAG_MULTILINE] * len(ENTRIES))
    missed = []
    for index, entry in enumerate(ENTRIES):
        for text in entry.rule.examples:
            seen: set[int] = set()
            database.scan(text.encode(), _note, context=seen)
            missed += [] if index in seen else [(entry.rule.id, text)]
    assert missed == []


def test_one_value_fits_one_sure_rule() -> None:
    """Else nobody could tell whose it is; the importers would call it ambiguous."""
    sure = [entry for entry in ENTRIES if entry.rule.confidence == "high"]
    clashes = {
        frozenset({entry.rule.id, other.rule.id})
        for entry in sure for text in entry.rule.examples for other in sure
        if other is not entry and set(other.find(text)) & set(entry.find(text))
    }
    assert clashes - set(SHARED) == set()


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.rule.checksum], ids=lambda entry: entry.rule.id)
def test_examples_carry_their_checksum(entry: Entry) -> None:
    for text in entry.rule.examples:
        for secret in entry.find(text):
            assert checksums.holds(entry.rule.checksum, secret.encode())
            assert not checksums.holds(entry.rule.checksum, (secret[:8] + secret[8:].swapcase()).encode())


@_by_id([entry for entry in ENTRIES if not entry.judged])
def test_examples_are_no_placeholders(entry: Entry) -> None:
    """They are to look like the real thing: no runs, no counting, and enough of the entropy that the rule asks for."""
    for secret in (secret for text in entry.rule.examples for secret in entry.find(text)):
        assert not COUNTING.search(secret), secret
        assert entropy(secret.encode()) >= entry.rule.entropy, secret


# --- every credential that OpenClaw knows ---------------------------------------------------------------------------

_ALPHABETS = {
    "h": string.hexdigits[:16], "a": string.ascii_letters + string.digits, "d": string.digits[1:],
    "u": string.ascii_letters + string.digits + "_-", "l": string.ascii_lowercase + string.digits,
    "A": string.ascii_uppercase + string.digits, "b": string.ascii_letters + string.digits + "+/",
    "L": string.ascii_letters, "n": "023456789acdefghjklmnpqrstuvwxyz",
}
VARIABLES = """
AI_GATEWAY_API_KEY=vck_<u56>
ANTHROPIC_ADMIN_API_KEY=sk-ant-admin01-<u93>AA
ANTHROPIC_ADMIN_KEY=sk-ant-admin01-<u93>AA
ANTHROPIC_API_KEY=sk-ant-api03-<u93>AA
ANTHROPIC_OAUTH_TOKEN=sk-ant-oat01-<u93>AA
ARCEEAI_API_KEY=<a40>
AZURE_OPENAI_API_KEY=<a84>
AZURE_SPEECH_API_KEY=<h32>
AZURE_SPEECH_KEY=<a84>
BASETEN_API_KEY=<a8>.<a32>
BRAVE_API_KEY=BSA<u28>
BUZZ_PRIVATE_KEY=<h64>
BYTEPLUS_API_KEY=<h8>-<h4>-<h4>-<h4>-<h12>
BYTEPLUS_SEED_SPEECH_API_KEY=<h8>-<h4>-<h4>-<h4>-<h12>
CEREBRAS_API_KEY=csk-<l48>
CF_ACCESS_CLIENT_SECRET=<h64>
CHUTES_API_KEY=cpk_<h32>.<h32>.<a32>
CHUTES_OAUTH_TOKEN=<a64>
CLAUDE_AI_SESSION_KEY=sk-ant-sid01-<u95>
CLAUDE_WEB_SESSION_KEY=sk-ant-sid01-<u95>
CLAWHUB_AUTH_TOKEN=<u43>
CLAWHUB_TOKEN=<u43>
CLAWROUTER_API_KEY=<a40>
CLICKCLACK_BOT_TOKEN=<u43>
CLOUDFLARE_AI_GATEWAY_API_KEY=<u40>
CODEX_API_KEY=sk-proj-<u74>T3BlbkFJ<u74>
COHERE_API_KEY=<a40>
COMFY_API_KEY=comfyui-<h64>
COMFY_CLOUD_API_KEY=<a48>
COPILOT_GITHUB_TOKEN=gho_<a36>
DASHSCOPE_API_KEY=sk-<h32>
DEEPGRAM_API_KEY=<h40>
DEEPINFRA_API_KEY=<a32>
DEEPSEEK_API_KEY=sk-<h32>
DISCORD_BOT_TOKEN=MT<a24>.<u6>.<u38>
DISCORD_CLIENT_SECRET=<u32>
ELEVENLABS_API_KEY=sk_<h48>
EXA_API_KEY=<h8>-<h4>-<h4>-<h4>-<h12>
FAL_API_KEY=<h8>-<h4>-<h4>-<h4>-<h12>:<h32>
FAL_KEY=<h8>-<h4>-<h4>-<h4>-<h12>:<h32>
FEATHERLESS_API_KEY=rc_<h64>
FEISHU_APP_SECRET=<a32>
FEISHU_ENCRYPT_KEY=<a32>
FEISHU_VERIFICATION_TOKEN=<a32>
FIRECRAWL_API_KEY=fc-<h32>
FIREWORKS_API_KEY=fw_<a24>
FISH_API_KEY=<h32>
FISH_AUDIO_API_KEY=<h32>
GEMINI_API_KEY=AIzaSy<u33>
GH_TOKEN=github_pat_<a22>_<a59>
GITHUB_TOKEN=ghp_<a36>
GMI_API_KEY=<a64>
GOOGLE_API_KEY=AQ.Ab8RN6<u44>
GOOGLE_CLOUD_API_KEY=AIzaSy<u33>
GRADIUM_API_KEY=gd_<a40>
GROQ_API_KEY=gsk_<a52>
HF_TOKEN=hf_<L34>
HUGGINGFACE_HUB_TOKEN=hf_<L34>
INWORLD_API_KEY=<a96>
IRC_NICKSERV_PASSWORD=<a7>7<a6>
IRC_PASSWORD=<a7>3<a6>
KILOCODE_API_KEY=<a60>
KIMICODE_API_KEY=sk-kimi-<a64>
KIMI_API_KEY=sk-<a48>
KIMI_CODING_API_KEY=sk-kimi-<a64>
LINE_CHANNEL_ACCESS_TOKEN=<b171>=
LINE_CHANNEL_SECRET=<h32>
LITELLM_API_KEY=sk-<u22>
LLAMA_SERVER_API_KEY=<a32>
LM_API_TOKEN=sk-lm-<a8>:<a20>
LONGCAT_API_KEY=ak_<a44>
MATRIX_ACCESS_TOKEN=syt_<a12>_<L20>_<a6>
MATRIX_OPS_ACCESS_TOKEN=mat_<a30>_<a6>
MATRIX_PASSWORD=<a8>4<a7>
MATRIX_RECOVERY_KEY=EsT<a1> <a4> <a4> <a4> <a4> <a4> <a4> <a4> <a4> <a4> <a4> <a4>
MATTERMOST_BOT_TOKEN=<l26>
MINIMAX_API_KEY=sk-api-<u119>
MINIMAX_CODE_PLAN_KEY=sk-cp-<u119>
MINIMAX_CODING_API_KEY=sk-cp-<u119>
MINIMAX_OAUTH_TOKEN=<u80>
MISTRAL_API_KEY=<a32>
MODELSTUDIO_API_KEY=sk-<h32>
MODEL_API_KEY=LLM|<d15>|<u27>
MOONSHOT_API_KEY=sk-<a48>
MSTEAMS_APP_PASSWORD=<a3>8Q~<a34>
NEXTCLOUD_TALK_API_PASSWORD=<a5>-<a5>-<a5>-<a5>-<a5>
NEXTCLOUD_TALK_BOT_SECRET=<h64>
NOSTR_PRIVATE_KEY=nsec1<n58>
NOVITA_API_KEY=sk_<u43>
NVIDIA_API_KEY=nvapi-<u64>
OLLAMA_API_KEY=<h32>.<a24>
OPENAI_ADMIN_KEY=sk-admin-<u58>T3BlbkFJ<u58>
OPENAI_API_KEY=sk-svcacct-<u74>T3BlbkFJ<u74>
OPENCLAW_GATEWAY_PASSWORD=<a18>
OPENCLAW_GATEWAY_SECRET=<u43>
OPENCLAW_GATEWAY_TOKEN=<h48>
OPENCLAW_HOOKS_TOKEN=<h64>
OPENCLAW_LIVE_ANTHROPIC_KEY=<a64>
OPENCLAW_MCP_TOKEN=<u43>
OPENCLAW_TWITCH_ACCESS_TOKEN=<l30>
OPENCLAW_VAPID_PRIVATE_KEY=<u43>
OPENCODE_API_KEY=sk-<a64>
OPENCODE_ZEN_API_KEY=sk-<a64>
OPENROUTER_API_KEY=sk-or-v1-<h64>
PARALLEL_API_KEY=<a40>
PERPLEXITY_API_KEY=pplx-<a48>
PIXVERSE_API_KEY=<a40>
QIANFAN_API_KEY=bce-v3/ALTAK-<a21>/<h40>
QQBOT_CLIENT_SECRET=<a32>
QWEN_API_KEY=sk-<h32>
QWEN_TOKEN_PLAN_API_KEY=sk-sp-<a32>
RADIUS_API_KEY=<a40>
RUNWAYML_API_SECRET=key_<h128>
RUNWAY_API_KEY=key_<h128>
SENSEAUDIO_API_KEY=<a40>
SGLANG_API_KEY=<a40>
SLACK_APP_TOKEN=xapp-1-A<A10>-<d13>-<h64>
SLACK_BOT_TOKEN=xoxb-<d12>-<d13>-<a24>
SLACK_RELAY_AUTH_TOKEN=<u43>
SLACK_SIGNING_SECRET=<h32>
SLACK_USER_TOKEN=xoxp-<d12>-<d12>-<d13>-<h32>
SPEECH_KEY=<h32>
STEPFUN_API_KEY=<a64>
SYNOLOGY_CHAT_TOKEN=<a64>
SYNTHETIC_API_KEY=syn_<h32>
TAVILY_API_KEY=tvly-dev-<a32>
TELEGRAM_BOT_TOKEN=<d10>:AA<u33>
TOGETHER_API_KEY=tgp_v1_<u43>
TOKENHUB_API_KEY=sk-<a48>
TOKENPLAN_API_KEY=sk-<a48>
TWILIO_AUTH_TOKEN=<h32>
VAULT_TOKEN=hvs.<u95>
VENICE_API_KEY=<a43>
VLLM_API_KEY=<a40>
VOLCANO_ENGINE_API_KEY=<h8>-<h4>-<h4>-<h4>-<h12>
VOLCENGINE_TTS_API_KEY=<a32>
VOLCENGINE_TTS_TOKEN=<a32>
VOYAGE_API_KEY=pa-<u43>
VYDRA_API_KEY=<a40>
XAI_API_KEY=xai-<a80>
XIAOMI_API_KEY=<a48>
XIAOMI_TOKEN_PLAN_API_KEY=<a48>
XI_API_KEY=<h32>
ZAI_API_KEY=<h32>.<a16>
ZALO_BOT_TOKEN=<d12>:<u44>
Z_AI_API_KEY=<h32>.<a16>
"""
"""The secret variables of OpenClaw, and a value as their provider makes them: `<h32>` is 32 random hex digits, and so
on (`_ALPHABETS`)."""
FIELDS = (
    '"gateway": {"auth": {"mode": "token", "token": "<h48>"}}',
    '"gateway": {"auth": {"mode": "password", "password": "<a18>"}}',
    '"gateway": {"remote": {"edgeAuth": {"CF-Access-Client-Secret": "<h64>"}}}',
    '"hooks": {"enabled": true, "token": "<h64>"}',
    '"channels": {"telegram": {"botToken": "<d10>:AA<u33>"}}',
    '"channels": {"zalo": {"botToken": "<d12>:<u44>"}}',
    '"channels": {"twitch": {"accessToken": "<l30>"}}',
    '"channels": {"line": {"channelAccessToken": "<b171>="}}',
    '"channels": {"feishu": {"encryptKey": "<a32>"}}',
    '"channels": {"sms": {"authToken": "<h32>"}}',
    '"channels": {"nextcloud-talk": {"apiPassword": "<a5>-<a5>-<a5>-<a5>-<a5>"}}',
    '"channels": {"a2a": {"peers": {"b": {"outboundToken": "<u43>"}}}}',
    '"threadBindings": {"webhookToken": "<u68>"}',
    '"incomingUrl": "https://nas.lan/webapi/entry.cgi?api=SYNO.Chat.External&method=incoming&version=2&token=%22<a64>%22"',
    '"models": {"providers": {"mistral": {\n  "apiKey": "<a32>"}}}',
    '"models": {"providers": {"deepseek": {"apiKey": "sk-<h32>"}}}',
    '"request": {"auth": {"mode": "authorization-bearer", "token": "<a48>"}}',
    '"mcp": {"servers": {"crm": {"env": {"CRM_API_KEY": "<a36>"}}}}',
    '"routes": {"ci": {"path": "/ci", "secret": "<a40>"}}',
    '{"type": "api_key", "provider": "openai", "key": "<a64>"}',
    '{"type": "token", "provider": "anthropic", "token": "<a64>"}',
    '{"type": "oauth", "access": "<a120>"}',
    '{"type": "oauth", "refresh": "<a64>"}',
    '"deviceToken": "<u43>"',
    '"bootstrapToken": "<u43>"',
    '"privateKeyPem": "-----BEGIN PRIVATE KEY-----\\n<b64>\\n-----END PRIVATE KEY-----"',
    '"private_key": "-----BEGIN PRIVATE KEY-----\\n<b64>"',
    '"advSecretKey":"<b43>="',
    '"noiseKey":{"private":{"type":"Buffer","data":"<b43>="}',
    '"identityPrivateKey" : "<b43>="',
    'BLUEBUBBLES_PASSWORD=<a9>4<a4>',
    '"socket": {"path": "/run/approvals.sock", "token": "<u43>"}',
    "http://127.0.0.1:18789/#token=<h48>",
    "openclaw secrets reload --token <h48> --json",
    "https://discord.com/api/webhooks/<d18>/<u68>",
    "https://hooks.slack.com/services/T<A10>/B<A10>/<a24>",
)
"""Where OpenClaw's files hold credentials: configuration, auth profiles, device identities, channels' sessions."""


def _filled(text: str, seed: str) -> str:
    """`text` with random letters in place of `<h32>` and its like: the same for the same seed."""
    source = random.Random(seed)

    def letters(match: re.Match[str]) -> str:
        return "".join(source.choices(_ALPHABETS[match[1]], k=int(match[2])))

    return re.sub(r"<([a-zA-Z])(\d+)>", letters, text)


@pytest.mark.parametrize("line", VARIABLES.split("\n")[1:-1], ids=lambda line: line.partition("=")[0])
def test_every_variable_of_openclaw_is_found_by_a_rule_that_knows_it(line: str) -> None:
    name, _, shape = line.partition("=")
    value = _filled(shape, name)
    for text in (f"{name}={value}", f'export {name}="{value}"', f"{name}: '{value}'"):
        assert [entry.rule.id for entry in ENTRIES if not entry.judged and value in entry.find(text)], text


@pytest.mark.parametrize("shape", FIELDS)
def test_every_place_of_openclaw_is_found_by_a_rule_that_knows_it(shape: str) -> None:
    text = _filled(shape, shape)
    found = [secret for entry in ENTRIES if not entry.judged for secret in entry.find(text)]
    wanted = re.findall(r"<[a-zA-Z]\d+>", shape)
    longest = max(wanted, key=lambda part: int(part[2:-1]))
    start, end = re.escape(shape).split(re.escape(longest), 1)
    pattern = re.sub(r"<[a-zA-Z]\d+>", ".+?", start) + "(.+?)" + re.sub(r"<[a-zA-Z]\d+>", ".+?", end) + "$"
    matched = re.match(pattern, text, re.S)
    assert matched is not None
    assert any(matched[1] in secret for secret in found), text


def test_all_that_is_listed_is_listed_once() -> None:
    names = [line.partition("=")[0] for line in VARIABLES.split("\n") if "=" in line]
    assert len(names) == len(set(names)) >= 140
