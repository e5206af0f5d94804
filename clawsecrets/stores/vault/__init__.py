"""The store for a team: Vault's or OpenBao's KV v2. The only home of hvac. Format and rules: docs/vault-format.md."""
