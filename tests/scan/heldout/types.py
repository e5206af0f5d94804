# ruff: noqa: E501  (tables: one row a line)
"""The credential types of an OpenClaw operator: name, how people call it, its variable, its place, its look."""

from __future__ import annotations

from dataclasses import dataclass

LLM = """
anthropic|Anthropic API key|ANTHROPIC_API_KEY|models.providers.anthropic.apiKey|sk-ant-api03-{w:93}AA
anthropic-admin|Anthropic admin key|ANTHROPIC_ADMIN_KEY|models.providers.anthropic.apiKey|sk-ant-admin01-{w:93}AA
claude-oauth|Claude OAuth token|ANTHROPIC_OAUTH_TOKEN|profiles.anthropic.token|sk-ant-oat01-{w:93}AA
claude-refresh|Claude refresh token|CLAUDE_REFRESH_TOKEN|claudeAiOauth.refreshToken|sk-ant-ort01-{w:93}AA
claude-session|Claude session key|CLAUDE_AI_SESSION_KEY|profiles.claude.key|sk-ant-sid01-{w:86}-{w:6}AA
openai-project|OpenAI API key|OPENAI_API_KEY|models.providers.openai.apiKey|sk-proj-{w:74}T3BlbkFJ{w:74}
openai-short|OpenAI key|OPENAI_API_KEY|talk.providers.openai.apiKey|sk-proj-{w:58}T3BlbkFJ{w:58}
openai-service|OpenAI service account key|CODEX_API_KEY|models.providers.openai.apiKey|sk-svcacct-{w:74}T3BlbkFJ{w:74}
openai-legacy|OpenAI API key|OPENAI_API_KEY|models.providers.openai.apiKey|sk-{a:20}T3BlbkFJ{a:20}
openai-admin|OpenAI admin key|OPENAI_ADMIN_KEY|models.providers.openai.apiKey|sk-admin-{w:58}T3BlbkFJ{w:58}
gemini|Gemini API key|GEMINI_API_KEY|models.providers.google.apiKey|AIzaSy{w:33}
gemini-new|Gemini API key|GEMINI_API_KEY|models.providers.google.apiKey|AQ.Ab8RN6{w:44}
openrouter|OpenRouter key|OPENROUTER_API_KEY|models.providers.openrouter.apiKey|sk-or-v1-{h:64}
mistral|Mistral API key|MISTRAL_API_KEY|models.providers.mistral.apiKey|{a:32}
groq|Groq key|GROQ_API_KEY|models.providers.groq.apiKey|gsk_{a:52}
xai|xAI API key|XAI_API_KEY|models.providers.xai.apiKey|xai-{a:80}
deepseek|DeepSeek API key|DEEPSEEK_API_KEY|models.providers.deepseek.apiKey|sk-{h:32}
together|Together API key|TOGETHER_API_KEY|models.providers.together.apiKey|tgp_v1_{w:43}
together-old|Together key|TOGETHER_API_KEY|models.providers.together.apiKey|{h:64}
fireworks|Fireworks key|FIREWORKS_API_KEY|models.providers.fireworks.apiKey|fw_{a:24}
cohere|Cohere API key|COHERE_API_KEY|models.providers.cohere.apiKey|{a:40}
perplexity|Perplexity API key|PERPLEXITY_API_KEY|plugins.entries.perplexity.config.webSearch.apiKey|pplx-{a:48}
huggingface|Hugging Face token|HF_TOKEN|models.providers.huggingface.apiKey|hf_{A:34}
replicate|Replicate token|REPLICATE_API_TOKEN|skills.entries.replicate.apiKey|r8_{a:37}
nvidia|NVIDIA API key|NVIDIA_API_KEY|models.providers.nvidia.apiKey|nvapi-{w:64}
moonshot|Moonshot API key|MOONSHOT_API_KEY|models.providers.moonshot.apiKey|sk-{a:48}
kimi|Kimi key|KIMI_API_KEY|models.providers.kimi.apiKey|sk-kimi-{a:64}
minimax|MiniMax API key|MINIMAX_API_KEY|models.providers.minimax.apiKey|sk-api-{w:119}
minimax-jwt|MiniMax key|MINIMAX_API_KEY|models.providers.minimax.apiKey|{jwt}
zai|Z.ai API key|ZAI_API_KEY|models.providers.zai.apiKey|{h:32}.{a:16}
qwen|Qwen API key|DASHSCOPE_API_KEY|models.providers.qwen.apiKey|sk-{h:32}
qwen-plan|Qwen token plan key|QWEN_TOKEN_PLAN_API_KEY|models.providers.qwen-token-plan.apiKey|sk-sp-{h:32}
cerebras|Cerebras key|CEREBRAS_API_KEY|models.providers.cerebras.apiKey|csk-{l:48}
venice|Venice API key|VENICE_API_KEY|models.providers.venice.apiKey|{w:43}
azure-openai|Azure OpenAI key|AZURE_OPENAI_API_KEY|models.providers.microsoft-foundry.apiKey|{h:32}
azure-openai-new|Azure OpenAI key|AZURE_OPENAI_API_KEY|models.providers.microsoft-foundry.apiKey|{a:52}JQQJ99B{a:25}
bedrock|Bedrock API key|AWS_BEARER_TOKEN_BEDROCK|models.providers.amazon-bedrock.apiKey|{bedrock}
vercel-gateway|AI Gateway key|AI_GATEWAY_API_KEY|models.providers.vercel-ai-gateway.apiKey|vck_{w:56}
litellm|LiteLLM key|LITELLM_API_KEY|models.providers.litellm.apiKey|sk-{w:22}
ollama|Ollama API key|OLLAMA_API_KEY|models.providers.ollama.apiKey|{h:32}.{w:24}
arcee|Arcee API key|ARCEEAI_API_KEY|models.providers.arcee.apiKey|{a:43}
baseten|Baseten API key|BASETEN_API_KEY|models.providers.baseten.apiKey|{a:8}.{a:32}
byteplus|BytePlus API key|BYTEPLUS_API_KEY|models.providers.byteplus.apiKey|{uuid}
chutes|Chutes API key|CHUTES_API_KEY|models.providers.chutes.apiKey|cpk_{h:32}.{h:32}.{a:32}
clawrouter|ClawRouter key|CLAWROUTER_API_KEY|models.providers.clawrouter.apiKey|{w:43}
comfy|Comfy API key|COMFY_API_KEY|models.providers.comfy.apiKey|comfyui-{h:64}
deepinfra|DeepInfra key|DEEPINFRA_API_KEY|models.providers.deepinfra.apiKey|{a:32}
fal|fal key|FAL_KEY|models.providers.fal.apiKey|{uuid}:{h:32}
featherless|Featherless key|FEATHERLESS_API_KEY|models.providers.featherless.apiKey|rc_{h:64}
gmi|GMI API key|GMI_API_KEY|models.providers.gmi.apiKey|{jwt}
kilocode|Kilo Code API key|KILOCODE_API_KEY|models.providers.kilocode.apiKey|{jwt}
lmstudio|LM Studio token|LM_API_TOKEN|models.providers.lmstudio.apiKey|sk-lm-{a:8}:{a:20}
longcat|LongCat API key|LONGCAT_API_KEY|models.providers.longcat.apiKey|ak_{a:31}
meta-llama|Llama API key|MODEL_API_KEY|models.providers.meta.apiKey|LLM|{d:16}|{w:27}
novita|Novita API key|NOVITA_API_KEY|models.providers.novita.apiKey|sk_{w:43}
opencode|OpenCode Zen key|OPENCODE_API_KEY|models.providers.opencode.apiKey|sk-{a:64}
parallel|Parallel API key|PARALLEL_API_KEY|plugins.entries.parallel.config.webSearch.apiKey|{w:40}
pixverse|PixVerse API key|PIXVERSE_API_KEY|models.providers.pixverse.apiKey|sk-{h:32}
qianfan|Qianfan API key|QIANFAN_API_KEY|models.providers.qianfan.apiKey|bce-v3/ALTAK-{a:21}/{h:40}
runway|Runway API key|RUNWAYML_API_SECRET|models.providers.runway.apiKey|key_{h:128}
stepfun|StepFun API key|STEPFUN_API_KEY|models.providers.stepfun.apiKey|{a:63}
synthetic|Synthetic API key|SYNTHETIC_API_KEY|models.providers.synthetic.apiKey|syn_{h:32}
tokenhub|TokenHub key|TOKENHUB_API_KEY|models.providers.tencent-tokenhub.apiKey|sk-{a:48}
volcengine|Volcano Engine API key|VOLCANO_ENGINE_API_KEY|models.providers.volcengine.apiKey|{uuid}
voyage|Voyage API key|VOYAGE_API_KEY|memory.search.remote.apiKey|pa-{w:43}
vllm|vLLM key|VLLM_API_KEY|models.providers.vllm.apiKey|{h:48}
xiaomi|Xiaomi API key|XIAOMI_API_KEY|models.providers.xiaomi.apiKey|sk-{l:48}
vydra|Vydra API key|VYDRA_API_KEY|models.providers.vydra.apiKey|{a:40}
radius|Radius API key|RADIUS_API_KEY|models.providers.radius.apiKey|{w:43}
gcp-vertex|Google Cloud API key|GOOGLE_CLOUD_API_KEY|models.providers.google-vertex.apiKey|AIzaSy{w:33}
"""
MEDIA = """
elevenlabs|ElevenLabs key|ELEVENLABS_API_KEY|tts.providers.elevenlabs.apiKey|sk_{h:48}
elevenlabs-old|ElevenLabs API key|XI_API_KEY|talk.providers.elevenlabs.apiKey|{h:32}
deepgram|Deepgram API key|DEEPGRAM_API_KEY|channels.discord.voice.realtime.providers.deepgram.apiKey|{h:40}
assemblyai|AssemblyAI key|ASSEMBLYAI_API_KEY|skills.entries.assemblyai.apiKey|{h:32}
azure-speech|Azure Speech key|AZURE_SPEECH_KEY|plugins.entries.azure-speech.config.apiKey|{h:32}
fish|Fish Audio API key|FISH_AUDIO_API_KEY|tts.providers.fish.apiKey|{h:32}
inworld|Inworld API key|INWORLD_API_KEY|tts.providers.inworld.apiKey|{b6464}
gradium|Gradium API key|GRADIUM_API_KEY|tts.providers.gradium.apiKey|gsk_{h:64}
senseaudio|SenseAudio API key|SENSEAUDIO_API_KEY|tts.providers.senseaudio.apiKey|sk-{a:36}
volcengine-tts|Volcengine TTS token|VOLCENGINE_TTS_TOKEN|tts.providers.volcengine.apiKey|{w:32}
brave|Brave Search key|BRAVE_API_KEY|plugins.entries.brave.config.webSearch.apiKey|BSA{w:28}
tavily|Tavily key|TAVILY_API_KEY|plugins.entries.tavily.config.webSearch.apiKey|tvly-dev-{a:32}
tavily-old|Tavily API key|TAVILY_API_KEY|plugins.entries.tavily.config.webSearch.apiKey|tvly-{a:32}
firecrawl|Firecrawl API key|FIRECRAWL_API_KEY|plugins.entries.firecrawl.config.webFetch.apiKey|fc-{h:32}
exa|Exa API key|EXA_API_KEY|plugins.entries.exa.config.webSearch.apiKey|{uuid}
serper|Serper key|SERPER_API_KEY|skills.entries.serper.apiKey|{h:40}
serpapi|SerpApi key|SERPAPI_API_KEY|skills.entries.serpapi.apiKey|{h:64}
"""
CHANNELS = """
telegram|Telegram bot token|TELEGRAM_BOT_TOKEN|channels.telegram.accounts.home.botToken|{n:1}{d:8-9}:AA{w:33}
telegram-secret|Telegram webhook secret|TELEGRAM_WEBHOOK_SECRET|channels.telegram.webhookSecret|{w:40}
discord|Discord bot token|DISCORD_BOT_TOKEN|channels.discord.token|{discord}
discord-client|Discord client secret|DISCORD_CLIENT_SECRET|channels.discord.activities.clientSecret|{w:32}
discord-webhook|Discord webhook|DISCORD_WEBHOOK_URL|skills.entries.alerts.webhookUrl|https://discord.com/api/webhooks/1{d:18}/{w:68}
slack-bot|Slack bot token|SLACK_BOT_TOKEN|channels.slack.accounts.team.botToken|xoxb-{n:1}{d:11}-{n:1}{d:12}-{a:24}
slack-user|Slack user token|SLACK_USER_TOKEN|channels.slack.userToken|xoxp-{n:1}{d:11}-{n:1}{d:11}-{n:1}{d:12}-{h:32}
slack-app|Slack app token|SLACK_APP_TOKEN|channels.slack.appToken|xapp-1-A0{u:9}-{n:1}{d:12}-{h:64}
slack-signing|Slack signing secret|SLACK_SIGNING_SECRET|channels.slack.signingSecret|{h:32}
slack-rotated|Slack access token|SLACK_BOT_TOKEN|channels.slack.botToken|xoxe.xoxb-1-{a:166}
slack-refresh|Slack refresh token|SLACK_CONFIG_REFRESH_TOKEN|channels.slack.refreshToken|xoxe-1-{a:146}
slack-webhook|Slack webhook|SLACK_WEBHOOK_URL|skills.entries.alerts.url|https://hooks.slack.com/services/T0{u:9}/B0{u:9}/{a:24}
slack-relay|Slack relay token|SLACK_RELAY_AUTH_TOKEN|channels.slack.relay.authToken|{w:43}
whatsapp|WhatsApp access token|WHATSAPP_ACCESS_TOKEN|channels.whatsapp.accessToken|EAA{a:190}
matrix-synapse|Matrix access token|MATRIX_ACCESS_TOKEN|channels.matrix.accessToken|syt_{a:11}_{A:20}_{a:6}
matrix-mas|Matrix access token|MATRIX_ACCESS_TOKEN|channels.matrix.accessToken|mat_{a:30}_{a:6}
matrix-password|Matrix password|MATRIX_PASSWORD|channels.matrix.password|{password}
matrix-recovery|Matrix recovery key|MATRIX_RECOVERY_KEY|channels.matrix.recoveryKey|{recovery}
mattermost|Mattermost bot token|MATTERMOST_BOT_TOKEN|channels.mattermost.botToken|{l:26}
msteams|Teams app password|MSTEAMS_APP_PASSWORD|channels.msteams.appPassword|{a:3}8Q~{q:34}
azure-client|Azure client secret|AZURE_CLIENT_SECRET|skills.entries.azure.clientSecret|{a:3}7Q~{w:34}
feishu|Feishu app secret|FEISHU_APP_SECRET|channels.feishu.accounts.main.appSecret|{a:32}
feishu-encrypt|Feishu encrypt key|FEISHU_ENCRYPT_KEY|channels.feishu.encryptKey|{a:32}
feishu-verify|Feishu verification token|FEISHU_VERIFICATION_TOKEN|channels.feishu.verificationToken|{a:32}
line|LINE channel access token|LINE_CHANNEL_ACCESS_TOKEN|channels.line.channelAccessToken|{b64128}
line-secret|LINE channel secret|LINE_CHANNEL_SECRET|channels.line.channelSecret|{h:32}
zalo|Zalo bot token|ZALO_BOT_TOKEN|channels.zalo.botToken|{n:1}{d:18}:{a:43}
nostr|Nostr private key|NOSTR_PRIVATE_KEY|channels.nostr.privateKey|nsec1{z:58}
nostr-hex|Nostr private key|NOSTR_PRIVATE_KEY|channels.nostr.privateKey|{h:64}
buzz|Buzz private key|BUZZ_PRIVATE_KEY|channels.buzz.privateKey|nsec1{z:58}
twitch|Twitch access token|OPENCLAW_TWITCH_ACCESS_TOKEN|channels.twitch.accessToken|oauth:{l:30}
twitch-client|Twitch client secret|TWITCH_CLIENT_SECRET|channels.twitch.clientSecret|{l:30}
qqbot|QQ bot client secret|QQBOT_CLIENT_SECRET|channels.qqbot.clientSecret|{a:32}
nextcloud|Nextcloud Talk bot secret|NEXTCLOUD_TALK_BOT_SECRET|channels.nextcloud-talk.botSecret|{h:64}
nextcloud-app|Nextcloud app password|NEXTCLOUD_TALK_API_PASSWORD|channels.nextcloud-talk.apiPassword|{a:5}-{a:5}-{a:5}-{a:5}-{a:5}
twilio|Twilio auth token|TWILIO_AUTH_TOKEN|channels.sms.authToken|{h:32}
twilio-secret|Twilio API secret|TWILIO_API_SECRET|plugins.entries.voice-call.config.twilio.apiSecret|{a:32}
irc|IRC password|IRC_PASSWORD|channels.irc.password|{password}
nickserv|NickServ password|IRC_NICKSERV_PASSWORD|channels.irc.nickserv.password|{password}
synology|Synology Chat token|SYNOLOGY_CHAT_TOKEN|channels.synology-chat.token|{a:64}
clickclack|ClickClack bot token|CLICKCLACK_BOT_TOKEN|channels.clickclack.token|{w:43}
pluralkit|PluralKit token|PLURALKIT_TOKEN|channels.discord.pluralkit.token|{s:64}
a2a|A2A peer token|A2A_TOKEN|channels.a2a.peers.den.outboundToken|{h:64}
gateway|OpenClaw gateway token|OPENCLAW_GATEWAY_TOKEN|gateway.auth.token|{h:48}
gateway-w|gateway token|OPENCLAW_GATEWAY_TOKEN|gateway.remote.token|{w:43}
gateway-password|gateway password|OPENCLAW_GATEWAY_PASSWORD|gateway.auth.password|{password}
hooks|hooks token|OPENCLAW_HOOKS_TOKEN|hooks.token|{h:48}
cron-webhook|cron webhook token|CRON_WEBHOOK_TOKEN|cron.webhookToken|{w:32}
push|Gmail push token|GMAIL_PUSH_TOKEN|hooks.gmail.pushToken|{h:40}
mcp|MCP token|OPENCLAW_MCP_TOKEN|mcp.servers.files.env.MCP_TOKEN|{h:64}
clawhub|ClawHub token|CLAWHUB_TOKEN|skills.entries.clawhub.token|clh_{w:43}
vapid|VAPID private key|OPENCLAW_VAPID_PRIVATE_KEY|gateway.push.vapidPrivateKey|{w:43}
imap|IMAP password|IMAP_PASSWORD|plugins.entries.imap.config.accounts.home.password|{password}
"""
CLOUD = """
github-good|GitHub token|GITHUB_TOKEN|gateway.controlUi.github.token|{ghp}
github|GitHub token|GH_TOKEN|gateway.controlUi.github.token|ghp_{a:36}
github-oauth|GitHub OAuth token|COPILOT_GITHUB_TOKEN|models.providers.github-copilot.apiKey|gho_{a:36}
github-oauth-good|Copilot token|COPILOT_GITHUB_TOKEN|models.providers.github-copilot.apiKey|{gho}
github-user|GitHub token|GITHUB_TOKEN|gateway.controlUi.github.token|ghu_{a:36}
github-install|GitHub token|GITHUB_TOKEN|plugins.entries.team-reports.config.github.token|ghs_{a:36}
github-install-good|GitHub token|GITHUB_TOKEN|plugins.entries.team-reports.config.github.token|{ghs}
github-refresh|GitHub refresh token|GITHUB_REFRESH_TOKEN|profiles.github.refreshToken|ghr_{a:76}
github-fine|GitHub PAT|GITHUB_PERSONAL_ACCESS_TOKEN|mcp.servers.github.env.GITHUB_PERSONAL_ACCESS_TOKEN|github_pat_11{u:20}_{a:59}
gitlab|GitLab token|GITLAB_TOKEN|mcp.servers.gitlab.env.GITLAB_TOKEN|glpat-{w:20}
gitlab-routable|GitLab token|GITLAB_TOKEN|mcp.servers.gitlab.env.GITLAB_TOKEN|glpat-{w:27}.01.{l:9}
gitlab-deploy|GitLab deploy token|GITLAB_DEPLOY_TOKEN|mcp.servers.gitlab.env.GITLAB_DEPLOY_TOKEN|gldt-{w:20}
gitlab-runner|GitLab runner token|GITLAB_RUNNER_TOKEN|mcp.servers.gitlab.env.RUNNER_TOKEN|glrt-{w:20}
npm-good|npm token|NPM_TOKEN|env.vars.NPM_TOKEN|{npm}
npm|npm token|NODE_AUTH_TOKEN|env.vars.NODE_AUTH_TOKEN|npm_{a:36}
pypi|PyPI token|UV_PUBLISH_TOKEN|env.vars.UV_PUBLISH_TOKEN|pypi-AgEIcHlwaS5vcmc{w:150}
dockerhub|Docker Hub token|DOCKERHUB_TOKEN|env.vars.DOCKERHUB_TOKEN|dckr_pat_{w:27}
dockerhub-org|Docker Hub token|DOCKERHUB_TOKEN|env.vars.DOCKERHUB_TOKEN|dckr_oat_{w:32}
tailscale|Tailscale auth key|TS_AUTHKEY|env.vars.TS_AUTHKEY|tskey-auth-k{a:11}CNTRL-{a:32}
tailscale-api|Tailscale API key|TS_API_KEY|env.vars.TS_API_KEY|tskey-api-k{a:11}CNTRL-{a:32}
tailscale-client|Tailscale OAuth secret|TS_CLIENT_SECRET|env.vars.TS_CLIENT_SECRET|tskey-client-k{a:11}CNTRL-{a:32}
ngrok|ngrok authtoken|NGROK_AUTHTOKEN|env.vars.NGROK_AUTHTOKEN|2{a:26}_{a:21}
ngrok-api|ngrok API key|NGROK_API_KEY|env.vars.NGROK_API_KEY|2{a:26}_{a:21}
cloudflare|Cloudflare API token|CLOUDFLARE_API_TOKEN|env.vars.CLOUDFLARE_API_TOKEN|{w:40}
cloudflare-new|Cloudflare API token|CLOUDFLARE_API_TOKEN|env.vars.CLOUDFLARE_API_TOKEN|cfut_{a:40}{h:8}
cloudflare-account|Cloudflare token|CLOUDFLARE_API_TOKEN|env.vars.CLOUDFLARE_API_TOKEN|cfat_{a:40}{h:8}
cf-gateway|Cloudflare AI Gateway key|CLOUDFLARE_AI_GATEWAY_API_KEY|models.providers.cloudflare-ai-gateway.apiKey|{w:40}
cf-access|Cloudflare Access client secret|CF_ACCESS_CLIENT_SECRET|gateway.cloudflareAccess.clientSecret|{h:64}
digitalocean|DigitalOcean token|DIGITALOCEAN_ACCESS_TOKEN|env.vars.DIGITALOCEAN_ACCESS_TOKEN|dop_v1_{h:64}
hetzner|Hetzner token|HCLOUD_TOKEN|env.vars.HCLOUD_TOKEN|{a:64}
linode|Linode token|LINODE_TOKEN|env.vars.LINODE_TOKEN|{h:64}
heroku|Heroku API key|HEROKU_API_KEY|env.vars.HEROKU_API_KEY|HRKU-AA{w:58}
fly|Fly token|FLY_API_TOKEN|env.vars.FLY_API_TOKEN|fo1_{w:43}
vercel|Vercel token|VERCEL_TOKEN|env.vars.VERCEL_TOKEN|vcp_{w:56}
vercel-old|Vercel token|VERCEL_TOKEN|env.vars.VERCEL_TOKEN|{a:24}
aws-secret|AWS secret access key|AWS_SECRET_ACCESS_KEY|env.vars.AWS_SECRET_ACCESS_KEY|{s:40}
aws-session|AWS session token|AWS_SESSION_TOKEN|env.vars.AWS_SESSION_TOKEN|IQoJb3JpZ2luX2VjE{s:420}
aws-key-id|AWS access key|AWS_ACCESS_KEY_ID|env.vars.AWS_ACCESS_KEY_ID|AKIA{2:16}
vault|Vault token|VAULT_TOKEN|secrets.providers.vault.token|hvs.CAESI{w:90}
vault-old|Vault token|VAULT_TOKEN|secrets.providers.vault.token|s.{a:24}
vault-approle|Vault secret id|VAULT_SECRET_ID|secrets.providers.vault.secretId|{uuid}
google-access|Google access token|GOOGLE_ACCESS_TOKEN|profiles.google.token|ya29.a0{w:180}
google-client|Google client secret|GOOGLE_CLIENT_SECRET|profiles.google.clientSecret|GOCSPX-{w:28}
google-refresh|Google refresh token|GOOGLE_REFRESH_TOKEN|profiles.google.refreshToken|1//0{w:100}
sendgrid|SendGrid key|SENDGRID_API_KEY|env.vars.SENDGRID_API_KEY|SG.{w:22}.{w:43}
mailgun|Mailgun key|MAILGUN_API_KEY|env.vars.MAILGUN_API_KEY|key-{h:32}
mailgun-new|Mailgun key|MAILGUN_API_KEY|env.vars.MAILGUN_API_KEY|{h:32}-{h:8}-{h:8}
resend|Resend key|RESEND_API_KEY|env.vars.RESEND_API_KEY|re_{a:8}_{a:24}
stripe|Stripe secret key|STRIPE_SECRET_KEY|env.vars.STRIPE_SECRET_KEY|sk_live_{a:99}
stripe-short|Stripe key|STRIPE_API_KEY|env.vars.STRIPE_API_KEY|rk_live_{a:24}
notion|Notion token|NOTION_TOKEN|mcp.servers.notion.env.NOTION_TOKEN|ntn_{d:11}{a:35}
notion-old|Notion API key|NOTION_API_KEY|skills.entries.notion.apiKey|secret_{a:43}
linear|Linear API key|LINEAR_API_KEY|mcp.servers.linear.env.LINEAR_API_KEY|lin_api_{a:40}
grafana|Grafana token|GRAFANA_TOKEN|env.vars.GRAFANA_TOKEN|glsa_{a:32}_{h:8}
grafana-good|Grafana token|GRAFANA_API_KEY|env.vars.GRAFANA_API_KEY|{grafana}
sentry-user|Sentry token|SENTRY_AUTH_TOKEN|env.vars.SENTRY_AUTH_TOKEN|sntryu_{h:64}
airtable|Airtable token|AIRTABLE_TOKEN|mcp.servers.airtable.env.AIRTABLE_TOKEN|pat{a:14}.{h:64}
figma|Figma token|FIGMA_TOKEN|mcp.servers.figma.env.FIGMA_TOKEN|figd_{w:40}
shopify|Shopify token|SHOPIFY_TOKEN|mcp.servers.shop.env.SHOPIFY_TOKEN|shpat_{h:32}
databricks|Databricks token|DATABRICKS_TOKEN|mcp.servers.data.env.DATABRICKS_TOKEN|dapi{h:32}
supabase|Supabase service role key|SUPABASE_SERVICE_ROLE_KEY|mcp.servers.db.env.SUPABASE_SERVICE_ROLE_KEY|{jwt}
atlassian|Jira API token|JIRA_API_TOKEN|mcp.servers.jira.env.JIRA_API_TOKEN|ATATT3xFfGF0{w:170}={H:8}
asana|Asana token|ASANA_ACCESS_TOKEN|mcp.servers.asana.env.ASANA_ACCESS_TOKEN|2/{d:16}/{d:16}:{h:32}
todoist|Todoist API token|TODOIST_API_TOKEN|skills.entries.todoist.apiKey|{h:40}
homeassistant|Home Assistant token|HASS_TOKEN|skills.entries.home.token|{jwt}
postgres-password|Postgres password|POSTGRES_PASSWORD|env.vars.POSTGRES_PASSWORD|{password}
redis-password|Redis password|REDIS_PASSWORD|env.vars.REDIS_PASSWORD|{h:32}
age|age key|AGE_SECRET_KEY|env.vars.AGE_SECRET_KEY|AGE-SECRET-KEY-1{Z:58}
wireguard|WireGuard private key|WG_PRIVATE_KEY|env.vars.WG_PRIVATE_KEY|{b6432}
azure-storage|Azure storage account key|AZURE_STORAGE_KEY|env.vars.AZURE_STORAGE_KEY|{b6464}
"""
URLS = """
postgres-url|database URL|DATABASE_URL|env.vars.DATABASE_URL|postgresql://app:{a:24}@db.internal.acme.io:5432/app
postgres-odd|database URL|DATABASE_URL|env.vars.DATABASE_URL|postgres://svc_bot:{w:20}@10.2.0.14/claw?sslmode=require
mysql-url|MySQL URL|MYSQL_URL|env.vars.MYSQL_URL|mysql://root:{a:16}@mysql:3306/shop
mongo-url|Mongo URI|MONGODB_URI|env.vars.MONGODB_URI|mongodb+srv://claw:{a:18}@cluster0.q8s2x.mongodb.net/?retryWrites=true
redis-url|Redis URL|REDIS_URL|env.vars.REDIS_URL|redis://:{h:32}@cache.acme.io:6379/0
amqp-url|AMQP URL|AMQP_URL|env.vars.AMQP_URL|amqps://mq:{a:20}@rabbit.acme.io/vhost
proxy-url|proxy URL|HTTPS_PROXY|proxy.proxyUrl|http://egress:{a:20}@proxy.acme.io:3128
git-url|clone URL|REPO_URL|env.vars.REPO_URL|https://deploy:{w:24}@git.acme.io/ops/claw.git
smtp-url|SMTP URL|SMTP_URL|env.vars.SMTP_URL|smtps://mailer:{a:20}@mail.acme.io:465
synology-url|Synology webhook|SYNOLOGY_CHAT_INCOMING_URL|channels.synology-chat.incomingUrl|https://nas.acme.io:5001/webapi/entry.cgi?api=SYNO.Chat.External&method=incoming&version=2&token=%22{a:64}%22
telegram-url|Telegram API URL|TELEGRAM_API|env.vars.TELEGRAM_API|https://api.telegram.org/bot{n:1}{d:9}:AA{w:33}/getMe
googlechat-url|Google Chat webhook|GOOGLE_CHAT_WEBHOOK|env.vars.GOOGLE_CHAT_WEBHOOK|https://chat.googleapis.com/v1/spaces/AAAA{w:7}/messages?key=AIzaSy{w:33}&token={w:43}
"""
KEYS = """
rsa|private key|TLS_KEY|models.providers.local.request.tls.key|{rsa}
rsa-old|RSA key|GITHUB_APP_PRIVATE_KEY|env.vars.GITHUB_APP_PRIVATE_KEY|{rsaold}
ec|EC key|EC_KEY|tools.media.audio.request.tls.key|{ec}
apns|APNs key|OPENCLAW_APNS_PRIVATE_KEY|gateway.push.apnsKey|{p8}
ssh|SSH key|SSH_KEY|agents.defaults.sandbox.ssh.identityData|{ssh}
"""


@dataclass(frozen=True)
class Type:
    """A credential: its name here, what people call it, its variable, its place in openclaw.json, its template."""

    slug: str
    label: str
    variable: str
    place: str
    template: str
    group: str


def table(text: str, group: str) -> list[Type]:
    rows = (line.split("|", 4) for line in text.strip().splitlines())
    return [Type(*row, group) for row in rows]


TOKENS = table(LLM, "llm") + table(MEDIA, "media") + table(CHANNELS, "channel") + table(CLOUD, "cloud")
ADDRESSES = table(URLS, "url")
BLOCKS = table(KEYS, "pem")
ALL = TOKENS + ADDRESSES + BLOCKS
