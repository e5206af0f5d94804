"""Whose target it is, and how long what acts on it may take."""

from __future__ import annotations

import pytest

from clawsecrets.clients.http import Limits
from clawsecrets.errors import ConfigError
from clawsecrets.wiring.shop import lease_for
from tests.wiring.bench import Bench, secret


def targets(host: str) -> str:
    return (f'[injectors.files]\nkind = "directory"\npath = "/srv/s"\nhost = "{host}"\n'
            f'[consumers.app]\nkind = "none"\nhost = "{host}"\n')


KEPT = secret("key", "generic", injectors=("files",), consumers=("app",))


def test_another_host_s_target_is_not_served_here() -> None:
    outfit = Bench(targets("another-host")).shop.outfit(KEPT)
    assert (dict(outfit.injectors), dict(outfit.consumers)) == ({}, {})


def test_this_host_s_target_is() -> None:
    outfit = Bench(targets(Bench("").shop.host)).shop.outfit(KEPT)
    assert (set(outfit.injectors), set(outfit.consumers)) == ({"files"}, {"app"})


@pytest.mark.parametrize(("timeout", "expected"), [
    ("2s", Limits(connect=2.0, read=2.0, total=2.0)),
    ("45s", Limits(connect=5.0, read=45.0, total=45.0)),
])
def test_a_provider_s_timeout_bounds_the_whole_request(timeout: str, expected: Limits,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    monkeypatch.setattr("clawsecrets.issuers.http.HttpIssuer.__init__",
                        lambda self, provider, limits, now: given.append(limits))
    Bench(f'[providers.acme]\ntimeout = "{timeout}"\n').shop.outfit(secret("k", "acme"), "overlap")
    assert given == [expected]


def test_a_lease_outlives_the_slowest_provider_s_requests() -> None:
    assert lease_for(Bench('[providers.acme]\ntimeout = "5m"\n').config) >= 600.0
    assert lease_for(Bench('[providers.acme]\ntimeout = "1s"\n').config) == 90.0


def test_a_gateway_s_timeout_bounds_all_that_is_asked_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[object, object]] = []

    def keep(self: object, *args: object, timeout: float, reload_timeout: float, **more: object) -> None:
        given.append((timeout, reload_timeout))

    monkeypatch.setattr("clawsecrets.consumers.openclaw.OpenClawConsumer.__init__", keep)
    for timeout in ("3s", "80s"):
        bench = Bench(f'[consumers.app]\nkind = "openclaw"\ntimeout = "{timeout}"\n')
        bench.shop.outfit(secret("k", "generic", consumers=("app",)))
    assert given == [(3.0, 3.0), (10.0, 80.0)]


def test_a_provider_is_asked_without_the_targets_that_this_host_lacks() -> None:
    shop, kept = Bench("").shop, secret("key", "acme", injectors=("files",), consumers=("app",))
    with pytest.raises(ConfigError):
        shop.outfit(kept, "assisted")
    outfit = shop.outfit(kept, "assisted", targets=False)
    assert (dict(outfit.injectors), dict(outfit.consumers)) == ({}, {})
    assert outfit.issuer.can("test")
