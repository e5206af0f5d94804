"""Consumers: reload a process that reads a value, and prove what it uses."""
