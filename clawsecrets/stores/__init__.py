"""Where secrets are kept: the embedded store (one SQLite file) and the crypto that seals it."""
