"""The whole scan, by the real command."""
