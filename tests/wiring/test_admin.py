"""What may create and revoke others is never bound to a target, whatever its kind and name."""

from __future__ import annotations

import pytest

from clawsecrets.errors import ConfigError
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import Kind, Secret
from tests.wiring.bench import Bench, secret

TARGETS = """
[injectors.files]
kind = "directory"
path = "/srv/secrets"
[consumers.app]
kind = "none"
[providers.openrouter]
admin = "my-admin"
"""
ADMINS = [secret("any", kind=Kind.ADMIN), secret("my-admin"), secret("openai-admin-key"), secret("acme-admin")]


@pytest.fixture
def bench() -> Bench:
    return Bench(TARGETS)


@pytest.mark.parametrize("admin", ADMINS, ids=lambda kept: str(kept.name))
@pytest.mark.parametrize("binding", [{"injectors": ("files",)}, {"consumers": ("app",)},
                                     {"injectors": ("files@another-host",)}])
def test_an_admin_credential_is_bound_to_nothing(bench: Bench, admin: Secret, binding: dict[str, tuple[str]]) -> None:
    bound = secret(admin.name, admin.provider, admin.kind, **binding)
    with pytest.raises(ConfigError, match="admin credential") as caught:
        bench.shop.check(bound)
    assert caught.value.hint
    outfit = bench.shop.outfit(bound)
    assert (dict(outfit.injectors), dict(outfit.consumers)) == ({}, {}), "what a record says already reaches nobody"
    bench.shop.check(admin)


def test_any_other_is_bound(bench: Bench) -> None:
    kept = secret("openai-api-key", "openai", Kind.API_KEY, injectors=("files",), consumers=("app",))
    bench.shop.check(kept)
    assert set(bench.shop.outfit(kept).injectors) == {"files"}


@pytest.mark.parametrize(("provider", "command"), [
    ("openai", "clawsecrets set openai-admin-key --provider openai-admin"),
    ("openrouter", "clawsecrets set my-admin --provider openrouter-management"),
    ("acme", "clawsecrets set acme-admin"),
])
def test_the_hint_for_an_absent_one_names_its_provider(bench: Bench, provider: str, command: str) -> None:
    reply = bench.shop.outfit(secret("key", provider), "overlap").admin_test()
    assert reply.outcome is Outcome.REFUSED
    assert reply.detail.endswith(command)
