"""A running OpenClaw gateway: make it read its secrets again over its own RPC, and prove what it uses.

Two kinds of secret concern it. Its own token (or password): it is the validator, holds one only, and proof is that it
accepts the new one and refuses the old. Any other: proof is that its active snapshot holds the new value in a field
of its configuration, that no degraded owner has that field, and that the channel whose field it is still answers.

What a reload does not reach: memory search keeps an embedding key until the gateway's process ends, and what comes from
the gateway's environment (`.env`) is read once. With `restart`, a command, the process is started anew where that is
needed; it is proven by a process that began after the value was written. Without it, a person is asked to do so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from clawsecrets.clients.gateway import (
    GatewayClient,
    GatewayError,
    GatewayLost,
    GatewayRefused,
    GatewayRpcError,
    GatewayUnreachable,
    accepts,
    check_url,
)
from clawsecrets.consumers import openclaw_view as view
from clawsecrets.consumers.command import CommandConsumer
from clawsecrets.errors import ClawError
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Consumer, Handover, Reply

LOOK_AGAIN = 0.25
"""Seconds between two tries to enter a gateway that starts."""
PROBE_SECONDS = 8.0
"""How long one channel may take to answer a probe."""


PROVES = ("its own token: the new one opens the gateway, the old one does not; any other: its snapshot holds the new "
          "value, and the channel whose field it is answers")
CANNOT = "a field that it does not read back; without `restart`: a key that memory search keeps, or one from `.env`"


class OpenClawConsumer:
    """One gateway.

    `is_own`: whether a secret of that provider is the gateway's own token or password. `tokens`: its values that may
    be in effect now, likeliest first, for every other secret's rotation. `timeout`: seconds for connecting and for
    calls that only read (a refusal alone can take 5 s); `reload_timeout`: for a reload, which restarts channels.
    """

    def __init__(
        self,
        target: str,
        url: str,
        is_own: Callable[[str], bool],
        tokens: Callable[[], Sequence[SecretValue]],
        reads: Collection[str] = (),
        timeout: float = 10.0,
        reload_timeout: float = 90.0,
        restart: Sequence[str] = (),
    ) -> None:
        """ConfigError when the url would send the token in the clear to another host."""
        check_url(url)
        self._target = target
        self._url = url
        self._is_own = is_own
        self._tokens = tokens
        self._reads = frozenset(reads)
        self._timeout = timeout
        self._reload_timeout = reload_timeout
        self._restart = tuple(restart)

    @property
    def target(self) -> str:
        """Its configured name."""
        return self._target

    @property
    def validates(self) -> bool:
        """It accepts or refuses its own token; of other self-issued values it shows which one it holds."""
        return True

    @property
    def reads(self) -> Collection[str]:
        """Names of the injectors it reads from."""
        return self._reads

    def describe(self) -> str:
        """One line for `--dry-run` and docs."""
        return f"OpenClaw gateway {self._url} (secrets.reload)"

    def reload(self, handover: Handover) -> Reply:
        """`secrets.reload`, authenticated with the old token where it is the token that changes."""
        try:
            return self._reload(handover)
        except GatewayUnreachable as error:
            return Reply(Outcome.LATER, error.detail, after=error.after)
        except GatewayLost as error:
            return Reply(Outcome.UNKNOWN, error.detail)
        except GatewayRpcError as error:
            outcome = Outcome.LATER if error.retryable else Outcome.REFUSED
            return Reply(outcome, f"{error.detail}; it keeps what it had", after=error.after)
        except GatewayRefused as error:
            return Reply(Outcome.REFUSED if self._own(handover) else Outcome.LATER, error.detail)
        except ClawError as error:
            return Reply(Outcome.LATER, error.message)

    def probe(self, handover: Handover) -> Reply:
        """Which value is in effect: tried at the door for its own token, read back for any other."""
        return _looked(lambda: self._try_both(handover) if self._own(handover) else self._which(handover))

    def prove(self, handover: Handover) -> Reply:
        """Does it use the new value? See the module's words for what counts."""
        return _looked(lambda: self._try_both(handover) if self._own(handover) else self._in_use(handover))

    def preflight(self, handover: Handover) -> Reply:
        """Reachable, with the right to reload, and with a SecretRef that a reload would change."""
        def look() -> Reply:
            try:
                return self._preflight(handover)
            except GatewayUnreachable as error:
                return Reply(Outcome.LATER, f"{error.detail}: does the gateway run, at {self._url}?", after=error.after)

        return _looked(look)

    # --- reload ---------------------------------------------------------------------------------------------------

    def _own(self, handover: Handover) -> bool:
        return self._is_own(handover.provider)

    def _reload(self, handover: Handover) -> Reply:
        tokens = _known(handover.old, handover.new) if self._own(handover) else self._tokens()
        with self._entered(tokens) as client:
            client.call("secrets.reload", timeout=self._reload_timeout)
            try:
                reply = self._after_reload(client, handover)
                if reply.outcome is not Outcome.OK or self._own(handover) or not self._restart:
                    return reply
                kept = self._kept(client, handover)
            except GatewayError as error:
                return Reply(Outcome.UNKNOWN, f"it reloaded, but then: {error.detail}")
        return self._anew(handover, kept) if kept else reply

    def _kept(self, client: GatewayClient, handover: Handover) -> Sequence[view.Path]:
        """Fields that the running process will not take the new value from."""
        config = view.source_config(client)
        held = view.holdings(client, config, handover)
        return [*held.frozen_at, *view.kept_by_memory(client, config, held.new_at)]

    def _anew(self, handover: Handover, kept: Sequence[view.Path]) -> Reply:
        """Run the restart command, and wait for a process that began after it."""
        began = time.time()
        reply = CommandConsumer(self._target, self._restart, timeout=self._reload_timeout).reload(handover)
        if reply.outcome is not Outcome.OK:
            return replace(reply, detail=f"restart, for {_list(kept)}: {reply.detail}")
        end, told = time.monotonic() + self._reload_timeout, "it does not say when its process began"
        while time.monotonic() < end:
            try:
                with self._entered(self._tokens()) as client:
                    if client.began > began:
                        return Reply(Outcome.OK, f"reloaded, and started anew for {_list(kept)}")
                    told = "its process is the old one" if client.began else told
            except GatewayError as error:
                told = error.detail
            time.sleep(LOOK_AGAIN)
        return Reply(Outcome.UNKNOWN, f"restart, for {_list(kept)}: {told}")

    def _after_reload(self, client: GatewayClient, handover: Handover) -> Reply:
        """A reload that was under way when ours came answers both, and may have read the former value. Ours has
        waited for it, so one more reads anew."""
        own = self._own(handover)
        if own and accepts(self._url, handover.new, self._timeout):
            return Reply(Outcome.OK, "reloaded; it accepts the new token")
        warnings = client.call("secrets.reload", timeout=self._reload_timeout).get("warningCount")
        if own and not accepts(self._url, handover.new, self._timeout):
            return Reply(Outcome.REFUSED, "it reloaded, but does not accept the new token: it reads another one")
        return Reply(Outcome.OK, f"reloaded, {warnings} warning(s)" if warnings else "reloaded")

    @contextmanager
    def _entered(self, tokens: Iterable[SecretValue]) -> Iterator[GatewayClient]:
        """A client that the gateway let in with one of these. GatewayRefused: with none; GatewayUnreachable."""
        with ExitStack() as stack:
            yield self._first(stack, tokens)

    def _first(self, stack: ExitStack, tokens: Iterable[SecretValue]) -> GatewayClient:
        refused = "no token is known for it: bind the gateway's own to it (clawsecrets configure NAME --consume)"
        for token in tokens:
            try:
                return stack.enter_context(GatewayClient(self._url, token, timeout=self._timeout))
            except GatewayRefused as error:
                refused = error.detail
        raise GatewayRefused(refused)

    # --- its own token --------------------------------------------------------------------------------------------

    def _try_both(self, handover: Handover) -> Reply:
        new = accepts(self._url, handover.new, self._timeout)
        old = False
        if handover.old is not None and handover.old != handover.new:
            old = accepts(self._url, handover.old, self._timeout)
        if new and not old:
            return Reply(Outcome.OK, proof=f"{self._url} accepts the new token and refuses the old")
        if old and not new:
            return Reply(Outcome.REFUSED, "it accepts the old token and refuses the new")
        if new:
            return Reply(Outcome.LATER, "it accepts both tokens: is gateway.auth.mode token or password?", after=5.0)
        return Reply(Outcome.LATER, "it accepts neither the new nor the old token", after=5.0)

    # --- any other secret -----------------------------------------------------------------------------------------

    def _which(self, handover: Handover) -> Reply:
        with self._entered(self._tokens()) as client:
            held = view.holdings(client, view.source_config(client), handover)
        if old := [*held.old_at, *held.frozen_at]:
            return Reply(Outcome.REFUSED, f"it still holds the old value in {view.dotted(old[0])}")
        if held.new_at:
            return Reply(Outcome.OK, proof=f"it holds the new value in {_list(held.new_at)}")
        return Reply(Outcome.LATER, _absent(held), person=True)

    def _in_use(self, handover: Handover) -> Reply:
        with self._entered(self._tokens()) as client:
            config = view.source_config(client)
            held = view.holdings(client, config, handover)
            if held.old_at:
                return Reply(Outcome.REFUSED, f"it still holds the old value in {view.dotted(held.old_at[0])}")
            if held.frozen_at:
                why = f"{_list(held.frozen_at)} comes from its environment, which is read once: {_anew(handover)}"
                return Reply(Outcome.LATER, why, person=True)
            if trouble := view.degraded(client, [*held.new_at, *held.unread]):
                return Reply(Outcome.LATER, trouble, after=30.0)
            if not held.new_at:
                return Reply(Outcome.LATER, _absent(held), person=True)
            if ill := self._ill_channel(client, held.new_at):
                return ill
            anew = client.began > handover.since > 0
            if not anew and (kept := view.kept_by_memory(client, config, held.new_at)):
                why = f"memory search may use {_list(kept)} and keeps the old one until then: {_anew(handover)}"
                return Reply(Outcome.LATER, why, person=True)
        if anew:
            return Reply(Outcome.OK, proof=f"its process began with the new value, held in {_list(held.new_at)}")
        return Reply(Outcome.OK, proof=f"the gateway's active snapshot holds it in {_list(held.new_at)}")

    def _ill_channel(self, client: GatewayClient, paths: Sequence[view.Path]) -> Reply | None:
        for health in view.channel_health(client, paths, PROBE_SECONDS):
            if health.rejected:
                return Reply(Outcome.REFUSED, health.detail)
            if not health.ok:
                return Reply(Outcome.LATER, health.detail, after=15.0, person=health.untestable)
        return None

    # --- before anything ------------------------------------------------------------------------------------------

    def _preflight(self, handover: Handover) -> Reply:
        own = self._own(handover)
        with self._entered(_known(handover.new, handover.old) if own else self._tokens()) as client:
            if not client.admin:
                why = "it lets us in without the right to reload; reach it over loopback on its own host"
                return Reply(Outcome.REFUSED, why)
            config = view.source_config(client)
            if own:
                return _own_ref(config)
            held = view.holdings(client, config, handover)
        if not held.new_at and not held.unread:
            return Reply(Outcome.REFUSED, f"{_absent(held)}; bind it to a consumer that uses it, or reload the gateway")
        if not held.new_at:
            return Reply(Outcome.OK, f"reachable, but {_absent(held)}: after a rotation it is for you to see that it "
                         "uses the new one, and to say so")
        return Reply(Outcome.OK, f"reachable, and it holds the current value in {_list(held.new_at)}")


