"""Shared low-level access to things outside: mechanism without policy."""
