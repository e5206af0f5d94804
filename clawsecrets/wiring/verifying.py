"""`--verify`, put together: a finding's provider file, its `test`, and where that may be sent.

Only to the host of a shipped provider file, or to one that this host's configuration names; by https (the provider
files' rule; http on a loopback address of the configuration), without following redirects, and to no address that is
not public, unless the configuration says `base_url`. The name is resolved before, and the connection's own address is
checked again before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from clawsecrets.config.shape import ProviderConfig
from clawsecrets.model.provider import Provider
from clawsecrets.model.secret import SecretValue, Stage
from clawsecrets.ports import Clock, Reply, Request
from clawsecrets.scan.sought import RULE
from clawsecrets.scan.verify import Asks, refuse_pull_request, verify

if TYPE_CHECKING:
    from clawsecrets.config import Config
    from clawsecrets.scan.triage import Group

Resolve = Callable[[str, int], list[str]]


def verify_groups(groups: Iterable[Group], providers: Mapping[str, Provider], config: Config | None,
                  environ: Mapping[str, str], say: Callable[[str], None], clock: Clock, *, force: bool = False,
                  resolve: Resolve | None = None) -> None:
    """Ask about every group whose provider can be asked; `live` and `live_detail` of the groups are filled in.
    UsageError in the job of a pull request, unless forced. `resolve`: host and port -> addresses."""
    refuse_pull_request(environ, force)
    made: dict[str, Asks | None] = {}

    def provider(group: Group) -> Asks | None:
        code = group.rule.provider
        if code not in providers or not _is_credential(group, providers[code]):
            return None
        if code not in made:
            own = config.providers.get(code, ProviderConfig()) if config else ProviderConfig()
            made[code] = _asks(providers[code], own, resolve)
        return made[code]

    verify(groups, provider, say, clock)


def _is_credential(group: Group, provider: Provider) -> bool:
    """Whether the provider file's test is about what was found: another of its tokens would be called dead."""
    if group.known is not None and group.known.stage == Stage.REFRESH:
        return False
    return group.rule.id == f"{provider.code}.{RULE}" or any(rule.id == group.rule.id for rule in provider.detect)


def _asks(provider: Provider, own: ProviderConfig, resolve: Resolve | None) -> Asks | None:
    """None: it has no test."""
    operation = provider.operation("test")
    if operation is None:
        return None
    from clawsecrets.clients.http import Limits
    from clawsecrets.issuers.http import HttpIssuer

    options = dict(own.options)
    if own.base_url:
        options["base_url"] = own.base_url
    if own.ca_bundle is not None:
        options["ca_bundle"] = str(own.ca_bundle)
    public = not own.base_url
    usual = Limits()
    total = min(usual.total, own.timeout or usual.total)
    limits = replace(usual, connect=min(usual.connect, total), read=total, total=total)
    issuer = HttpIssuer(provider, limits, public_only=public)
    request = Request("scan", "", options=options)
    said = issuer.describe("test", request)
    host = own.base_url or operation.request.host or provider.host

    def ask(value: SecretValue) -> Reply:
        return issuer.test(value, request)

    return Asks(ask, said, _trouble(host, resolve) if public and host else "")


def _trouble(base: str, resolve: Resolve | None) -> str:
    """Why nothing is sent there; empty when it can be."""
    from clawsecrets.clients.addresses import is_public, resolved

    parts = urlsplit(base)
    if parts.scheme != "https":
        return f"{base} is not https"
    host = parts.hostname or ""
    found = (resolve or resolved)(host, parts.port or 443)
    if not found:
        return f"the name {host} has no address here"
    private = [address for address in found if not is_public(address)]
    if private:
        return f"{host} has the address {private[0]} here, which is not public: set base_url if that is right"
    return ""