def _anew(handover: Handover) -> str:
    return (f"restart the gateway's process (openclaw gateway restart, or by its service), then clawsecrets rotate "
            f"{handover.name} (restart = [\"…\"] does it by itself)")


def _own_ref(config: dict[str, object]) -> Reply:
    paths = {path[2] for path in view.ref_paths(config) if path[:2] == ("gateway", "auth") and len(path) == 3}
    if paths & {"token", "password"}:
        return Reply(Outcome.OK, "reachable; its token is a SecretRef")
    return Reply(Outcome.REFUSED, "its gateway.auth.token is not an exec SecretRef, so a reload would not change it")


def _known(*values: SecretValue | None) -> list[SecretValue]:
    found: list[SecretValue] = []
    for value in values:
        if value is not None and value not in found:
            found.append(value)
    return found


def _absent(held: view.Holdings) -> str:
    if held.unread:
        return f"it does not read back {_list(held.unread)}, so it cannot show which value it holds there"
    if held.refs:
        return f"none of the {held.refs} SecretRef(s) of its configuration yields this secret"
    return "its configuration has no exec SecretRef"


def _list(paths: Sequence[view.Path]) -> str:
    names = [view.dotted(path) for path in paths]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _looked(act: Callable[[], Reply]) -> Reply:
    """The reply of a look: whatever goes wrong means that it cannot be told now."""
    try:
        return act()
    except GatewayUnreachable as error:
        return Reply(Outcome.LATER, error.detail, after=error.after)
    except GatewayError as error:
        return Reply(Outcome.LATER, error.detail)
    except ClawError as error:
        return Reply(Outcome.LATER, error.message)


_conforms: type[Consumer] = OpenClawConsumer
