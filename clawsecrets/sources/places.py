"""Where credentials usually stand on a host, relative to a home folder or absolute. Data, in one place."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Mapping, Sequence

HOME: Sequence[str] = (
    # env files, and compose projects one folder below
    ".env", ".env.*", "*/.env", "*/.env.*", "*/compose*.y*ml", "*/docker-compose*.y*ml", "compose*.y*ml",
    "docker-compose*.y*ml", "*/secrets", ".config/environment.d",
    # histories
    ".bash_history", ".zsh_history", ".zhistory", ".sh_history", ".ash_history", ".history", ".ksh_history",
    ".local/share/fish/fish_history", ".python_history", ".node_repl_history", ".irb_history", ".psql_history",
    ".mysql_history", ".sqlite_history", ".rediscli_history", ".mongosh", ".viminfo", ".lesshst", ".wget-hsts",
    # shells
    ".profile", ".bashrc", ".bash_profile", ".bash_login", ".zshrc", ".zprofile", ".zshenv", ".config/fish",
    # tools that keep credentials
    ".netrc", "_netrc", ".pgpass", ".my.cnf", ".npmrc", ".pypirc", ".yarnrc", ".yarnrc.yml", ".gem/credentials",
    ".cargo/credentials*", ".git-credentials", ".gitconfig", ".config/git", ".aws", ".azure", ".boto", ".s3cfg",
    ".config/gcloud", ".config/gh", ".config/hub", ".config/glab-cli", ".config/rclone", ".config/doctl",
    ".config/op", ".docker/config.json", ".config/containers/auth.json", ".kube/config", ".terraform.d/credentials*",
    ".vault-token", ".ssh", ".config/systemd/user", ".msmtprc", ".mutt", ".fetchmailrc", ".codex", ".claude",
    ".claude.json", ".config/openai", ".gemini",
    # OpenClaw, and its names of before
    ".openclaw", ".clawdbot", ".moltbot", ".config/openclaw",
)
SYSTEM: Sequence[str] = (
    "/etc/environment", "/etc/profile", "/etc/profile.d", "/etc/default", "/etc/openclaw", "/etc/systemd/system",
    "/etc/docker", "/etc/crontab", "/etc/cron.d", "/var/spool/cron", "/etc/ppp/*-secrets", "/etc/wpa_supplicant",
    "/opt/*/.env", "/opt/*/.env.*", "/opt/*/compose*.y*ml", "/opt/*/docker-compose*.y*ml",
    "/srv/*/.env", "/srv/*/.env.*", "/srv/*/compose*.y*ml", "/srv/*/docker-compose*.y*ml", "/run/secrets",
)
VARIABLES: Sequence[str] = ("OPENCLAW_STATE_DIR", "OPENCLAW_HOME", "OPENCLAW_CONFIG_PATH")
"""Environment variables that name more."""


def usual(homes: Iterable[str], environ: Mapping[str, str], root: str = "/") -> list[str]:
    """The places that are there, each once, those inside of another left out. `root` is a host's root elsewhere."""
    patterns = [os.path.join(home, place) for home in homes for place in HOME]
    patterns += [os.path.join(root, place.lstrip("/")) for place in SYSTEM]
    found = {path for pattern in patterns for path in glob.glob(pattern)}
    found |= {environ[name] for name in VARIABLES if os.path.isabs(environ.get(name, ""))}
    kept: list[str] = []
    for path in sorted(map(os.path.normpath, found)):
        if os.path.lexists(path) and not (kept and path.startswith(kept[-1] + os.sep)):
            kept.append(path)
    return kept
